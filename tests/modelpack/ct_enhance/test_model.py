from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.seeds import derived_seed
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.modelpack.ct_enhance.calibration import CLASSES, Calibration, tissue_classes
from isocenter.modelpack.ct_enhance.contract import Estimate
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior
from isocenter.modelpack.ct_enhance.mean import MeanAndSpread
from isocenter.modelpack.ct_enhance.model import CtEnhancer, without_pixel_grid

SPACING_MM = (0.8, 0.8)
Build = Callable[..., CtEnhancer]


def judge(model: CtEnhancer, window: NDArray) -> Estimate:
    return model.estimate(window, spacing_mm=SPACING_MM)


def draw(model: CtEnhancer, window: NDArray, estimate: Estimate, seed: int) -> NDArray:
    return model.sample(window, estimate, spacing_mm=SPACING_MM, steps=2, seed=seed)


# estimates and samples


def test_an_estimate_has_the_shape_and_type_of_its_slice(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer()
    estimate = judge(model, window_hu)
    sample = draw(model, window_hu, estimate, 0)
    for image in (estimate.mean_hu, estimate.lower_hu, estimate.upper_hu, sample):
        assert image.shape == window_hu.shape[1:]
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
    assert (estimate.lower_hu < estimate.mean_hu).all()
    assert (estimate.mean_hu < estimate.upper_hu).all()


def test_a_network_that_answers_zero_leaves_the_slice_as_it_is(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    assert np.array_equal(judge(build_enhancer(scale=0), window_hu).mean_hu, window_hu[1])


def test_calibration_widens_the_interval_as_asked(
    build_enhancer: Build, window_hu: NDArray, calibration: Callable[..., Calibration]
) -> None:
    raw = judge(build_enhancer(), window_hu)
    wide = judge(build_enhancer(calibration=calibration(1.5, lung=4.0)), window_hu)
    lung = tissue_classes(raw.mean_hu, spacing_mm=SPACING_MM) == CLASSES.index("lung")
    factor = np.where(lung, 4.0, 1.5)
    assert lung.any()
    assert np.array_equal(wide.mean_hu, raw.mean_hu)
    for end in ("lower_hu", "upper_hu"):
        before, after = (getattr(one, end) - one.mean_hu for one in (raw, wide))
        assert np.allclose(after, factor * before, rtol=1e-4, atol=1e-3)


def test_the_interval_is_never_narrower_than_what_was_calibrated(
    build_enhancer: Build, window_hu: NDArray, calibration: Callable[..., Calibration]
) -> None:
    """Calibration divides by at least half an HU, so its factors multiply at least as much."""
    model = build_enhancer(scale=0, calibration=calibration(3.0))
    with torch.no_grad():
        assert model.mean.network.head.bias is not None
        model.mean.network.head.bias[4:] = -20.0  # a spread and a noise of nothing
    raw = raw_of(model, window_hu)
    estimate = judge(model, window_hu)
    assert max(raw.below.max().item(), raw.above.max().item()) < 0.01
    assert np.allclose(estimate.mean_hu - estimate.lower_hu, 1.5, atol=1e-3)
    assert np.allclose(estimate.upper_hu - estimate.mean_hu, 1.5, atol=1e-3)


def test_a_spread_that_alternates_between_pixels_is_evened_out() -> None:
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    ramp = (rows + 2 * columns)[None, None]
    for parity in (rows, columns, rows + columns):
        grid = 0.5 * (1 - 2 * (parity % 2))[None, None]
        evened = without_pixel_grid(ramp + grid)[..., 1:-1, 1:-1]
        assert torch.allclose(evened, ramp[..., 1:-1, 1:-1], atol=1e-5)


def test_the_interval_shows_no_pattern_of_the_network(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer(scale=0)
    with torch.no_grad():  # the four places of a pixel-shuffle answer unlike spreads
        assert model.mean.network.head.bias is not None
        model.mean.network.head.bias[4:8] = torch.tensor([0.0, 1.0, 2.0, 3.0])
    raw = raw_of(model, window_hu)
    ratio = (raw.below / raw.level)[0, 0, 1:-1, 1:-1]
    assert ratio.std() / ratio.mean() < 0.01


def raw_of(
    model: CtEnhancer, window_hu: NDArray, *, dose_fraction: float | None = None
) -> MeanAndSpread:
    estimate = model.estimate(window_hu, spacing_mm=SPACING_MM, dose_fraction=dose_fraction)
    raw: MeanAndSpread = estimate.state.raw
    return raw


def test_the_mean_holds_the_share_of_noise_that_the_dose_prior_expects(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer()
    raw, noise = raw_of(model, window_hu), measure_noise(window_hu[1], spacing_mm=SPACING_MM)
    guess = model.guess_dose_fraction(noise)
    assert guess == model.dose_prior.likely_fraction(
        noise.level_hu, noise.mean_frequency_per_mm, None
    )
    middle = torch.from_numpy(window_hu[None, 1:2])
    assert not torch.allclose(raw.anatomy, middle)
    assert torch.allclose(raw.mean, raw.anatomy + guess * (middle - raw.anatomy), atol=1e-3)
    plain = model.estimate(window_hu, spacing_mm=SPACING_MM, lesion_contrast=0)
    assert np.array_equal(plain.mean_hu, raw.mean[0, 0])


@pytest.mark.parametrize("fraction", [0.1, 1.0])
def test_a_dose_that_is_given_takes_the_place_of_the_guess(
    build_enhancer: Build, window_hu: NDArray, fraction: float
) -> None:
    model = build_enhancer()
    raw = raw_of(model, window_hu, dose_fraction=fraction)
    middle = torch.from_numpy(window_hu[None, 1:2])
    assert torch.allclose(raw.mean, raw.anatomy + fraction * (middle - raw.anatomy), atol=1e-3)
    told = model.estimate(
        window_hu, spacing_mm=SPACING_MM, dose_fraction=fraction, lesion_contrast=0
    )
    assert np.array_equal(told.mean_hu, raw.mean[0, 0])


def test_the_guess_takes_the_slice_thickness_into_account(build_enhancer: Build) -> None:
    model = build_enhancer()
    noise = NoiseMeasure(level_hu=20.0, mean_frequency_per_mm=0.3)
    thin, thick = (model.guess_dose_fraction(noise, slice_thickness_mm=mm) for mm in (1.0, 8.0))
    assert thin > thick


def test_a_model_of_noisier_standard_doses_keeps_more_of_the_noise(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    models = [build_enhancer(dose_prior=DosePrior(standard_noise_hu=hu)) for hu in (4.0, 16.0)]
    raw = [raw_of(model, window_hu) for model in models]
    assert torch.equal(raw[0].anatomy, raw[1].anatomy)
    kept = [(one.mean - one.anatomy).abs().mean().item() for one in raw]
    assert kept[1] > 1.5 * kept[0] > 0


def test_a_slice_whose_noise_cannot_be_measured_gets_the_share_of_the_prior(
    build_enhancer: Build,
) -> None:
    model = build_enhancer()
    air = np.full((3, 64, 64), -1000, np.float32)
    raw = raw_of(model, air)
    share = torch.tensor(model.dose_prior.likely_fraction(np.nan, np.nan))
    assert np.isnan(measure_noise(air[1], spacing_mm=SPACING_MM).level_hu)
    assert torch.allclose(raw.mean, raw.anatomy + share * (-1000 - raw.anatomy), atol=1e-3)
    assert np.isfinite(judge(model, air).upper_hu).all()


def test_a_slice_gets_the_same_texture_alone_or_in_any_order(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer()
    torch.manual_seed(1)
    alone = draw(model, window_hu, judge(model, window_hu), derived_seed(0, "image", 17))
    for number in (18, 3):
        other = draw(model, window_hu, judge(model, window_hu), derived_seed(0, "image", number))
        assert not np.array_equal(other, alone)
    torch.manual_seed(2)
    again = draw(model, window_hu, judge(model, window_hu), derived_seed(0, "image", 17))
    assert np.array_equal(again, alone)


def test_sampling_leaves_global_randomness_alone(build_enhancer: Build, window_hu: NDArray) -> None:
    model = build_enhancer()
    before = torch.get_rng_state()
    draw(model, window_hu, judge(model, window_hu), 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_refuses_more_steps_than_the_bridge_runs_in(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer()
    with pytest.raises(ValueError, match=r"within 1\.\.8, got 9"):
        model.sample(window_hu, judge(model, window_hu), spacing_mm=SPACING_MM, steps=9, seed=0)


# what a seed shares between patients


@pytest.fixture(scope="module")
def patients() -> list[NDArray]:
    """Windows of two patients: a trunk of water, with noise of their own."""
    row, column = np.indices((128, 128)) - 64.0
    trunk = np.where(np.hypot(row, column) < 60, 45.0, -1000.0)
    return [
        np.asarray(trunk + np.random.default_rng(seed).normal(0, 25, (3, 128, 128)), np.float32)
        for seed in (1, 2)
    ]


def texture_of(model: CtEnhancer, window: NDArray, seed: int, **options: float) -> NDArray:
    """Sample minus mean."""
    estimate = model.estimate(window, spacing_mm=SPACING_MM, **options)
    return draw(model, window, estimate, seed) - estimate.mean_hu


def blurred_correlation(first: NDArray, second: NDArray) -> float:
    """Of what two images hold in patterns as wide as small lesions, inside the trunk."""
    middle = slice(30, 98), slice(30, 98)
    blurred = [
        (ndimage.gaussian_filter(one, 2.0) - ndimage.gaussian_filter(one, 12.0))[middle].ravel()
        for one in (first, second)
    ]
    return float(np.corrcoef(*blurred)[0, 1])


def test_one_seed_draws_nothing_that_two_patients_share(
    build_enhancer: Build, patients: list[NDArray]
) -> None:
    """The network answers nothing, so that all that can be alike is what was drawn."""
    model = build_enhancer(scale=0)
    for seed in (0, 5):
        first, second = (texture_of(model, window, seed, dose_fraction=0.3) for window in patients)
        assert first.std() > 1
        assert abs(blurred_correlation(first, second)) < 0.2


def test_one_seed_draws_the_same_for_the_same_slice(
    build_enhancer: Build, patients: list[NDArray]
) -> None:
    model = build_enhancer(scale=0)
    first, again = (texture_of(model, patients[0], 5, dose_fraction=0.3) for _ in range(2))
    assert np.array_equal(first, again)
    other = texture_of(model, patients[0], 6, dose_fraction=0.3)
    assert abs(blurred_correlation(first, other)) < 0.2


# contrast of lesions


def coarse_amplitude(image: NDArray) -> NDArray:
    """Coefficients below 0.1 cycles per mm."""
    rows, columns = image.shape
    radius = np.hypot(
        np.fft.fftfreq(rows, SPACING_MM[0])[:, None], np.fft.rfftfreq(columns, SPACING_MM[1])[None]
    )
    amplitude: NDArray = np.abs(np.fft.rfft2(image.astype(np.float64)))[radius < 0.1]
    return amplitude


def test_a_mean_with_all_of_the_contrast_has_no_room_for_coarse_texture(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    """It shows more of the input's coarse noise than a standard dose holds already."""
    model = build_enhancer()
    full, none = (
        texture_of(model, window_hu, 3, dose_fraction=0.25, lesion_contrast=share)
        for share in (1.0, 0.0)
    )
    assert coarse_amplitude(full).max() < 0.01 * np.abs(np.fft.rfft2(full)).max()
    assert coarse_amplitude(none).mean() > 5 * coarse_amplitude(full).mean()
    assert full.std() > 1


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_sample_keeps_the_mean_hu(
    build_enhancer: Build, window_hu: NDArray, share: float
) -> None:
    model = build_enhancer()
    for fraction in (0.1, 0.4):
        texture = texture_of(model, window_hu, 3, dose_fraction=fraction, lesion_contrast=share)
        assert texture.mean() == pytest.approx(0, abs=0.05)


def test_lesion_contrast_moves_mean_and_interval_together(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer()
    images = [
        model.estimate(window_hu, spacing_mm=SPACING_MM, dose_fraction=0.25, lesion_contrast=share)
        for share in (0.0, 0.5, 1.0)
    ]
    steps = [after.mean_hu - before.mean_hu for before, after in pairwise(images)]
    assert steps[0].std() > 0.5
    assert np.allclose(steps[0], steps[1], atol=1e-3)
    for one in images:
        assert np.allclose(
            one.mean_hu - one.lower_hu, images[0].mean_hu - images[0].lower_hu, atol=2e-3
        )


def test_half_of_the_contrast_is_what_is_taken_where_nothing_is_told(
    build_enhancer: Build, window_hu: NDArray
) -> None:
    model = build_enhancer()
    plain = judge(model, window_hu)
    half = model.estimate(window_hu, spacing_mm=SPACING_MM, lesion_contrast=0.5)
    assert np.array_equal(plain.mean_hu, half.mean_hu)
    assert plain.state.lesion_contrast == 0.5


# the dose


@pytest.mark.parametrize("thickness_mm", [None, 1.0, 5.0])
@pytest.mark.parametrize("level_hu", [3.0, 8.0, 20.0, 60.0, 200.0, float("nan")])
def test_the_guess_lies_within_the_range_that_is_told(
    build_enhancer: Build, level_hu: float, thickness_mm: float | None
) -> None:
    model = build_enhancer()
    noise = NoiseMeasure(level_hu=level_hu, mean_frequency_per_mm=0.3)
    low, high = model.dose_range(noise, slice_thickness_mm=thickness_mm)
    guess = model.guess_dose_fraction(noise, slice_thickness_mm=thickness_mm)
    assert 0 < low <= guess <= high <= 1
