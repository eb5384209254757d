from __future__ import annotations

import numpy as np
import pytest

from isocenter.evaluation.continuity import inter_slice_continuity


def test_independent_noise_has_its_known_mean_difference() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 10, (6, 64, 64))
    found = inter_slice_continuity(noise, 3 * noise)
    assert found is not None
    assert found.reference == pytest.approx(10 * 2 / np.sqrt(np.pi), rel=0.02)
    assert found.ratio == pytest.approx(3)
    assert found.num_pairs == 5


def test_flicker_raises_and_smearing_lowers_the_ratio() -> None:
    rng = np.random.default_rng(1)
    scan = rng.normal(0, 10, (8, 32, 32))
    flicker = scan + rng.normal(0, 30, (8, 1, 1))
    smeared = (scan + np.roll(scan, 1, axis=0)) / 2
    assert inter_slice_continuity(scan, flicker).ratio > 1.5  # type: ignore[union-attr]
    assert inter_slice_continuity(scan, smeared).ratio < 0.9  # type: ignore[union-attr]


def test_only_the_body_counts() -> None:
    scan = np.random.default_rng(2).normal(0, 10, (3, 32, 32))
    mask = np.zeros(scan.shape, bool)
    mask[:, :16] = True
    test = scan.copy()
    test[1, 16:] += 500
    found = inter_slice_continuity(scan, test, mask=mask)
    assert found is not None
    assert found.ratio == 1


def test_single_slice_has_no_continuity() -> None:
    assert inter_slice_continuity(np.zeros((1, 8, 8)), np.zeros((1, 8, 8))) is None
