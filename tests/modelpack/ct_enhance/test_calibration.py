from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.image.ct_tissue import TISSUES
from isocenter.modelpack.ct_enhance.calibration import (
    CLASSES,
    OTHER,
    Calibration,
    conformal_factor,
    tissue_classes,
)


def scores(*, seed: int, scale: float = 1.0, count: int = 5000) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(0, scale, count))


def table(**factors: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    return {name: factors.get(name, (1.0, 1.0)) for name in CLASSES}


def levels(low: float, high: float) -> Calibration:
    return Calibration(
        coverage=0.9,
        noise_hu=(10.0, 40.0),
        below=table(lung=(low, high)),
        above=table(lung=(2 * low, 2 * high)),
    )


LUNG = np.full((2, 2), CLASSES.index("lung"))


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_the_factor_covers_the_share_asked_for_on_new_patients(coverage: float) -> None:
    factor = conformal_factor([scores(seed=seed) for seed in range(6)], coverage)
    fresh = np.concatenate([scores(seed=seed) for seed in range(100, 106)])
    assert (fresh <= factor).mean() == pytest.approx(coverage, abs=0.01)


def test_the_factor_of_a_normal_distribution_is_known() -> None:
    assert conformal_factor([scores(seed=1, count=200_000)], 0.9) == pytest.approx(1.645, rel=0.01)


def test_a_patient_with_ten_times_the_voxels_counts_no_more() -> None:
    small, large = scores(seed=1, scale=1.0), scores(seed=2, scale=3.0)
    equal = conformal_factor([small, large], 0.9)
    assert conformal_factor([small, np.tile(large, 10)], 0.9) == pytest.approx(equal, rel=1e-3)
    assert conformal_factor([np.tile(small, 10), large], 0.9) == pytest.approx(equal, rel=1e-3)
    pooled = conformal_factor([np.concatenate([np.tile(small, 10), large])], 0.9)
    assert pooled < 0.7 * equal


def test_patients_without_voxels_are_passed_over() -> None:
    only = scores(seed=1)
    assert conformal_factor([np.empty(0), only], 0.9) == conformal_factor([only], 0.9)


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(st.floats(0, 100), min_size=1, max_size=30).map(np.array), min_size=1, max_size=5
    ),
    st.floats(0.05, 0.99),
)
def test_the_factor_is_the_smallest_that_covers(patients: list[np.ndarray], share: float) -> None:
    factor = conformal_factor(patients, share)
    covered = np.mean([(one <= factor).mean() for one in patients])
    assert covered >= share - 1e-9
    smaller = np.mean([(one < factor).mean() for one in patients])
    assert smaller <= share + 1e-9


@pytest.mark.parametrize(
    ("noise_hu", "expected"),
    [(10.0, 1.0), (40.0, 3.0), (20.0, 2.0), (1.0, 1.0), (0.0, 1.0), (400.0, 3.0)],
)
def test_factors_run_evenly_over_the_logarithm_of_the_noise(
    noise_hu: float, expected: float
) -> None:
    below, above = levels(1.0, 3.0).factors(LUNG, noise_hu)
    assert np.allclose(below, expected)
    assert np.allclose(above, 2 * expected)
    assert below.dtype == np.float32


@pytest.mark.parametrize("noise_hu", [float("nan"), float("inf")])
def test_noise_that_was_not_measured_still_gets_a_factor(noise_hu: float) -> None:
    below, _ = levels(1.0, 3.0).factors(LUNG, noise_hu)
    assert np.isfinite(below).all()


def test_each_voxel_gets_the_factor_of_its_class() -> None:
    classes = np.array([[CLASSES.index("lung"), CLASSES.index("bone")]])
    below, above = levels(3.0, 3.0).factors(classes, 20.0)
    assert below.tolist() == [[3.0, 1.0]]
    assert above.tolist() == [[6.0, 1.0]]


@pytest.mark.parametrize("name", TISSUES)
def test_tissue_classes_name_the_range_they_lie_in(name: str) -> None:
    low, high = TISSUES[name]
    flat = np.full((8, 8), (low + high) / 2)
    assert (tissue_classes(flat, spacing_mm=(1.0, 1.0)) == CLASSES.index(name)).all()


@pytest.mark.parametrize("value", [-3024.0, -1000.0, -300.0, 0.0, 3500.0])
def test_every_other_value_is_of_the_other_class(value: float) -> None:
    found = tissue_classes(np.full((8, 8), value), spacing_mm=(1.0, 1.0))
    assert (found == CLASSES.index(OTHER)).all()
