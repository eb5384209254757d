from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.evaluation.uncertainty import (
    error_retention,
    interval_coverage,
    pool_coverage,
    slice_coverage,
)

SHAPE = (4, 80, 80)


@pytest.fixture
def spread_hu() -> NDArray:
    return np.random.default_rng(0).uniform(2, 30, SHAPE)


@pytest.fixture
def error_hu(spread_hu: NDArray) -> NDArray:
    return spread_hu * np.random.default_rng(1).standard_normal(SHAPE)


def halves() -> dict[str, NDArray]:
    left = np.zeros(SHAPE, bool)
    left[:, :, :40] = True
    return {"left": left, "right": ~left}


def test_intervals_of_a_gaussian_cover_what_they_say(error_hu: NDArray, spread_hu: NDArray) -> None:
    half = 1.6449 * spread_hu
    found = interval_coverage(error_hu, -half, half, masks=halves())
    for name in ("left", "right"):
        assert found[name].fraction.mean == pytest.approx(0.9, abs=0.01)
    assert found["left"].mean_width == pytest.approx(2 * 1.6449 * 16, rel=0.02)


def test_a_class_that_is_promised_too_much_is_found(error_hu: NDArray, spread_hu: NDArray) -> None:
    half = 1.6449 * spread_hu * np.where(halves()["left"], 0.5, 1.0)
    found = interval_coverage(error_hu, -half, half, masks=halves())
    assert found["left"].fraction.high < 0.65
    assert found["right"].fraction.mean == pytest.approx(0.9, abs=0.01)


def test_coverage_of_few_patients_is_less_sure_than_of_many_slices() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.normal(0, 1, 6), 10)[:, None, None] + rng.normal(0, 0.2, (60, 20, 20))
    patients = np.repeat(np.arange(6), 10).tolist()
    one = np.ones(truth.shape[1:])
    parts = [
        part for image in truth for part in slice_coverage(image, -one, one, masks={"all": one > 0})
    ]
    of_patients = pool_coverage(parts, patients=patients)["all"].fraction
    of_slices = pool_coverage(parts)["all"].fraction
    assert of_patients.mean == pytest.approx(of_slices.mean)
    assert of_patients.high - of_patients.low > 2 * (of_slices.high - of_slices.low)


def test_swapped_limits_are_refused(error_hu: NDArray) -> None:
    with pytest.raises(ValueError, match="swapped"):
        slice_coverage(error_hu[0], error_hu[0] + 1, error_hu[0] - 1, masks={})


def test_an_uncertainty_equal_to_the_error_is_perfect(error_hu: NDArray) -> None:
    found = error_retention(error_hu, np.abs(error_hu))
    assert found.ause == pytest.approx(0, abs=1e-12)
    assert found.correlation == pytest.approx(1)


def test_an_ignorant_uncertainty_is_no_better_than_chance(error_hu: NDArray) -> None:
    found = error_retention(error_hu, np.random.default_rng(3).uniform(size=SHAPE))
    assert found.ause == pytest.approx(found.random_ause, rel=0.05)
    assert abs(found.correlation) < 0.03


def test_a_constant_uncertainty_sorts_nothing(error_hu: NDArray) -> None:
    found = error_retention(error_hu, np.ones(SHAPE))
    assert found.ause == pytest.approx(found.random_ause, rel=0.05)
    assert np.isnan(found.correlation)


def test_the_true_spread_lies_between(error_hu: NDArray, spread_hu: NDArray) -> None:
    found = error_retention(error_hu, spread_hu)
    assert 0.05 < found.ause < 0.8 * found.random_ause
    assert 0.3 < found.correlation < 0.8
    assert found.rmse[0] == pytest.approx(np.sqrt(np.mean(error_hu**2)))


def test_planted_errors_are_found_by_the_map_that_marks_them() -> None:
    error = np.ones((64, 64))
    error[20:30, 20:30] = 100
    marked = error_retention(error, error > 50)
    missed = error_retention(error, error < 50)
    assert marked.rmse[5] == pytest.approx(1)
    assert missed.rmse[-5] > 15


def test_an_empty_mask_is_refused(error_hu: NDArray) -> None:
    with pytest.raises(ValueError, match="no voxel"):
        error_retention(error_hu, error_hu, mask=np.zeros(SHAPE, bool))
