from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.modelpack.conformal import conformal_factor


def scores(*, seed: int, scale: float = 1.0, count: int = 5000) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(0, scale, count))


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
