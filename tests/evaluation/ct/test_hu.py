from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.ct import hu_bias
from isocenter.evaluation.ct.hu import pool_hu_bias, slice_hu_bias

SPACING_MM = (3.0, 0.7, 0.7)


@pytest.fixture
def body() -> NDArray:
    image = np.full((4, 192, 192), -1000.0)
    image[:, 16:-16, 16:-16] = 55.0
    image[:, 16:44, 16:-16] = -100.0
    image[:, 60:100, 40:90] = -850.0
    image[:, 110:150, 60:120] = 180.0
    return image


def coarse_noise(shape: tuple[int, ...], sigma_hu: float, seed: int = 0) -> NDArray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 1.2, 1.2))
    return noise * (sigma_hu / noise.std())


def test_added_offset_is_found_in_every_tissue(body: NDArray) -> None:
    found = hu_bias(body, body + 7, spacing_mm=SPACING_MM)
    assert {"lung", "fat", "muscle", "blood"} <= set(found)
    for tissue in found.values():
        assert tissue.bias_hu == pytest.approx(7)
        assert tissue.interval_hu.low == pytest.approx(7)


def test_offset_in_one_tissue_is_found_there_alone(body: NDArray) -> None:
    found = hu_bias(body, body + np.where(body == -100, 12, 0), spacing_mm=SPACING_MM)
    assert found["fat"].bias_hu == pytest.approx(12)
    assert found["muscle"].bias_hu == pytest.approx(0)
    assert found["muscle"].reference_hu == pytest.approx(55)


def test_a_perfect_result_shows_no_bias_against_a_noisy_reference(body: NDArray) -> None:
    noisy = body + coarse_noise(body.shape, 25)
    found = hu_bias(noisy, body, spacing_mm=SPACING_MM)
    assert abs(found["muscle"].bias_hu) < 1
    assert abs(found["fat"].bias_hu) < 2


def test_interval_covers_zero_for_independent_noise(body: NDArray) -> None:
    found = hu_bias(
        body + coarse_noise(body.shape, 10),
        body + coarse_noise(body.shape, 20, 1),
        spacing_mm=SPACING_MM,
    )["muscle"].interval_hu
    assert found.low - 0.5 < 0 < found.high + 0.5
    assert found.unit == "slice"


def test_patients_can_be_the_unit(body: NDArray) -> None:
    parts = [
        part
        for offset in (1.0, 3.0)
        for part in slice_hu_bias(body[0], body[0] + offset, spacing_mm=SPACING_MM[1:])
        if part.tissue == "muscle"
    ]
    pooled = pool_hu_bias(parts, patients=["a", "b"])["muscle"]
    assert pooled.bias_hu == pytest.approx(2)
    assert (pooled.interval_hu.unit, pooled.interval_hu.num_units) == ("patient", 2)
