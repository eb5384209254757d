from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.evaluation.ct.windows import ABDOMEN_WINDOW, CHEST_WINDOW, HU_RANGE, PROTOCOLS
from isocenter.evaluation.fidelity import (
    FidelityScores,
    Protocol,
    fidelity,
    pool,
    psnr_db,
    rmse,
    slice_fidelity,
    ssim,
    stated_range,
)
from isocenter.evaluation.measure import array_pairs, measure


@pytest.fixture
def scan() -> NDArray:
    return np.random.default_rng(1).normal(0, 60, (3, 40, 48)).astype(np.float32)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)
def test_identical_images_are_perfect(scan: NDArray, protocol: Protocol) -> None:
    score = fidelity(scan, scan, protocol=protocol)
    assert (score.rmse, score.psnr_db) == (0, math.inf)
    assert score.ssim == pytest.approx(1, abs=1e-12)
    assert psnr_db(scan, scan, protocol=protocol) == math.inf


def test_named_windows_are_what_their_names_say() -> None:
    assert (HU_RANGE.low, HU_RANGE.high) == (-1000, 1000)
    assert (CHEST_WINDOW.data_range, CHEST_WINDOW.low) == (1500, -600 - 750)
    assert (ABDOMEN_WINDOW.data_range, ABDOMEN_WINDOW.low) == (400, 40 - 200)


def test_known_offset_gives_known_rmse_and_psnr(scan: NDArray) -> None:
    score = fidelity(scan, scan + 10, protocol=HU_RANGE)
    assert score.rmse == pytest.approx(10, rel=1e-5)
    assert score.psnr_db == pytest.approx(20 * math.log10(2000 / 10), abs=1e-3)
    assert rmse(scan, scan + 10, protocol=HU_RANGE) == pytest.approx(10, rel=1e-5)


def test_errors_outside_the_window_do_not_count() -> None:
    reference = np.full((20, 20), 900.0)
    assert rmse(reference, reference + 50, protocol=ABDOMEN_WINDOW) == 0
    assert rmse(reference, reference + 50, protocol=HU_RANGE) == pytest.approx(50)


def test_only_voxels_inside_the_mask_count(scan: NDArray) -> None:
    mask = np.zeros(scan.shape, bool)
    mask[:, 10:20, 10:20] = True
    test = scan + np.where(mask, 0, 100)
    assert rmse(scan, test, protocol=HU_RANGE, mask=mask) == 0
    assert fidelity(scan, test, protocol=HU_RANGE, mask=mask).num_voxels == 300
    assert math.isnan(fidelity(scan, test, protocol=HU_RANGE, mask=~(mask | ~mask)).rmse)


def test_psnr_does_not_depend_on_the_brightest_voxel(scan: NDArray) -> None:
    bright = scan.copy()
    bright[0, 0, 0] = 3000
    noisy, noisy_bright = scan + 5, bright + 5
    assert psnr_db(scan, noisy, protocol=HU_RANGE) == pytest.approx(
        psnr_db(bright, noisy_bright, protocol=HU_RANGE), abs=1e-2
    )


def test_pooled_scores_equal_scores_of_the_whole(scan: NDArray) -> None:
    test = scan + np.random.default_rng(2).normal(0, 20, scan.shape)
    parts = [slice_fidelity(a, b, protocol=HU_RANGE) for a, b in zip(scan, test, strict=True)]
    whole = rmse(scan, test, protocol=HU_RANGE)
    assert pool(parts).rmse == pytest.approx(whole, rel=1e-12)
    assert pool(parts).ssim == pytest.approx(np.mean([part.ssim for part in parts]), rel=1e-12)


def test_ssim_falls_with_noise_and_with_blur(scan: NDArray) -> None:
    from scipy import ndimage

    noisy = scan + np.random.default_rng(3).normal(0, 60, scan.shape)
    blurred = ndimage.gaussian_filter(scan, (0, 1, 1))
    assert ssim(scan, noisy, protocol=HU_RANGE) < 0.999
    assert ssim(scan, blurred, protocol=ABDOMEN_WINDOW) < 0.9


def test_other_shapes_protocols_and_masks_are_refused(scan: NDArray) -> None:
    with pytest.raises(ValueError, match="one shape"):
        rmse(scan, scan[:2], protocol=HU_RANGE)
    with pytest.raises(ValueError, match="must exceed"):
        Protocol(name="upside down", low=100, high=-100, unit="HU")
    with pytest.raises(ValueError, match="one protocol"):
        pool([slice_fidelity(scan[0], scan[0], protocol=each) for each in PROTOCOLS])
    with pytest.raises(ValueError, match="11 rows"):
        ssim(scan[0, :8], scan[0, :8], protocol=HU_RANGE)


def test_a_range_of_any_unit_is_scored_over_what_was_measured(scan: NDArray) -> None:
    diffusion = stated_range(0, 3000, unit="µm²/s")
    scores = FidelityScores([diffusion])
    (found,) = measure(array_pairs(scan + 900, scan + 912), [scores])
    assert found[0].rmse == pytest.approx(12, rel=1e-3)
    assert found[0].num_voxels == scan.size
    assert [len(parts) for parts in scores.of_slices()] == [3]
