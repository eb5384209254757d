"""Can anyone tell from a generator whose images it was trained on?

An attack gives each image a score, higher for those that it takes for training images. It is tried
on images that were trained on (members) and on others of the same source (non-members); where the
others come from elsewhere, the attack seems to succeed by telling the sources apart. How often it
is right among the few that it is surest of counts more than its average (Carlini et al., IEEE S&P
2022), so the rate of true finds at one percent of false alarms stands beside the AUC.

Score functions take callables on arrays; networks stay outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from isocenter.core.checks import check_share
from isocenter.core.errors import InputRefused
from isocenter.core.seeds import generator_for
from isocenter.evaluation.sets.ranking import area_under_roc

Velocity = Callable[[NDArray, float], NDArray]
"""From (images, ...) at time t, and t, to the velocity noise - image of flow matching."""

FALSE_ALARMS = 0.01
_LEAST_EACH = 10


@dataclass(frozen=True, kw_only=True)
class Attack:
    """How well one attack tells members.

    Attributes:
        unit: "patient" or "image": what one score stands for.
        num_members, num_others: scores of either kind.
        auc: 0.5 for chance, with its 95 % bootstrap limits ``auc_low`` and ``auc_high``.
        true_rate: share of members found where ``false_rate`` of the others raise false alarm; the
            latter is the largest possible up to ``allowed``.
        true_low, true_high: exact (Clopper-Pearson) 95 % limits of the share of members.
        allowed: false alarms that were allowed.
    """

    unit: str
    num_members: int
    num_others: int
    auc: float
    auc_low: float
    auc_high: float
    true_rate: float
    true_low: float
    true_high: float
    false_rate: float
    allowed: float


def judge_attack(
    members: NDArray,
    others: NDArray,
    *,
    member_patients: Sequence[str] | NDArray | None = None,
    other_patients: Sequence[str] | NDArray | None = None,
    allowed: float = FALSE_ALARMS,
    resamples: int = 1000,
    seed: int = 0,
) -> Attack:
    """AUC and rate of true finds of an attack from its scores.

    Args:
        members, others: one score an image, higher for what is taken for a member.
        member_patients, other_patients: whose each image is; given, a patient's score is the mean
            of the images', as it is patients who are to be protected and images of one patient
            resemble each other.
        allowed: share of false alarms.

    Raises:
        InputRefused: scores that are not finite, fewer than ten of either kind, or a patient on
            both sides.
    """
    check_share("allowed", allowed)
    if (member_patients is None) != (other_patients is None):
        raise InputRefused("give the patients of both, members and others, or of neither")
    unit = "image" if member_patients is None else "patient"
    inside, outside = np.asarray(members, float), np.asarray(others, float)
    if member_patients is not None and other_patients is not None:
        if set(map(str, member_patients)) & set(map(str, other_patients)):
            raise InputRefused("a patient is among the members and the others; split by patient")
        inside = _of_patients(inside, member_patients)
        outside = _of_patients(outside, other_patients)
    _check(inside, outside, unit)
    rng = generator_for(seed, "membership interval")
    drawn = [
        _area(rng.choice(inside, len(inside)), rng.choice(outside, len(outside)))
        for _ in range(resamples)
    ]
    found, false_rate = _finds(inside, outside, allowed)
    low, high = exact_limits(found, len(inside))
    auc_low, auc_high = np.quantile(drawn, [0.025, 0.975])
    return Attack(
        unit=unit,
        num_members=len(inside),
        num_others=len(outside),
        auc=_area(inside, outside),
        auc_low=float(auc_low),
        auc_high=float(auc_high),
        true_rate=found / len(inside),
        true_low=low,
        true_high=high,
        false_rate=false_rate,
        allowed=allowed,
    )


def exact_limits(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson limits of a share."""
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1
    return float(low), float(high)


def _area(inside: NDArray, outside: NDArray) -> float:
    is_member = np.arange(len(inside) + len(outside)) < len(inside)
    return area_under_roc(is_member, np.concatenate([inside, outside]))


def _finds(inside: NDArray, outside: NDArray, allowed: float) -> tuple[int, float]:
    """Members strictly above the score that few enough others exceed, and how many others do."""
    limit = np.sort(outside)[::-1][int(np.floor(allowed * len(outside)))]
    return int((inside > limit).sum()), float((outside > limit).mean())


def _of_patients(scores: NDArray, patients: Sequence[str] | NDArray) -> NDArray:
    owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    if len(owner) != len(scores):
        raise InputRefused(f"{len(owner)} patients were named for {len(scores)} scores")
    return np.bincount(owner, weights=scores) / np.bincount(owner)


def _check(inside: NDArray, outside: NDArray, unit: str) -> None:
    if not (np.all(np.isfinite(inside)) and np.all(np.isfinite(outside))):
        raise InputRefused("scores of an attack must be finite; look at what the model gave")
    if min(len(inside), len(outside)) < _LEAST_EACH:
        raise InputRefused(
            f"an attack is tried on {_LEAST_EACH} or more {unit}s of either kind, got "
            f"{len(inside)} members and {len(outside)} others"
        )


def diffusion_loss_scores(
    velocity: Velocity,
    clean: NDArray,
    *,
    times: Sequence[float] = (0.1, 0.2, 0.3, 0.5),
    draws: int = 2,
    seed: int = 0,
) -> NDArray:
    """Minus the flow-matching loss of each image; trained images have a lower loss.

    All images meet the same noise, so that noise does not tell them apart.

    Args:
        velocity: the model, with its conditioning if any.
        clean: (images, ...) in the model's own space, such as latents.
        times: in (0, 1); 1 is noise alone.
        draws: of the noise at each time.

    Source: Matsumoto, Miura, Yanai, IEEE SPW 2023; Yeom et al., IEEE CSF 2018.
    """
    rng = generator_for(seed, "noise of a loss attack")
    losses = np.zeros(len(clean))
    for time in times:
        for _ in range(draws):
            noise = rng.standard_normal(clean.shape[1:]).astype(clean.dtype)[None]
            state = ((1 - time) * clean + time * noise).astype(clean.dtype)
            losses += _mean_square(velocity(state, time) - (noise - clean))
    return -losses / (len(times) * draws)


def reconstruction_scores(reconstruct: Callable[[NDArray], NDArray], images: NDArray) -> NDArray:
    """Minus the mean squared error of an autoencoder; trained images come back better.

    Args:
        reconstruct: from (images, ...) to the same shape.
    """
    return -_mean_square(reconstruct(images) - images)


def step_error_scores(
    velocity: Velocity, clean: NDArray, *, time: float = 0.3, steps: int = 6
) -> NDArray:
    """Minus what is lost going one deterministic step towards noise and back.

    The image is brought to ``time`` along the model's own path; there one step further and back
    again leads nearer to where it began for images that were trained on.

    Args:
        velocity: the model, with its conditioning if any.
        clean: (images, ...) in the model's own space.
        time: where it is measured, in (0, 1).
        steps: on the way there; the step that is measured is as long.

    Source: the t-error of Duan et al., ICML 2023 (SecMI), on the path of flow matching.
    """
    length = time / steps
    if not (0 < time < 1 and time + length <= 1):
        raise ValueError(f"time is in (0, 1), with one of {steps} steps to spare, got {time:g}")
    state = clean
    for number in range(steps):
        state = state + length * velocity(state, number * length)
    further = state + length * velocity(state, time)
    back = further - length * velocity(further, time + length)
    return -_mean_square(back - state)


def _mean_square(difference: NDArray) -> NDArray:
    return np.square(difference.astype(np.float64)).reshape(len(difference), -1).mean(axis=1)
