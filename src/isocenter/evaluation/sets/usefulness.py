"""Trained on generated, tried on real: what a generated set is worth to a classifier.

The same recipe is fitted with the same number of steps from the same seeds on different sets, and
every fit is tried on the same real patients, who are in none of the sets. A generator that was
trained on these patients would make every figure too good: hold out the same patients from all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.progress import Progress, silent
from isocenter.core.seeds import generator_for
from isocenter.evaluation.sets.ranking import areas_of_classes

Predict = Callable[[NDArray], NDArray]
Fit = Callable[[NDArray, NDArray, int, int], Predict]
"""From images, classes, number of classes and a seed to what gives probabilities of classes."""

REAL, GENERATED = "real", "generated"
_LEAST_HELD_OUT_PATIENTS = 4


@dataclass(frozen=True, kw_only=True)
class ClassifiedImages:
    """Images with what they show.

    Attributes:
        images: (images, rows, columns) in [-1, 1].
        classes: (images,) whole numbers from 0.
        patients: (images,) whose each is; None for generated images.
    """

    images: NDArray
    classes: NDArray
    patients: NDArray | None = None

    def of_patients(self, share: float, rng: np.random.Generator) -> ClassifiedImages:
        """The images of a share of the patients, drawn so that every class keeps one at least."""
        assert self.patients is not None
        if share >= 1:
            return self
        chosen: set[str | int] = set()
        for one in np.unique(self.classes):
            there = np.unique(self.patients[self.classes == one])
            count = max(1, round(share * len(there)))
            chosen |= set(rng.permutation(there)[:count].tolist())
        keep = np.isin(self.patients, list(chosen))
        return ClassifiedImages(
            images=self.images[keep], classes=self.classes[keep], patients=self.patients[keep]
        )


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        name: such as "5 % of real + generated".
        num_images: trained on, the mean over seeds.
        auc: mean over seeds; of more than two classes the mean over classes, each against all
            others.
        auc_of_classes: the same of each; for two classes that of the second alone.
        low, high: 95 % over the patients tried on.
        of_seeds: of each seed.
        against: name of the arm that it is held against, "" for none.
        ratio: of the two AUCs; with ``ratio_low`` and ``ratio_high`` from the same patients drawn
            again for both.
        gain: AUC less that of the other, with ``gain_low`` and ``gain_high``.
    """

    name: str
    num_images: int
    auc: float
    auc_of_classes: tuple[float, ...]
    low: float
    high: float
    of_seeds: tuple[float, ...]
    against: str
    ratio: float
    ratio_low: float
    ratio_high: float
    gain: float
    gain_low: float
    gain_high: float


def usefulness(
    real: ClassifiedImages,
    generated: ClassifiedImages,
    held_out: ClassifiedImages,
    *,
    fit: Fit,
    shares: Sequence[float] = (0.05, 0.1, 1.0),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    resamples: int = 1000,
    progress: Progress = silent,
) -> tuple[Arm, ...]:
    """AUC on held-out patients after training on real, on generated and on both.

    Arms: all real; generated alone, against all real; and for each share of the real patients that
    share alone and with all generated images, the latter against the former. A seed decides which
    patients a share holds as well as how the fit begins.

    Args:
        real, held_out: of different patients.
        generated: without patients.
        fit: the recipe, of a fixed number of steps, such as
            :func:`isocenter.training.judges.classifier.classifier_fit`.
        shares: of the real patients, above 0 up to 1.
        seeds: one fit an arm and seed.
        resamples: draws of held-out patients for the intervals.

    Raises:
        InputRefused: a patient is in both real sets, a class is missing, or too few patients.
    """
    num_classes = _check(real, generated, held_out)
    arms = _sets(real, generated, shares, seeds)
    total = len(arms) * len(seeds)
    progress(0, total)
    predictions: dict[str, list[NDArray]] = {}
    sizes: dict[str, float] = {}
    for name, of_seeds in arms.items():
        for seed, chosen in zip(seeds, of_seeds, strict=True):
            predict = fit(chosen.images, chosen.classes, num_classes, seed)
            predictions.setdefault(name, []).append(predict(held_out.images))
            progress(sum(map(len, predictions.values())), total)
        sizes[name] = float(np.mean([len(each.images) for each in of_seeds]))
    return _judged(predictions, sizes, held_out, resamples)


def _sets(
    real: ClassifiedImages,
    generated: ClassifiedImages,
    shares: Sequence[float],
    seeds: Sequence[int],
) -> dict[str, list[ClassifiedImages]]:
    arms = {REAL: [real] * len(seeds), GENERATED: [generated] * len(seeds)}
    for share in sorted(set(shares)):
        if not 0 < share <= 1:
            raise InputRefused(f"a share of the real patients is above 0 up to 1, got {share:g}")
        parts = [
            real.of_patients(share, generator_for(seed, "share of patients")) for seed in seeds
        ]
        name = REAL if share == 1 else f"{100 * share:g} % of real"
        arms[name] = parts
        arms[f"{name} + generated"] = [_together(part, generated) for part in parts]
    return arms


def _together(first: ClassifiedImages, second: ClassifiedImages) -> ClassifiedImages:
    return ClassifiedImages(
        images=np.concatenate([first.images, second.images]),
        classes=np.concatenate([first.classes, second.classes]),
    )


def _judged(
    predictions: Mapping[str, Sequence[NDArray]],
    sizes: Mapping[str, float],
    held_out: ClassifiedImages,
    resamples: int,
) -> tuple[Arm, ...]:
    """All arms on the same draws of patients, so that their differences are paired."""
    assert held_out.patients is not None
    patient = np.unique(held_out.patients, return_inverse=True)[1]
    images_of = [np.flatnonzero(patient == one) for one in range(patient.max() + 1)]
    rng = generator_for(0, "patients that classifiers are tried on")
    drawn: dict[str, list[float]] = {name: [] for name in predictions}
    for _ in range(resamples):
        chosen = np.concatenate(
            [images_of[k] for k in rng.integers(len(images_of), size=len(images_of))]
        )
        for name, of_seeds in predictions.items():
            areas = [areas_of_classes(held_out.classes[chosen], one[chosen]) for one in of_seeds]
            drawn[name].append(float(np.mean(areas)))
    return tuple(
        _arm(name, predictions, sizes[name], held_out.classes, drawn) for name in predictions
    )


def _arm(
    name: str,
    predictions: Mapping[str, Sequence[NDArray]],
    size: float,
    classes: NDArray,
    drawn: Mapping[str, Sequence[float]],
) -> Arm:
    def areas(of: str) -> NDArray:
        return np.array([areas_of_classes(classes, one) for one in predictions[of]])

    found = areas(name)
    against = {REAL: "", GENERATED: REAL}.get(name, name.removesuffix(" + generated"))
    against = "" if against == name else against
    other = float(areas(against).mean()) if against else float("nan")
    own_draws = np.array(drawn[name])
    other_draws = np.array(drawn[against]) if against else np.full_like(own_draws, np.nan)
    auc = float(found.mean())
    low, high = _limits(own_draws)
    ratio_low, ratio_high = _limits(own_draws / other_draws)
    gain_low, gain_high = _limits(own_draws - other_draws)
    return Arm(
        name=name,
        num_images=round(size),
        auc=auc,
        auc_of_classes=tuple(found.mean(axis=0).tolist()),
        low=low,
        high=high,
        of_seeds=tuple(found.mean(axis=1).tolist()),
        against=against,
        ratio=auc / other,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        gain=auc - other,
        gain_low=gain_low,
        gain_high=gain_high,
    )


def _limits(draws: NDArray) -> tuple[float, float]:
    """2.5th and 97.5th percentile; draws that missed a class say nothing and are left out."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def _check(real: ClassifiedImages, generated: ClassifiedImages, held_out: ClassifiedImages) -> int:
    if real.patients is None or held_out.patients is None:
        raise InputRefused("real images need their patients, so that none is on both sides")
    if shared := set(real.patients.tolist()) & set(held_out.patients.tolist()):
        raise InputRefused(
            f"{len(shared)} patients are both trained and tried on; split by patient"
        )
    if len(set(held_out.patients.tolist())) < _LEAST_HELD_OUT_PATIENTS:
        raise InputRefused(f"{_LEAST_HELD_OUT_PATIENTS} held-out patients or more are needed")
    kinds = [set(np.unique(each.classes).tolist()) for each in (real, generated, held_out)]
    if kinds[0] != kinds[1] or kinds[0] != kinds[2] or len(kinds[0]) < 2:
        raise InputRefused(
            "the real, the generated and the held-out images must show the same two or more "
            f"classes, got {', '.join(str(len(each)) for each in kinds)} classes"
        )
    return int(max(kinds[0])) + 1
