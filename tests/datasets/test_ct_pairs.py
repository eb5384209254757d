from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from isocenter.datasets.ct_pairs import (
    AIR_HU,
    HIGHEST_HU,
    CtPairs,
    PairSettings,
    TrainingScan,
    random_blobs,
    scan_noise_hu,
)

Make = Callable[..., TrainingScan]
SETTINGS = PairSettings(crop=48)
# Nothing but the scan's own noise and further noise of a fixed dose.
PLAIN = PairSettings(
    crop=48, quiet_base=0.0, own_texture=0.0, single_slice=0.0, blobs=0.0, dose_fraction=(0.2, 0.2)
)


@pytest.fixture(scope="module")
def scans(make_scan: Make) -> list[TrainingScan]:
    return [
        make_scan("a", seed=1),
        make_scan("b", seed=2, noise_hu=25.0),
        make_scan("c", seed=3, shape=(1, 80, 80), measured=float("nan")),
    ]


def pairs_of(
    scans: list[TrainingScan], settings: PairSettings = SETTINGS, *, start: int = 0, seed: int = 7
) -> CtPairs:
    return CtPairs(scans, settings=settings, seed=seed, length=12, start=start)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_pair_is_the_same_in_any_order(scans: list[TrainingScan]) -> None:
    forward = pairs_of(scans)
    first = [forward[k] for k in range(12)]
    backward = pairs_of(scans)
    assert all(same(backward[k], first[k]) for k in reversed(range(12)))
    assert not any(same(one, other) for one, other in pairwise(first))


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker:UserWarning")
def test_a_pair_is_the_same_in_another_process(scans: list[TrainingScan]) -> None:
    pairs = pairs_of(scans)
    loader = DataLoader(pairs, batch_size=3, num_workers=2)
    made = [
        {name: images[k] for name, images in batch.items()} for batch in loader for k in range(3)
    ]
    assert all(same(made[k], pairs[k]) for k in range(12))


def test_a_later_start_goes_on_with_the_same_pairs(scans: list[TrainingScan]) -> None:
    whole, rest = pairs_of(scans), pairs_of(scans, start=9)
    assert len(rest) == 3
    assert all(same(rest[k], whole[9 + k]) for k in range(3))


def test_another_seed_gives_other_pairs(scans: list[TrainingScan]) -> None:
    assert not same(pairs_of(scans)[0], pairs_of(scans, seed=8)[0])


@pytest.mark.parametrize("number", [-1, 12])
def test_there_are_no_pairs_beyond_the_length(scans: list[TrainingScan], number: int) -> None:
    with pytest.raises(IndexError):
        pairs_of(scans)[number]


@pytest.mark.parametrize("context", [0, 1, 2])
def test_pairs_have_their_shape_and_range(scans: list[TrainingScan], context: int) -> None:
    pairs = pairs_of(scans, replace(SETTINGS, context=context))
    for k in range(12):
        pair = pairs[k]
        assert pair["input"].shape == (2 * context + 1, 48, 48)
        for name in ("target", "anatomy", "lesion"):
            assert pair[name].shape == (1, 48, 48)
        for name in ("fraction", "is_clean"):
            assert pair[name].shape == ()
        assert {image.dtype for image in pair.values()} == {torch.float32}
        assert all(torch.isfinite(image).all() for image in pair.values())
        assert pair["input"].min() >= AIR_HU
        assert pair["input"].max() <= HIGHEST_HU


def test_the_first_pairs_are_small(scans: list[TrainingScan]) -> None:
    settings = replace(SETTINGS, small_crop=32)
    first = CtPairs(scans, settings=settings, seed=1, length=9, num_small=3)
    assert [first[k]["input"].shape[-1] for k in range(5)] == [32, 32, 32, 48, 48]
    later = CtPairs(scans, settings=settings, seed=1, length=9, start=2, num_small=3)
    assert [later[k]["target"].shape[-1] for k in range(2)] == [32, 48]


def test_lesions_are_marked_where_they_were_put(make_scan: Make) -> None:
    flat = [replace(make_scan(), array=np.full((3, 64, 64), 40, np.int16), noise_hu=0.0)]
    marked = 0
    for share in (0.0, 1.0):
        pairs = CtPairs(flat, settings=replace(PLAIN, blobs=share), seed=1, length=8)
        for k in range(8):
            changed = (pairs[k]["anatomy"] - 40).abs() > 5
            assert torch.equal(pairs[k]["lesion"] > 0, changed)
            marked += int(changed.sum()) if share else 0
    assert marked > 0


def test_thin_slices_are_averaged_where_they_are_to_be_quiet(make_scan: Make) -> None:
    """Of a stack whose middle alone is bright, a third of that is left."""
    array = np.zeros((3, 64, 64), np.int16)
    array[1] = 90
    seen = {}
    for between_mm in (1.25, 5.0):
        scan = replace(make_scan(), array=array, spacing_mm=(between_mm, 0.8, 0.8), noise_hu=5.0)
        pairs = CtPairs([scan], settings=QUIET, seed=1, length=16)
        means = {round(float(pairs[k]["anatomy"].mean())) for k in range(16)}
        seen[between_mm] = means
    assert seen == {1.25: {30}, 5.0: {0, 90}}


@pytest.mark.parametrize("shape", [(3, 60, 120), (3, 120, 60), (2, 40, 40)])
def test_scans_of_any_shape_give_pairs(make_scan: Make, shape: tuple[int, int, int]) -> None:
    pairs = pairs_of([make_scan(shape=shape)])
    for k in range(12):
        assert pairs[k]["input"].shape == (3, 48, 48)


def test_the_input_is_the_target_with_noise_of_the_lower_dose(make_scan: Make) -> None:
    """A fifth of the dose adds four times the variance that the scan has."""
    pairs = CtPairs([make_scan(noise_hu=10.0)], settings=PLAIN, seed=3, length=30)
    added, own = [], []
    for k in range(30):
        pair = pairs[k]
        soft = (pair["target"][0] > 0) & (pair["target"][0] < 90)
        added.append((pair["input"][1] - pair["target"][0])[soft].square().mean().item())
        own.append((pair["target"][0][soft] - 45).square().mean().item())
    assert np.mean(own) == pytest.approx(100, rel=0.1)
    assert np.mean(added) == pytest.approx(400, rel=0.25)


def test_added_noise_has_no_mean(make_scan: Make) -> None:
    pairs = CtPairs([make_scan()], settings=PLAIN, seed=3, length=20)
    soft = [
        (pair["input"][1] - pair["target"][0])[pair["target"][0] > 0].mean().item()
        for pair in (pairs[k] for k in range(20))
    ]
    assert np.mean(soft) == pytest.approx(0, abs=1.5)


def test_the_scans_own_noise_stays_in_the_target(make_scan: Make) -> None:
    """Without a quiet base the target is a crop of the scan itself, whole HU."""
    scan = make_scan()
    pairs = CtPairs([scan], settings=PLAIN, seed=3, length=6)
    values = set(np.unique(scan.array))
    for k in range(6):
        assert set(np.unique(pairs[k]["target"].numpy()).astype(int)) <= values


def test_quiet_pairs_carry_the_noise_they_are_given(make_scan: Make) -> None:
    """The level asked for where the texture is smooth, up to three times as much where sharp."""
    settings = replace(PLAIN, quiet_base=1.0, quiet_noise_hu=(20.0, 20.0))
    water = replace(make_scan(), array=np.zeros((4, 96, 96), np.int16))
    pairs = CtPairs([water], settings=settings, seed=3, length=40)
    images = [pairs[k]["target"][0] for k in range(40)]
    levels = np.array([image.std().item() for image in images])
    roughness = np.array([image.diff(dim=1).std().item() for image in images]) / levels
    smooth = np.argsort(roughness)[:10]
    sharp = np.argsort(roughness)[-10:]
    assert np.median(levels[smooth]) == pytest.approx(20, rel=0.35)
    assert np.median(levels[sharp]) == pytest.approx(60, rel=0.25)


# Nothing but noise: water of one value, the standard dose's noise added to it.
QUIET = replace(PLAIN, quiet_base=1.0, quiet_noise_hu=(20.0, 20.0))


def test_the_target_is_the_anatomy_with_the_noise_of_the_standard_dose(make_scan: Make) -> None:
    """No noise is added to a scan taken as it is, and its own is no anatomy to learn from."""
    settings = replace(SETTINGS, quiet_base=0.5)
    pairs = CtPairs([make_scan()], settings=settings, seed=3, length=40)
    kinds = set()
    for k in range(40):
        pair = pairs[k]
        noise = pair["target"] - pair["anatomy"]
        kinds.add(pair["is_clean"].item())
        if pair["is_clean"]:
            assert noise.std() > 1
            assert noise.mean().abs() < noise.std()
        else:
            assert not noise.any()
    assert kinds == {0.0, 1.0}


def test_clean_anatomy_holds_no_added_noise(make_scan: Make) -> None:
    water = replace(make_scan(), array=np.full((4, 96, 96), 7, np.int16))
    pairs = CtPairs([water], settings=QUIET, seed=3, length=6)
    for k in range(6):
        assert pairs[k]["is_clean"] == 1
        assert torch.allclose(pairs[k]["anatomy"], torch.tensor(7.0), atol=1e-3)
        assert pairs[k]["target"].std() > 5


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.6])
def test_the_standard_doses_share_of_the_inputs_noise_is_the_fraction(
    make_scan: Make, fraction: float
) -> None:
    """Noise of both doses has one texture: variances add, and neither half tells of the other."""
    water = replace(make_scan(), array=np.zeros((4, 96, 96), np.int16))
    settings = replace(QUIET, dose_fraction=(fraction, fraction))
    pairs = CtPairs([water], settings=settings, seed=3, length=60)
    further, shares = [], []
    for k in range(60):
        pair = pairs[k]
        assert pair["fraction"].item() == pytest.approx(fraction)
        standard = pair["target"] - pair["anatomy"]
        added = pair["input"][1:2] - pair["target"]
        whole = pair["input"][1:2] - pair["anatomy"]
        further.append((added.square().sum() / standard.square().sum()).item())
        shares.append(((standard * whole).sum() / whole.square().sum()).item())
    assert np.exp(np.log(further).mean()) == pytest.approx(1 / fraction - 1, rel=0.08)
    assert np.mean(shares) == pytest.approx(fraction, rel=0.08)


def test_pairs_tell_the_fraction_they_were_made_with(make_scan: Make) -> None:
    pairs = CtPairs([make_scan()], settings=SETTINGS, seed=3, length=30)
    fractions = np.array([pairs[k]["fraction"].item() for k in range(30)])
    low, high = SETTINGS.dose_fraction
    assert low <= fractions.min() < 0.15
    assert 0.4 < fractions.max() <= high


def test_noisy_scans_are_never_taken_as_they_are(make_scan: Make) -> None:
    noisy = make_scan(noise_hu=40.0)
    pairs = CtPairs([noisy], settings=PLAIN, seed=3, length=6)
    values = set(np.unique(noisy.array).astype(float))
    for k in range(6):
        assert not set(pairs[k]["target"].unique().tolist()) <= values


def test_single_slice_pairs_repeat_their_slice(scans: list[TrainingScan]) -> None:
    alone = pairs_of(scans, replace(SETTINGS, single_slice=1.0))
    apart = pairs_of(scans, replace(SETTINGS, single_slice=0.0))
    for k in range(6):
        window = alone[k]["input"]
        assert torch.equal(window[0], window[1])
        assert torch.equal(window[2], window[1])
        assert not torch.equal(apart[k]["input"][0], apart[k]["input"][1])


def test_every_pair_comes_from_one_scan(make_scan: Make) -> None:
    """Each scan has a value of its own; no pair holds two of them."""
    base = make_scan()
    flat = [
        replace(base, name=str(value), array=np.full_like(base.array, value), noise_hu=0.0)
        for value in (0, 100, 200)
    ]
    settings = replace(PLAIN, dose_fraction=(0.5, 0.5))
    pairs = CtPairs(flat, settings=settings, seed=1, length=12)
    seen = {float(value) for k in range(12) for value in pairs[k]["target"].unique()}
    for k in range(12):
        assert len(pairs[k]["target"].unique()) == 1
        assert torch.allclose(pairs[k]["input"], pairs[k]["target"].expand(3, -1, -1))
    assert seen == {0.0, 100.0, 200.0}


def test_slices_beyond_the_ends_repeat_the_last(make_scan: Make) -> None:
    scan = make_scan(shape=(1, 64, 64))
    pairs = CtPairs([scan], settings=replace(PLAIN, dose_fraction=(1.0, 1.0)), seed=1, length=4)
    for k in range(4):
        assert torch.equal(pairs[k]["input"], pairs[k]["target"].expand(3, -1, -1))


def test_blobs_stay_within_their_contrast() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        soft = random_blobs(torch.full((3, 40, 44), 40.0), rng)
        assert soft.shape == (3, 40, 44)
        assert soft.dtype == torch.float32
        assert soft.abs().max() <= 8 * 80
        assert soft.any()


def test_blobs_are_dense_in_lung_and_none_lie_in_bone() -> None:
    rng = np.random.default_rng(0)
    lung = [random_blobs(torch.full((3, 40, 40), -800.0), rng) for _ in range(10)]
    assert all(one[1].sum() >= max(one[0].sum(), one[2].sum()) for one in lung)
    assert min(one.min().item() for one in lung) >= 0
    assert max(one.max().item() for one in lung) > 150
    assert not random_blobs(torch.full((1, 40, 40), 900.0), rng).any()


def peaks(faint: float) -> list[float]:
    """Largest contrast of single lesions in soft tissue, each in an image of its own."""
    rng = np.random.default_rng(0)
    drawn = (random_blobs(torch.full((1, 40, 40), 40.0), rng, faint=faint) for _ in range(300))
    return [one.abs().max().item() for one in drawn]


def test_faint_lesions_have_the_contrast_of_faint_ones() -> None:
    """One or two lesions an image, which may lie over one another."""
    faint, usual = peaks(1.0), peaks(0.0)
    assert max(faint) <= 2 * 35
    assert np.median(faint) < 35
    assert np.median(usual) > 1.3 * np.median(faint)
    assert max(usual) > 2 * 35


def test_the_share_of_faint_lesions_lies_between() -> None:
    low, half, high = (float(np.mean(peaks(faint))) for faint in (1.0, 0.5, 0.0))
    assert half == pytest.approx((low + high) / 2, rel=0.1)


def test_no_share_of_faint_lesions_draws_what_was_drawn_without_it() -> None:
    anatomy = torch.full((3, 40, 40), 40.0)
    plain = random_blobs(anatomy, np.random.default_rng(3))
    assert torch.equal(random_blobs(anatomy, np.random.default_rng(3), faint=0.0), plain)


def test_faint_lesions_reach_the_pairs(scans: list[TrainingScan]) -> None:
    """All lesions of a pair are faint then, unless they lie in lung."""
    settings = replace(PLAIN, blobs=1.0, faint=1.0)
    plain = replace(PLAIN, blobs=1.0)
    faint, usual = (pairs_of(scans, one) for one in (settings, plain))
    assert not all(same(faint[k], usual[k]) for k in range(12))


def test_lesions_in_lung_are_never_faint() -> None:
    lung = torch.full((1, 40, 40), -800.0)
    first, second = (random_blobs(lung, np.random.default_rng(4), faint=one) for one in (0.0, 1.0))
    assert torch.equal(first, second)
    assert first.max() > 100


@pytest.mark.parametrize("level", [8.0, 30.0])
def test_a_scans_noise_is_measured_blind(make_scan: Make, level: float) -> None:
    scan = make_scan(shape=(3, 160, 160), noise_hu=level)
    assert scan_noise_hu(scan.array, (0.8, 0.8)) == pytest.approx(level, rel=0.12)


def test_a_scan_without_soft_tissue_has_no_noise_measure() -> None:
    assert np.isnan(scan_noise_hu(np.full((2, 64, 64), -1000, np.int16), (1.0, 1.0)))
