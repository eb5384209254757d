"""Noise before and after by the blind meter that a model's range is stated in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isocenter.evaluation.measure import Pair
from isocenter.image.ct_noise import NoiseMeasure, measure_noise


@dataclass(frozen=True, kw_only=True)
class QuietSlice:
    """Noise of the quietest soft tissue of one slice of reference and test."""

    index: int
    reference: NoiseMeasure
    test: NoiseMeasure


@dataclass(frozen=True, kw_only=True)
class QuietNoise:
    """Noise of the quietest soft tissue above 0.15 cycles per mm, where anatomy is least.

    Attributes:
        reference, test: median over the slices; not-a-number where none could be measured.
        of_slices: one a slice.
    """

    reference: NoiseMeasure
    test: NoiseMeasure
    of_slices: tuple[QuietSlice, ...]


class QuietNoiseMeter:
    """Measures each slice by :func:`isocenter.image.ct_noise.measure_noise`."""

    def __init__(self) -> None:
        self._slices: list[QuietSlice] = []

    def add(self, pair: Pair, /) -> None:
        """Take in one pair."""
        reference, test = (
            measure_noise(image, spacing_mm=pair.spacing_mm, valid=pair.valid)
            for image in (pair.reference, pair.test)
        )
        self._slices.append(QuietSlice(index=pair.index, reference=reference, test=test))

    def result(self) -> QuietNoise:
        """Over all slices so far."""
        return QuietNoise(
            reference=_median([each.reference for each in self._slices]),
            test=_median([each.test for each in self._slices]),
            of_slices=tuple(self._slices),
        )


def _median(measures: Sequence[NoiseMeasure]) -> NoiseMeasure:
    return NoiseMeasure(
        level_hu=_finite_median([each.level_hu for each in measures]),
        mean_frequency_per_mm=_finite_median([each.mean_frequency_per_mm for each in measures]),
    )


def _finite_median(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")
