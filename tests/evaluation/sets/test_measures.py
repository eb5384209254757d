"""Figures between sets, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.evaluation.sets.half_samples import against_real, split_patients
from isocenter.evaluation.sets.kernel_distance import kernel_distance, kernel_distance_of_blocks
from isocenter.evaluation.sets.neighbors import neighborhood
from isocenter.evaluation.sets.ranking import area_under_roc, areas_of_classes


def drawn(count: int, seed: int, shift: float = 0.0, features: int = 4) -> NDArray:
    return np.random.default_rng(seed).standard_normal((count, features)) + shift


def test_kernel_distance_of_one_source_is_zero_on_average_however_few_images() -> None:
    found = [kernel_distance(drawn(10, 2 * k), drawn(10, 2 * k + 1)) for k in range(300)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0 < max(found)


def test_kernel_distance_is_the_double_sum() -> None:
    a, b = drawn(3, 0), drawn(4, 1, 0.5)

    def kernel(x: NDArray, y: NDArray) -> float:
        return float((x @ y / 4 + 1) ** 3)

    within_a = np.mean([kernel(a[i], a[j]) for i in range(3) for j in range(3) if i != j])
    within_b = np.mean([kernel(b[i], b[j]) for i in range(4) for j in range(4) if i != j])
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * across)


def test_kernel_distance_grows_with_the_shift_and_blocks_agree() -> None:
    found = [kernel_distance(drawn(150, 0), drawn(150, 1, shift)) for shift in (0, 0.5, 1.0)]
    assert found == sorted(found)
    mean, deviation = kernel_distance_of_blocks(drawn(300, 0), drawn(300, 1, 0.5), blocks=10)
    assert mean == pytest.approx(found[1], rel=0.35)
    assert 0 < deviation < mean


def test_equal_sources_are_near_perfect_neighbors() -> None:
    found = neighborhood(drawn(300, 0, features=2), drawn(300, 1, features=2))
    assert min(found.precision, found.recall, found.coverage) > 0.9
    assert found.density == pytest.approx(1, abs=0.1)


def test_one_image_again_and_again_is_precise_and_covers_nothing() -> None:
    real = drawn(200, 0)
    generated = real.mean(axis=0) + 1e-3 * drawn(200, 1)
    found = neighborhood(real, generated)
    assert found.precision > 0.9
    assert found.recall < 0.05
    assert found.coverage < 0.2


def test_noise_around_everything_is_not_precise() -> None:
    found = neighborhood(drawn(200, 0), 6 * drawn(200, 1))
    assert found.precision < 0.3
    assert found.density < 0.2


def test_one_outlier_fools_precision_more_than_density() -> None:
    real = np.concatenate([drawn(100, 0), np.full((6, 4), 30.0) + 20 * drawn(6, 5)])
    generated = drawn(100, 1, 25.0)
    found = neighborhood(real, generated)
    assert found.precision > 0.5
    assert found.coverage < 0.1


@pytest.mark.parametrize(
    ("a", "b"), [(np.zeros((1, 3)), np.zeros((5, 3))), (np.zeros((5, 2)), np.zeros((5, 3)))]
)
def test_sets_that_cannot_be_compared_are_refused(a: NDArray, b: NDArray) -> None:
    with pytest.raises(ValueError, match=r"got|measure both"):
        kernel_distance(a, b)


def test_too_few_neighbors_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 5"):
        neighborhood(drawn(5, 0), drawn(20, 1))


def gap(real: NDArray, other: NDArray) -> float:
    return float(abs(real.mean() - other.mean()))


def test_a_generator_from_the_real_source_is_at_the_floor() -> None:
    real, patients = drawn(200, 0), np.arange(200) // 4
    found = against_real(gap, real, drawn(200, 1), patients, halves=40)
    assert found.floor_low <= found.at_same_size <= found.floor_high
    assert found.num_each == (100, 100)


def test_another_source_is_above_the_floor() -> None:
    found = against_real(gap, drawn(200, 0), drawn(200, 1, 1.0), np.arange(200), halves=20)
    assert found.at_same_size > found.floor_high
    assert found.low > found.floor
    assert found == against_real(gap, drawn(200, 0), drawn(200, 1, 1.0), np.arange(200), halves=20)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    def shift(real: NDArray, other: NDArray) -> float:
        return float(other.mean() - real.mean())

    inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        patients = np.repeat(np.arange(20), 3)
        real = rng.standard_normal(20)[patients][:, None]
        other = rng.standard_normal((40, 1)) + 0.7
        found = against_real(shift, real, other, patients, halves=30, seed=seed)
        inside += found.low <= 0.7 <= found.high
    assert 86 <= inside <= 100


def test_patients_of_a_split_are_never_on_both_sides() -> None:
    owner = np.arange(50) // 3
    first, second = split_patients(owner, np.random.default_rng(0))
    assert not set(owner[first]) & set(owner[second])
    assert sorted([*first, *second]) == list(range(50))


def test_an_interval_is_cut_where_the_figure_cannot_be() -> None:
    found = against_real(
        lambda real, other: 0.5, drawn(20, 0), drawn(20, 1), np.arange(20), least=0.5, most=0.5
    )
    assert (found.low, found.high) == (0.5, 0.5)


@pytest.mark.parametrize("patients", [np.zeros(20), np.arange(19)])
def test_patients_are_needed(patients: NDArray) -> None:
    with pytest.raises(ValueError, match="patient"):
        against_real(gap, drawn(20, 0), drawn(20, 1), patients)


def test_area_under_roc_counts_pairs() -> None:
    positive = np.array([True, True, False, False, False])
    scores = np.array([3.0, 1.0, 2.0, 1.0, 0.0])
    wins = [1, 1, 1, 0, 0.5, 1]
    assert area_under_roc(positive, scores) == pytest.approx(np.mean(wins))
    assert np.isnan(area_under_roc(np.ones(3, bool), np.ones(3)))


def test_two_classes_have_one_area_and_three_have_three() -> None:
    perfect = np.eye(3)[[0, 1, 2, 0]]
    assert areas_of_classes(np.array([0, 1, 2, 0]), perfect).tolist() == [1, 1, 1]
    assert areas_of_classes(np.array([0, 1]), np.eye(2)).tolist() == [1]
