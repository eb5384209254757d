"""Faint detail: noise does not change it, and whatever smooths keeps less."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.volume import Geometry, Volume
from isocenter.evaluation.compare import evaluate
from isocenter.evaluation.ct.faint_detail import (
    BLURS_MM,
    DETAIL_MM,
    FaintDetailMeter,
    faint_detail,
)
from isocenter.evaluation.measure import Pair

SPACING_MM = (3.0, 0.8, 0.8)
SIZE = 256
NUM_SLICES = 6
NOISE_HU = 12.0


def anatomy(seed: int = 0) -> NDArray:
    """A body whose soft tissue holds faint detail of many sizes, the same in every slice."""
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 1.5)
    row, column = np.indices((SIZE, SIZE)) - SIZE / 2 + 0.5
    body = np.hypot(row, column) < 115
    image = np.where(body, 60 + 8 * fine / fine.std(), -1000.0)
    return np.repeat(image[None], NUM_SLICES, axis=0)


def noise(level: float, seed: int) -> NDArray:
    return np.random.default_rng(seed).normal(0, level, (NUM_SLICES, SIZE, SIZE))


def smooth(image: NDArray, sigma_mm: float) -> NDArray:
    return ndimage.gaussian_filter(image, (0, *(sigma_mm / step for step in SPACING_MM[1:])))


def kept(reference: NDArray, test: NDArray) -> float:
    found = faint_detail(reference, test, spacing_mm=SPACING_MM)
    assert found is not None
    assert found.is_sure
    return found.kept


@pytest.fixture(scope="module")
def full() -> NDArray:
    return anatomy() + noise(NOISE_HU, seed=1)


@pytest.fixture(scope="module")
def low() -> NDArray:
    return anatomy() + noise(2 * NOISE_HU, seed=2)


def test_the_reference_keeps_all_of_itself(full: NDArray) -> None:
    assert kept(full, full) == 1.0


def test_noise_takes_nothing_away(full: NDArray, low: NDArray) -> None:
    assert kept(full, low) == pytest.approx(1, abs=0.04)


def test_a_share_of_the_contrast_is_that_share(full: NDArray) -> None:
    low = 0.6 * anatomy() + noise(NOISE_HU, seed=3)
    assert kept(full, low) == pytest.approx(0.6, abs=0.03)


def test_a_blur_keeps_what_its_transfer_function_says() -> None:
    """Of white detail through a difference of Gaussians, by the overlap of their kernels."""
    clean = anatomy()
    sigma = 1.2
    found = kept(clean, smooth(clean, sigma))
    own = 1.5 * SPACING_MM[1]  # of the anatomy itself

    def overlap(after: float) -> float:
        total = 0.0
        for one, sign in zip(DETAIL_MM, (1, -1), strict=True):
            for other, against in zip(DETAIL_MM, (1, -1), strict=True):
                total += sign * against / (one**2 + other**2 + 2 * own**2 + after**2)
        return total

    assert found == pytest.approx(overlap(sigma) / overlap(0.0), rel=0.06)


@pytest.mark.parametrize("start", ["full", "low"])
def test_more_blur_never_keeps_more(start: str, full: NDArray, low: NDArray) -> None:
    image = {"full": full, "low": low}[start]
    shares = [kept(full, smooth(image, sigma)) for sigma in (0.0, 0.5, 1.0, 2.0)]
    assert all(later < earlier - 0.02 for earlier, later in itertools.pairwise(shares))


@pytest.mark.parametrize(
    "smoothing",
    [
        lambda image: ndimage.median_filter(image, (1, 5, 5)),
        lambda image: ndimage.uniform_filter(image, (0, 4, 4)),
        lambda image: np.where(
            np.abs(image - smooth(image, 2)) < 40, smooth(image, 2), image
        ),  # what stands out is kept, all else is smoothed away
    ],
    ids=["median", "mean", "edge-keeping"],
)
def test_smoothing_of_any_kind_keeps_less(smoothing, full: NDArray, low: NDArray) -> None:  # type: ignore[no-untyped-def]
    assert kept(full, smoothing(low)) < 0.85


def volume(array: NDArray) -> Volume:
    geometry = Geometry(shape=array.shape, spacing_mm=SPACING_MM)
    return Volume(array=array.astype(np.float32), geometry=geometry, unit="HU")


def test_a_plain_blur_ties_with_the_plain_blur_to_the_same_noise(full: NDArray) -> None:
    found = evaluate(volume(full), volume(smooth(full, 1.0)))
    assert found.faint_detail is not None
    assert found.equal_noise_blur is not None
    assert found.equal_noise_blur.sigma_mm == pytest.approx(1.0, rel=0.1)
    assert found.faint_detail.kept == pytest.approx(found.equal_noise_blur.kept, abs=0.05)


def test_a_blurred_low_dose_loses_against_the_plain_blur_to_the_same_noise(
    full: NDArray, low: NDArray
) -> None:
    found = evaluate(volume(full), volume(smooth(low, 1.5)))
    assert found.faint_detail is not None
    assert found.equal_noise_blur is not None
    assert found.faint_detail.kept < found.equal_noise_blur.kept - 0.05


def test_less_noise_without_loss_wins_against_it(full: NDArray) -> None:
    quiet = volume(anatomy() + noise(NOISE_HU / 4, seed=5))
    found = evaluate(volume(full), quiet)
    assert found.faint_detail is not None
    assert found.equal_noise_blur is not None
    assert found.faint_detail.kept > found.equal_noise_blur.kept + 0.1
    (row,) = [row for row in found.rows() if row.measure.startswith("Faint detail")]
    assert "a plain blur to the same noise" in row.against_reference


def test_a_noisier_test_needs_no_blur(full: NDArray, low: NDArray) -> None:
    found = evaluate(volume(full), volume(low))
    assert found.equal_noise_blur is not None
    assert (found.equal_noise_blur.sigma_mm, found.equal_noise_blur.kept) == (0.0, 1.0)


def test_blurs_between_those_measured_lie_between(full: NDArray) -> None:
    found = faint_detail(full, full, spacing_mm=SPACING_MM)
    assert found is not None
    assert found.kept_by_blur(0.0) == 1.0
    assert found.kept_by_blur(BLURS_MM[1]) == found.kept_by_blurs[1]
    assert found.kept_by_blurs[1] < found.kept_by_blur(0.6) < found.kept_by_blurs[0] < 1


def test_slices_that_share_noise_are_kept_apart() -> None:
    thick = ndimage.uniform_filter1d(noise(3 * NOISE_HU, seed=6), 2, axis=0)
    full, low = anatomy() + thick, anatomy() + noise(NOISE_HU, seed=7)
    near, far = (faint_detail(full, low, spacing_mm=SPACING_MM, step=step) for step in (1, 2))
    assert near is not None
    assert far is not None
    assert near.kept < 0.6
    assert far.kept == pytest.approx(1, abs=0.1)


def test_slices_that_overlap_are_found_by_their_thickness(full: NDArray, low: NDArray) -> None:
    from isocenter.core.acquisition import CtAcquisition

    thick = replace(volume(full), acquisition=CtAcquisition(slice_thickness_mm=6.0))
    found = evaluate(thick, volume(low))
    assert found.faint_detail is not None
    assert found.faint_detail.num_pairs == NUM_SLICES - 2


@pytest.mark.parametrize("num_slices", [1, 3])
def test_too_few_slices_tell_nothing(full: NDArray, num_slices: int) -> None:
    part = full[:num_slices]
    assert faint_detail(part, part, spacing_mm=SPACING_MM) is None


def test_air_and_lung_tell_nothing() -> None:
    air = np.full((5, 64, 64), -900.0)
    assert faint_detail(air, air, spacing_mm=SPACING_MM) is None


def test_gaps_between_slices_are_not_bridged(full: NDArray) -> None:
    everywhere = np.ones((SIZE, SIZE), bool)
    meter = FaintDetailMeter()
    for index in (0, 2, 4, 6):
        image = full[index % NUM_SLICES]
        meter.add(
            Pair(
                index=index,
                reference=image,
                test=image,
                valid=everywhere,
                body=everywhere,
                spacing_mm=SPACING_MM[1:],
            )
        )
    assert meter.result() is None
