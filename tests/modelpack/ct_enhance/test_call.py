"""The model called on images in memory; nothing here touches a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from numpy.typing import NDArray
from torch import Tensor

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.seeds import derived_seed
from isocenter.core.volume import Geometry, Volume
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.modelpack.ct_enhance.call import AIR_HU, LOWEST_HU, Enhanced
from isocenter.modelpack.ct_enhance.contract import Estimate
from isocenter.modelpack.ct_enhance.model import CtEnhancer

SPACING_MM = (1.6, 1.5)
SPACING_3D_MM = (3.0, 1.6, 1.5)
NAMES = ("mean", "lower", "upper")


@pytest.fixture(scope="module")
def model(build_enhancer: Callable[..., CtEnhancer]) -> CtEnhancer:
    return build_enhancer()


@pytest.fixture(scope="module")
def scan() -> NDArray:
    """Four slices of a noisy trunk in air, (4, 40, 52): nothing divides by 16."""
    row, column = np.indices((40, 52)) - np.array([20.0, 26.0])[:, None, None]
    image = np.where(np.hypot(row, column) < 19, 45.0, -1000.0)
    noise = np.random.default_rng(4).normal(0, 25, (4, 40, 52))
    return np.asarray(image + noise, np.float32)


def volume(array: NDArray, **change: Any) -> Volume:
    geometry = Geometry(shape=array.shape, spacing_mm=SPACING_3D_MM, origin_mm=(1, 2, 3))
    return replace(Volume(array=array, geometry=geometry, unit="HU"), **change)


def estimate_of(model: CtEnhancer, scan: NDArray, index: int, fraction: float) -> Estimate:
    """What the task computes for a slice: its neighbours, edges repeated."""
    window = scan[np.clip([index - 1, index, index + 1], 0, len(scan) - 1)]
    return model.estimate(window, spacing_mm=SPACING_MM, dose_fraction=fraction)


def drawn(model: CtEnhancer, estimate: Estimate, index: int, number: int, seed: int) -> NDArray:
    named = derived_seed(seed, "slice", index, "sample", number)
    window = np.empty(0)
    return model.sample(window, estimate, spacing_mm=SPACING_MM, steps=2, seed=named)


def same(first: Enhanced, second: Enhanced, of: Callable[[Any], Any] = np.asarray) -> None:
    """Equal to the last bit, once ``of`` makes an array of each."""
    assert first.dose_fraction == second.dose_fraction
    assert len(first.samples) == len(second.samples)
    pairs = [(getattr(first, name), getattr(second, name)) for name in (*NAMES, "image")]
    for one, other in [*pairs, *zip(first.samples, second.samples, strict=True)]:
        assert (one is None) == (other is None)
        if one is not None:
            assert np.array_equal(of(one), of(other))


# numbers


def test_a_volume_gets_the_numbers_of_the_task(model: CtEnhancer, scan: NDArray) -> None:
    """Two samples, blended by half, slice by slice; to the last bit."""
    result = model(
        scan, spacing_mm=SPACING_MM, dose_fraction=0.3, samples=2, steps=2, seed=7, strength=0.5
    )
    assert result.dose_fraction == (0.3,)
    for index in range(len(scan)):
        estimate = estimate_of(model, scan, index, 0.3)
        samples = [drawn(model, estimate, index, number, 7) for number in range(2)]
        total = np.zeros_like(estimate.mean_hu)
        for sample in samples:
            total += sample
        blend = estimate.mean_hu + np.float32(0.5) * (total / 2 - estimate.mean_hu)
        image = np.maximum(blend, np.minimum(scan[index], LOWEST_HU))
        assert np.array_equal(result.mean[index], estimate.mean_hu)
        assert np.array_equal(result.lower[index], estimate.lower_hu)
        assert np.array_equal(result.upper[index], estimate.upper_hu)
        assert np.array_equal(result.image[index], image)
        for number, sample in enumerate(samples):
            assert np.array_equal(result.samples[number][index], sample)


def test_one_slice_is_its_own_neighbour(model: CtEnhancer, scan: NDArray) -> None:
    alone = model(scan[1], spacing_mm=SPACING_MM, dose_fraction=0.3)
    repeated = estimate_of(model, scan[[1, 1, 1]], 1, 0.3)
    assert np.array_equal(alone.mean, repeated.mean_hu)
    assert alone.mean.shape == (40, 52)


def test_the_dose_is_guessed_once_a_scan_as_the_task_guesses_it(
    model: CtEnhancer, scan: NDArray
) -> None:
    measures = [measure_noise(one, spacing_mm=SPACING_MM) for one in scan]
    noise = NoiseMeasure(
        level_hu=float(np.nanmedian([one.level_hu for one in measures])),
        mean_frequency_per_mm=float(np.nanmedian([one.mean_frequency_per_mm for one in measures])),
    )
    for spacing_mm, thickness in ((SPACING_3D_MM, 3.0), (SPACING_MM, None)):
        guess = round(model.guess_dose_fraction(noise, slice_thickness_mm=thickness), 4)
        assert model(scan, spacing_mm=spacing_mm).dose_fraction == (guess,)
    thick = volume(scan, acquisition=CtAcquisition(slice_thickness_mm=8.0))
    guess = round(model.guess_dose_fraction(noise, slice_thickness_mm=8.0), 4)
    assert model(thick).dose_fraction == (guess,)


def test_strength_goes_from_the_mean_to_the_sample(model: CtEnhancer, scan: NDArray) -> None:
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "dose_fraction": 0.3, "steps": 1}
    assert model(scan[0], **told).image is None
    none = model(scan[0], strength=0, **told)
    assert none.samples == ()
    assert np.array_equal(none.image, np.maximum(none.mean, np.minimum(scan[0], LOWEST_HU)))
    full = model(scan[0], strength=1, **told)
    assert len(full.samples) == 1
    assert np.allclose(full.image, np.maximum(full.samples[0], np.minimum(scan[0], LOWEST_HU)))


def test_one_seed_draws_nothing_that_two_scans_share(model: CtEnhancer, scan: NDArray) -> None:
    other = scan[::-1] + np.float32(1)
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "dose_fraction": 0.3, "samples": 1}
    drawn_for = []
    for images in (scan, scan.copy(), other):
        result = model(images, seed=7, **told)
        drawn_for.append(result.samples[0] - result.mean)
    assert np.array_equal(drawn_for[0], drawn_for[1])
    inside = (slice(None), slice(10, 30), slice(16, 36))
    first, second = (one[inside].ravel() for one in (drawn_for[0], drawn_for[2]))
    assert first.std() > 1
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
    neighbours = (one[inside[1:]].ravel() for one in drawn_for[0][1:3])
    assert abs(np.corrcoef(*neighbours)[0, 1]) < 0.2


def test_lesion_contrast_is_that_of_an_estimate(model: CtEnhancer, scan: NDArray) -> None:
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "dose_fraction": 0.3}
    for share in (0, 0.25, 1.0):
        window = scan[[0, 1, 2]]
        wanted = model.estimate(window, lesion_contrast=share, **told)
        result = model(scan, lesion_contrast=share, **told)
        assert np.array_equal(result.mean[1], wanted.mean_hu)
    plain, half = model(scan, **told), model(scan, lesion_contrast=0.5, **told)
    same(plain, half)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "0.5", None])
def test_a_lesion_contrast_that_is_no_share_is_refused(
    model: CtEnhancer, scan: NDArray, share: Any
) -> None:
    with pytest.raises(InputRefused, match="lesion_contrast must be a number from 0 to 1, got"):
        model(scan, spacing_mm=SPACING_MM, lesion_contrast=share)


def test_what_was_not_measured_is_air_to_the_model_and_stays_as_it_was(
    model: CtEnhancer, scan: NDArray
) -> None:
    valid = np.ones(scan.shape, bool)
    valid[:, :9, :30] = False
    filled = np.where(valid, scan, AIR_HU).astype(np.float32)
    spoiled = np.where(valid, scan, np.nan).astype(np.float32)
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "dose_fraction": 0.3, "strength": 0.5}
    expected = model(filled, **told)
    for given in (spoiled, volume(spoiled, valid=valid)):
        of_volume = isinstance(given, Volume)
        options = {"dose_fraction": 0.3, "strength": 0.5} if of_volume else told | {"valid": valid}
        found = model(given, **options)
        for name in (*NAMES, "image"):
            array = getattr(found, name).array if of_volume else getattr(found, name)
            assert np.array_equal(array[valid], getattr(expected, name)[valid])
            assert np.isnan(array[~valid]).all()


# kinds of input


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int16, np.int32, ">f4"])
def test_arrays_keep_their_type_and_whole_numbers_become_float32(
    model: CtEnhancer, scan: NDArray, kind: Any
) -> None:
    given = np.rint(scan).astype(kind)
    plain = model(np.rint(scan), spacing_mm=SPACING_MM, dose_fraction=0.3)
    found = model(given, spacing_mm=SPACING_MM, dose_fraction=0.3)
    wanted = given.dtype.newbyteorder("=") if given.dtype.kind == "f" else np.dtype(np.float32)
    for name in NAMES:
        assert getattr(found, name).dtype == wanted
        assert np.array_equal(getattr(found, name), getattr(plain, name).astype(wanted))


def test_views_and_read_only_arrays_are_taken(model: CtEnhancer, scan: NDArray) -> None:
    frozen = scan.copy()
    frozen.flags.writeable = False
    plain = model(scan[::-1].copy(), spacing_mm=SPACING_MM, dose_fraction=0.3)
    same(plain, model(frozen[::-1], spacing_mm=SPACING_MM, dose_fraction=0.3))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.int16])
def test_tensors_get_the_numbers_of_arrays(
    model: CtEnhancer, scan: NDArray, kind: torch.dtype
) -> None:
    told: dict[str, Any] = {"spacing_mm": SPACING_3D_MM, "samples": 1, "steps": 1, "strength": 1}
    given = torch.from_numpy(np.rint(scan)).to(kind)
    found = model(given, **told)
    wanted = kind if kind.is_floating_point else torch.float32
    for name in (*NAMES, "image"):
        tensor = getattr(found, name)
        assert (tensor.dtype, tensor.shape) == (wanted, given.shape)
        assert not tensor.requires_grad
    if kind == torch.float32:
        same(found, model(np.rint(scan), **told))


def test_a_simple_itk_image_keeps_its_place(model: CtEnhancer, scan: NDArray) -> None:
    image = SimpleITK.GetImageFromArray(scan)
    image.SetSpacing(SPACING_3D_MM[::-1])
    image.SetOrigin((-3.0, 20.0, 7.0))
    image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    told: dict[str, Any] = {"samples": 1, "steps": 1, "strength": 0.5}
    found = model(image, **told)
    same(
        model(scan, spacing_mm=SPACING_3D_MM, **told),
        found,
        lambda one: one if isinstance(one, np.ndarray) else SimpleITK.GetArrayFromImage(one),
    )
    for one in (found.mean, found.image, found.samples[0]):
        assert one.GetOrigin() == image.GetOrigin()
        assert one.GetSpacing() == image.GetSpacing()
        assert one.GetDirection() == image.GetDirection()
    slice_ = model(image[:, :, 1])
    assert slice_.mean.GetDimension() == 2
    assert slice_.mean.GetSpacing() == image.GetSpacing()[:2]
    other = model(image[:, :, 1], spacing_mm=(1.0, 1.0))
    assert other.dose_fraction != slice_.dose_fraction


def test_a_volume_and_its_slices_give_volumes(model: CtEnhancer, scan: NDArray) -> None:
    given = volume(scan, acquisition=CtAcquisition(kernel="B30f"))
    plain = model(scan, spacing_mm=SPACING_3D_MM)
    for found in (model(given), model(given.slices())):
        same(plain, found, lambda one: one.array if isinstance(one, Volume) else one)
        assert found.mean.geometry == given.geometry
        assert found.mean.acquisition == given.acquisition
        assert found.mean.unit == "HU"
        assert found.mean.valid is None


# batches and randomness


def test_an_image_of_a_batch_is_judged_as_if_alone(model: CtEnhancer, scan: NDArray) -> None:
    told: dict[str, Any] = {"samples": 1, "steps": 1, "strength": 1}
    other = np.ascontiguousarray(scan[::-1, ::-1]) * 0.5
    batch = torch.from_numpy(np.stack([scan, other])[:, None])
    spacings = [SPACING_MM, (1.1, 1.1)]
    doses = [0.2, 0.4]
    both = model(batch, spacing_mm=spacings, dose_fraction=doses, seed=[5, 6], **told)
    for number in range(2):
        alone = model(
            batch[number, 0],
            spacing_mm=spacings[number],
            dose_fraction=doses[number],
            seed=5 + number,
            **told,
        )
        for name in (*NAMES, "image"):
            assert torch.equal(getattr(both, name)[number, 0], getattr(alone, name))
    flat = model(batch[:, :, 1], spacing_mm=SPACING_MM)
    assert flat.mean.shape == (2, 1, 40, 52)
    assert flat.dose_fraction[0] == model(batch[0, 0, 1], spacing_mm=SPACING_MM).dose_fraction[0]


def test_one_seed_gives_each_image_of_a_batch_noise_of_its_own(
    model: CtEnhancer, scan: NDArray
) -> None:
    batch = torch.from_numpy(scan[[0, 0]][:, None])
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "samples": 1, "steps": 1}
    found = model(batch, seed=3, **told).samples[0]
    assert torch.equal(found[0, 0], model(batch[0, 0], seed=3, **told).samples[0])
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found, model(batch, seed=3, **told).samples[0])
    assert not torch.equal(found, model(batch, seed=4, **told).samples[0])


def test_generators_draw_as_in_diffusers(model: CtEnhancer, scan: NDArray) -> None:
    def generator(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    batch = torch.from_numpy(scan[:2, None])
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "samples": 1, "steps": 1}
    found = model(batch, generator=[generator(1), generator(2)], **told).samples[0]
    for number in range(2):
        alone = model(batch[number, 0], generator=generator(number + 1), **told).samples[0]
        assert torch.equal(found[number, 0], alone)
    one = generator(1)
    first, second = (model(batch[0, 0], generator=one, **told).samples[0] for _ in range(2))
    assert torch.equal(first, found[0, 0])
    assert not torch.equal(first, second)


def test_a_call_leaves_global_randomness_alone(model: CtEnhancer, scan: NDArray) -> None:
    before = torch.get_rng_state()
    model(scan[0], spacing_mm=SPACING_MM, samples=1)
    assert torch.equal(torch.get_rng_state(), before)


# gradients


def total(result: Enhanced) -> Tensor:
    parts = [result.mean, result.lower, result.upper, result.image, *result.samples]
    return torch.stack([(part / 100).square().mean() for part in parts]).sum()


def test_gradients_reach_the_input_and_change_no_number(model: CtEnhancer, scan: NDArray) -> None:
    told: dict[str, Any] = {"spacing_mm": SPACING_MM, "samples": 1, "steps": 2, "strength": 0.5}
    given = torch.from_numpy(scan.copy()).requires_grad_()
    found = model(given, **told)
    assert found.mean.requires_grad
    same(found, model(scan, **told), lambda one: np.asarray(torch.as_tensor(one).detach()))
    total(found).backward()
    assert given.grad is not None
    assert bool((given.grad != 0).all(dim=(1, 2)).any())
    assert bool(torch.isfinite(given.grad).all())
    with torch.no_grad():
        assert not model(given, **told).mean.requires_grad
    assert all(weight.grad is None for weight in model.mean.parameters())


@pytest.mark.parametrize("value", [-1024.0, -1000.0, 0.0, 40.0, 3071.0])
def test_gradients_are_finite_where_nothing_changes_from_pixel_to_pixel(
    model: CtEnhancer, scan: NDArray, value: float
) -> None:
    """A root of zero has no slope: air that was filled in gave not-a-number."""
    given = np.repeat(scan[:1].repeat(2, axis=1).repeat(2, axis=2), 3, axis=0)
    given[:, :70] = value
    leaf = torch.from_numpy(given).requires_grad_()
    found = model(leaf, spacing_mm=SPACING_MM, samples=1, steps=1, strength=0.5)
    total(found).backward()
    assert leaf.grad is not None
    assert bool(torch.isfinite(leaf.grad).all())


def test_gradients_agree_with_differences(build_enhancer: Callable[..., CtEnhancer]) -> None:
    """In double precision, for a few pixels of every output; the dose and the tissue are given."""
    model = build_enhancer()
    model.mean.double()
    model.texture.double()
    generator = torch.Generator().manual_seed(0)
    base = 60 + 30 * torch.randn(3, 32, 32, generator=generator, dtype=torch.float64)
    places = [(1, 7, 9), (0, 20, 3), (2, 31, 31), (1, 16, 16)]

    def results(changes: Tensor) -> tuple[Tensor, ...]:
        given = base.index_put(tuple(torch.tensor(places).T), changes, accumulate=True)
        found = model(
            given, spacing_mm=SPACING_MM, dose_fraction=0.3, samples=1, steps=2, strength=0.7
        )
        return found.mean, found.lower, found.upper, found.image

    start = torch.zeros(len(places), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(results, (start,), eps=1e-5, atol=1e-3, fast_mode=True)


def test_masked_pixels_get_no_gradient(model: CtEnhancer, scan: NDArray) -> None:
    valid = torch.ones(scan.shape, dtype=torch.bool)
    valid[:, :9] = False
    given = torch.from_numpy(np.where(valid, scan, np.nan)).requires_grad_()
    found = model(given, spacing_mm=SPACING_MM, valid=valid, dose_fraction=0.3)
    found.mean[valid].sum().backward()
    assert given.grad is not None
    assert bool((given.grad[~valid] == 0).all())
    assert bool(torch.isfinite(given.grad).all())


# what is refused

SLICE = np.random.default_rng(0).normal(-400, 300, (32, 32)).astype(np.float32)

WRONG_IMAGES = [
    ([[1.0]], "a list is no image"),
    (SLICE > 0, "bool is a mask"),
    (np.abs(SLICE).astype(np.uint8), "uint8 holds nothing below zero"),
    (np.abs(SLICE).astype(np.uint16), "apply rescale slope"),
    (SLICE.astype(np.int8), "int8 cannot hold HU"),
    (SLICE.astype(complex), r"complex\d+ is not accepted"),
    (SLICE.astype(str), "is not accepted"),
    (np.ma.masked_less(SLICE, -500), "masked array"),
    (SLICE[0], r"shape \(32,\) is not accepted; accepted are \(row, column\)"),
    (SLICE[None, None, None, None], "is not accepted"),
    (np.stack([SLICE] * 3)[None], r"shape \(1, 3, 32, 32\) is not accepted"),
    (np.stack([SLICE] * 3, axis=-1), r"shape \(32, 32, 3\) is too small"),
    (SLICE[:0], "too small"),
    (SLICE[:8], "too small; .* at least 16 rows"),
    (SLICE / 5000, "normalized"),
    (np.arange(256.0).reshape(16, 16), "picture of 8 bits"),
    (SLICE * 1e4, "the values are no HU: they reach from"),
    (np.where(SLICE > 0, np.nan, SLICE), "slice 0 holds values that are not finite"),
    (np.where(SLICE > 0, np.inf, SLICE), "slice 0 holds values that are not finite"),
]


@pytest.mark.parametrize(("image", "message"), WRONG_IMAGES)
def test_what_is_no_image_in_hu_is_refused(model: CtEnhancer, image: Any, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        model(image, spacing_mm=SPACING_MM)
    plain = type(image) is np.ndarray
    if plain and image.dtype.kind in "fbiuc" and image.dtype != np.uint16:
        with pytest.raises(InputRefused, match=message):
            model(torch.from_numpy(image), spacing_mm=SPACING_MM)


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"spacing_mm": None}, "spacing_mm is needed"),
    ({"spacing_mm": 0.8}, "must be a tuple"),
    ({"spacing_mm": "0.8"}, "must be"),
    ({"spacing_mm": (0.8,)}, r"must be \(row, column\)"),
    ({"spacing_mm": (0.8, 0.0)}, "positive and finite"),
    ({"spacing_mm": (0.8, -1.0)}, "positive and finite"),
    ({"spacing_mm": (0.8, float("nan"))}, "positive and finite"),
    ({"spacing_mm": (0.8, "x")}, "must be"),
    ({"spacing_mm": [(0.8, 0.8)]}, "lists 1 images, the input holds 1 and is no batch"),
    ({"dose_fraction": 0}, "above 0 and at most 1"),
    ({"dose_fraction": 1.5}, "above 0 and at most 1"),
    ({"dose_fraction": "half"}, "above 0 and at most 1"),
    ({"dose_fraction": [0.1, 0.2]}, "lists 2 values for 1 images"),
    ({"samples": -1}, "samples must be whole and from 0"),
    ({"samples": 1.5}, "samples must be whole"),
    ({"samples": True}, "samples must be whole"),
    ({"steps": 0}, "steps must be whole and from 1 to 8"),
    ({"steps": 9}, "steps must be whole and from 1 to 8"),
    ({"strength": 1.1}, "from 0 to 1"),
    ({"strength": float("nan")}, "from 0 to 1"),
    ({"strength": "high"}, "a number from 0 to 1"),
    ({"seed": -1}, "seed must be whole"),
    ({"seed": "x"}, "seed must be whole"),
    ({"seed": [1, 2]}, "seed lists 2 values for 1 images"),
    ({"seed": 1, "generator": torch.Generator()}, "not both"),
    ({"generator": 5}, r"must be a torch\.Generator"),
    ({"generator": [torch.Generator()] * 2}, "generator lists 2 values for 1 images"),
    ({"valid": SLICE}, "valid must be a bool array"),
    ({"valid": [[True]]}, "valid must be a bool array"),
    ({"valid": np.ones((5, 5), bool)}, r"valid has shape \(5, 5\)"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_SETTINGS)
def test_a_setting_that_cannot_be_meant_is_refused(
    model: CtEnhancer, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputRefused, match=message):
        model(SLICE, **{"spacing_mm": SPACING_MM} | change)


def test_a_batch_needs_as_many_spacings_as_images(model: CtEnhancer) -> None:
    batch = np.stack([SLICE, SLICE])[:, None]
    with pytest.raises(InputRefused, match="lists 3 images, the input holds 2"):
        model(batch, spacing_mm=[SPACING_MM] * 3)


def test_a_volume_must_be_in_hu_across_the_patient_and_of_its_own_spacing(
    model: CtEnhancer, scan: NDArray
) -> None:
    with pytest.raises(InputRefused, match="in 'µm²/s', 'HU' is needed"):
        model(volume(scan, unit="µm²/s"))
    with pytest.raises(InputRefused, match="leave spacing_mm out"):
        model(volume(scan), spacing_mm=SPACING_MM)
    sagittal = replace(volume(scan).geometry, slice_direction=(1, 0, 0), column_direction=(0, 0, 1))
    with pytest.raises(InputRefused, match="do not lie across the patient"):
        model(volume(scan, geometry=sagittal))
    with pytest.raises(InputRefused, match="slice 2 holds values that are not finite"):
        model(volume(np.where(np.arange(4)[:, None, None] == 2, np.inf, scan)))


def test_a_simple_itk_image_of_another_kind_is_refused(model: CtEnhancer, scan: NDArray) -> None:
    color = SimpleITK.GetImageFromArray(np.zeros((32, 32, 3), np.int16), isVector=True)
    with pytest.raises(InputRefused, match="color"):
        model(color)
    with pytest.raises(InputRefused, match="2 or 3 dimensions"):
        model(SimpleITK.GetImageFromArray(scan[None], isVector=False))
    turned = SimpleITK.PermuteAxes(SimpleITK.GetImageFromArray(scan), (2, 0, 1))
    with pytest.raises(InputRefused, match=r"do not lie across the patient|too small"):
        model(turned)


def test_a_model_that_gives_no_numbers_is_refused(
    build_enhancer: Callable[..., CtEnhancer], scan: NDArray
) -> None:
    broken = build_enhancer()
    with torch.no_grad():
        assert broken.mean.network.head.bias is not None
        broken.mean.network.head.bias[0] = torch.nan
    with pytest.raises(ModelRefused, match="no finite image for slice 0"):
        broken(scan, spacing_mm=SPACING_MM)


@pytest.mark.gpu
def test_a_gpu_answers_where_the_input_is(
    build_enhancer: Callable[..., CtEnhancer], scan: NDArray
) -> None:
    on_cpu, on_gpu = build_enhancer(), build_enhancer().to("cuda")
    given = torch.from_numpy(scan)
    before = on_cpu(given, spacing_mm=SPACING_MM, strength=0.5).image
    assert on_gpu(given, spacing_mm=SPACING_MM, strength=0.5).image.device.type == "cpu"
    leaf = given.cuda().requires_grad_()
    after = on_gpu(leaf, spacing_mm=SPACING_MM, strength=0.5).image
    assert after.device.type == "cuda"
    assert torch.allclose(before, after.detach().cpu(), atol=1)
    after.sum().backward()
    assert leaf.grad is not None
    assert bool(torch.isfinite(leaf.grad).all())


def test_a_whole_slice_without_a_value_below_zero_is_stored_values(model: CtEnhancer) -> None:
    stored = np.abs(np.random.default_rng(0).normal(1000, 300, (64, 64))).astype(np.float32)
    with pytest.raises(InputRefused, match="rescale slope and intercept"):
        model(stored, spacing_mm=(5.0, 5.0))
    model(stored, spacing_mm=(1.0, 1.0))  # a patch may hold no air


@pytest.mark.parametrize(
    ("spacing_mm", "words"),
    [
        ((0.005, 0.0007, 0.0007), "meters"),
        ((0.7, 0.7, 5.0), "axes of the array"),
        ((5, 1e-9, 1e-9), "meters"),
    ],
)
def test_spacing_in_another_unit_or_order_is_refused(
    model: CtEnhancer, scan: NDArray, spacing_mm: tuple[float, ...], words: str
) -> None:
    with pytest.raises(InputRefused, match=words):
        model(scan, spacing_mm=spacing_mm)
