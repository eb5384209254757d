"""Intervals for a mean, by drawing again the units that were independently sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from isocenter.core.seeds import generator_for


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A weighted mean with its bootstrap interval.

    Attributes:
        mean: over all units.
        low, high: percentile limits; NaN where fewer than two units were seen.
        level: such as 0.95.
        unit: what was drawn again: "slice" or "patient". An interval over the slices of one
            patient says nothing about other patients.
        num_units: how many.
    """

    mean: float
    low: float
    high: float
    level: float
    unit: str
    num_units: int


def bootstrap_mean(
    values: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    patients: Sequence[str | int] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Weighted mean of per-slice values with a percentile bootstrap interval.

    Args:
        values: one per slice; NaN is left out.
        weights: one per slice, such as the number of voxels; None weighs all equally.
        patients: the patient of each slice. Given, whole patients are drawn again, so that slices
            of one patient, which resemble each other, do not pass for independent observations.
    """
    value, weight = _finite(values, weights)
    names = _patient_of_each(patients, values)
    totals, masses = _sums_per_unit(value, weight, names)
    num_units = int(np.count_nonzero(masses))
    if num_units == 0:
        mean = low = high = float("nan")
    else:
        totals, masses = totals[masses > 0], masses[masses > 0]
        mean = float(totals.sum() / masses.sum())
        low, high = _percentiles(totals, masses, level, resamples, seed)
    unit = "slice" if patients is None else "patient"
    return Interval(mean=mean, low=low, high=high, level=level, unit=unit, num_units=num_units)


def _finite(values: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    value = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(value) if weights is None else np.asarray(weights, dtype=np.float64)
    known = np.isfinite(value)
    return np.where(known, value, 0.0), np.where(known, weight, 0.0)


def _patient_of_each(patients: Sequence[str | int] | None, values: ArrayLike) -> np.ndarray:
    num_values = np.asarray(values).size
    if patients is None:
        return np.arange(num_values)
    if len(patients) != num_values:
        raise ValueError(f"{len(patients)} patients were named for {num_values} values")
    return np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]


def _sums_per_unit(
    value: np.ndarray, weight: np.ndarray, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return np.bincount(unit, weights=value * weight), np.bincount(unit, weights=weight)


def _percentiles(
    totals: np.ndarray, masses: np.ndarray, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    if totals.size < 2:
        return float("nan"), float("nan")
    rng = generator_for(seed, "bootstrap")
    drawn = rng.integers(totals.size, size=(resamples, totals.size))
    means = totals[drawn].sum(axis=1) / masses[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
