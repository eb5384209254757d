"""An over-fitted model is found out, and one that never saw the images is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.evaluation.sets.membership import (
    diffusion_loss_scores,
    exact_limits,
    judge_attack,
    reconstruction_scores,
    step_error_scores,
)

SIZE = 6


def drawn(count: int, seed: int) -> NDArray:
    return np.random.default_rng(seed).standard_normal((count, 1, SIZE, SIZE)).astype(np.float32)


def memory_of(kept: NDArray) -> Callable[[NDArray, float], NDArray]:
    """The exact velocity of a flow to the kept images alone: an over-fitted generator."""

    def velocity(state: NDArray, time: float) -> NDArray:
        flat, spread = kept.reshape(len(kept), -1), max(time, 0.02)
        distance = ((state.reshape(len(state), 1, -1) - (1 - time) * flat) ** 2).sum(axis=2)
        weight = -distance / (2 * spread**2)
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        clean = (weight @ flat).reshape(state.shape)
        return (state - clean) / spread

    return velocity


def of_the_source(state: NDArray, time: float) -> NDArray:
    """The exact velocity of a flow to the whole source, a standard Gaussian: it saw no image."""
    variance = (1 - time) ** 2 + time**2
    clean = (1 - time) * state / variance
    noise = time * state / variance
    return noise - clean


@pytest.mark.parametrize("scores", [diffusion_loss_scores, step_error_scores])
def test_an_over_fitted_generator_is_found_out(
    scores: Callable[..., NDArray],
) -> None:
    members, others = drawn(40, 0), drawn(100, 1)
    model = memory_of(members)
    found = judge_attack(scores(model, members), scores(model, others), resamples=100)
    assert found.auc > 0.95
    assert found.true_rate > 0.8
    assert found.true_low > found.false_rate


@pytest.mark.parametrize("scores", [diffusion_loss_scores, step_error_scores])
def test_a_generator_that_has_not_seen_them_is_not(scores: Callable[..., NDArray]) -> None:
    found = judge_attack(
        scores(of_the_source, drawn(150, 0)), scores(of_the_source, drawn(150, 1)), resamples=200
    )
    assert found.auc_low < 0.5 < found.auc_high
    assert found.true_low <= 0.01


def test_an_autoencoder_that_knows_its_images_is_found_out() -> None:
    members, others = drawn(30, 0), drawn(120, 1)

    def nearest(images: NDArray) -> NDArray:
        distance = ((images[:, None] - members[None]) ** 2).sum(axis=(2, 3, 4))
        return members[distance.argmin(axis=1)]

    found = judge_attack(
        reconstruction_scores(nearest, members), reconstruction_scores(nearest, others)
    )
    assert (found.auc, found.true_rate) == (1, 1)
    assert found.false_rate <= 0.01

    def same(images: NDArray) -> NDArray:
        return 0.9 * images

    blind = judge_attack(reconstruction_scores(same, members), reconstruction_scores(same, others))
    assert blind.auc_low < 0.5 < blind.auc_high


def test_the_true_rate_is_that_at_the_allowed_false_alarms() -> None:
    others = np.arange(100.0)
    members = np.array([98.5] * 6 + [98.0] * 4)
    found = judge_attack(members, others)
    assert found.false_rate == 0.01
    assert found.true_rate == 0.6
    few = judge_attack(members, np.arange(50.0))
    assert (few.false_rate, few.true_rate) == (0, 1)


def test_exact_limits_are_those_of_the_binomial() -> None:
    from scipy import stats

    low, high = exact_limits(7, 20)
    assert stats.binom.sf(6, 20, low) == pytest.approx(0.025)
    assert stats.binom.cdf(7, 20, high) == pytest.approx(0.025)
    assert exact_limits(0, 20)[0] == 0
    assert exact_limits(20, 20)[1] == 1


def test_patients_are_judged_and_not_images() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(120)
    of_patient = np.arange(60) // 4
    found = judge_attack(
        scores[:60],
        scores[60:],
        member_patients=[f"a{k}" for k in of_patient],
        other_patients=[f"b{k}" for k in of_patient],
        resamples=50,
    )
    assert (found.unit, found.num_members, found.num_others) == ("patient", 15, 15)


def test_all_images_meet_the_same_noise() -> None:
    twins = np.repeat(drawn(1, 0), 2, axis=0)
    one, two = diffusion_loss_scores(of_the_source, twins)
    assert one == pytest.approx(two)


@pytest.mark.parametrize(
    ("members", "others", "patients", "words"),
    [
        (np.zeros(5), np.zeros(50), None, "10 or more images"),
        (np.full(20, np.nan), np.zeros(20), None, "finite"),
        (np.zeros(20), np.zeros(20), (["a"] * 20, ["a"] * 20), "split by patient"),
        (np.zeros(20), np.zeros(20), (["a"] * 20, None), "of neither"),
        (np.zeros(20), np.zeros(20), (["a"] * 3, ["b"] * 20), "3 patients"),
    ],
)
def test_an_attack_that_would_say_nothing_is_refused(
    members: NDArray,
    others: NDArray,
    patients: tuple[list[str], list[str] | None] | None,
    words: str,
) -> None:
    first, second = patients or (None, None)
    with pytest.raises(InputRefused, match=words):
        judge_attack(members, others, member_patients=first, other_patients=second)


def test_a_time_without_room_for_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="to spare"):
        step_error_scores(of_the_source, drawn(2, 0), time=0.95, steps=2)
