from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.evaluation.ct import edge_sharpness

SPACING_MM = (2.0, 0.7, 0.6)
HIGH = "air or lung to soft tissue"
LOW = "fat to soft tissue"


def disc(
    sigma_mm: float,
    *,
    inside_hu: float = 40.0,
    outside_hu: float = -1000.0,
    radius_mm: float = 55.0,
) -> NDArray:
    """A disc blurred by a Gaussian; its edge is straight enough for the error function."""
    from scipy.special import erf

    row, column = ((np.arange(256) - 127.3) * step for step in SPACING_MM[1:])
    depth = radius_mm - np.hypot(row[:, None], column[None, :])
    profile = 0.5 * (1 + erf(depth / (sigma_mm * math.sqrt(2))))
    return (outside_hu + (inside_hu - outside_hu) * profile)[None]


def gaussian_transfer(frequency_per_mm: NDArray, sigma_mm: float) -> NDArray:
    return np.exp(-2 * (np.pi * frequency_per_mm * sigma_mm) ** 2)


@pytest.mark.parametrize("sigma_mm", [0.4, 0.7, 1.1])
def test_gaussian_disc_has_the_gaussian_transfer_function(sigma_mm: float) -> None:
    reference = disc(0.5)
    found = edge_sharpness(reference, disc(sigma_mm), spacing_mm=SPACING_MM)[HIGH].test
    expected = gaussian_transfer(found.frequency_per_mm, sigma_mm)
    np.testing.assert_allclose(found.transfer, expected, atol=0.03)
    assert found.f50_per_mm == pytest.approx(
        math.sqrt(math.log(2) / 2) / (math.pi * sigma_mm), rel=0.03
    )
    assert (
        found.f10_per_mm
        == pytest.approx(math.sqrt(math.log(10) / 2) / (math.pi * sigma_mm), rel=0.05)
        or sigma_mm < 0.5
    )


def test_noise_changes_the_ratio_by_no_more_than_its_error() -> None:
    rng = np.random.default_rng(4)
    reference = np.repeat(disc(0.6), 4, axis=0) + rng.normal(0, 30, (4, 256, 256))
    test = np.repeat(disc(0.9), 4, axis=0) + rng.normal(0, 60, (4, 256, 256))
    found = edge_sharpness(reference, test, spacing_mm=SPACING_MM)[HIGH]
    assert found.f50_ratio == pytest.approx(0.6 / 0.9, abs=0.02 + 3 * found.f50_ratio_error)
    assert found.f50_ratio_error < 0.02


def test_edges_of_low_contrast_are_judged_apart() -> None:
    body = disc(0.6, inside_hu=-100.0, radius_mm=70.0)
    sharp = body + disc(0.6, inside_hu=150.0, outside_hu=0.0, radius_mm=45.0)
    soft = body + disc(1.2, inside_hu=150.0, outside_hu=0.0, radius_mm=45.0)
    found = edge_sharpness(sharp, soft, spacing_mm=SPACING_MM)
    assert found[HIGH].f50_ratio == pytest.approx(1, abs=0.01)
    assert found[LOW].f50_ratio == pytest.approx(0.5, abs=0.05)
    assert found[LOW].reference.contrast_hu == pytest.approx(150, rel=0.05)


def test_identical_images_have_ratio_one() -> None:
    found = edge_sharpness(disc(0.5), disc(0.5), spacing_mm=SPACING_MM)[HIGH]
    assert found.f50_ratio == 1
    assert found.f50_ratio_error == 0


def test_no_edges_no_answer() -> None:
    water = np.full((1, 128, 128), 0.0)
    assert edge_sharpness(water, water, spacing_mm=SPACING_MM) == {}
