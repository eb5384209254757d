"""Do two sets of images look as if they came from the same source?

A Fréchet distance between statistics of patches, in the spirit of the Fréchet radiomic distance
(Konz et al., arXiv 2412.01496, 2024); for CT see :mod:`isocenter.evaluation.ct.texture`. Residual
noise and over-smoothing both raise it; anatomy must be alike in both sets, so compare the same
slices or many patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.seeds import generator_for


def frechet_distance(
    features_a: NDArray, features_b: NDArray, *, scale: NDArray | None = None
) -> float:
    """|m_a - m_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)) of two sets (samples, features).

    Covariances are shrunk (Ledoit & Wolf), so that few samples suffice.

    Args:
        scale: (features,) by which both are divided; where None the standard deviation of
            ``features_a``, which should be the reference. Give one scale to compare distances.
    """
    _check_features(features_a, features_b)
    scale = reference_scale(features_a) if scale is None else scale
    a, b = features_a / scale, features_b / scale
    shift = a.mean(axis=0) - b.mean(axis=0)
    covariance_a, covariance_b = shrunk_covariance(a), shrunk_covariance(b)
    root = _matrix_root(covariance_a)
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_b @ root), 0)).sum()
    distance = shift @ shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap
    return float(max(distance, 0.0))


def _check_features(features_a: NDArray, features_b: NDArray) -> None:
    for features in (features_a, features_b):
        if features.ndim != 2 or len(features) < 2 or not np.all(np.isfinite(features)):
            raise ValueError(
                "features must be finite, (samples, features) with at least two samples, "
                f"got an array of shape {features.shape}"
            )
    if features_a.shape[1] != features_b.shape[1]:
        raise ValueError(
            f"sets have {features_a.shape[1]} and {features_b.shape[1]} features; "
            "measure both in the same way"
        )


def reference_scale(features: NDArray) -> NDArray:
    """Standard deviation of each feature, one where it does not vary."""
    spread = features.std(axis=0)
    return np.where(spread > 1e-9, spread, 1.0)


def shrunk_covariance(samples: NDArray) -> NDArray:
    """Covariance drawn towards a multiple of the identity by as much as its own error.

    Source: Ledoit & Wolf, J. Multivariate Anal. 88:365, 2004.
    """
    num_samples, num_features = samples.shape
    centred = samples - samples.mean(axis=0)
    plain = centred.T @ centred / num_samples
    level = np.trace(plain) / num_features
    dispersion = np.sum((plain - level * np.eye(num_features)) ** 2)
    fourth = np.sum(np.sum(centred**2, axis=1) ** 2) / num_samples
    error = (fourth - np.sum(plain**2)) / num_samples
    share = 0.0 if dispersion <= 0 else float(np.clip(error / dispersion, 0, 1))
    return share * level * np.eye(num_features) + (1 - share) * plain


def _matrix_root(symmetric: NDArray) -> NDArray:
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def frechet_report(
    reference: Sequence[NDArray],
    test: Sequence[NDArray],
    *,
    resamples: int = 100,
    splits: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Fréchet distance with what is needed to read it.

    Args:
        reference, test: for each patient the features (samples, features) of all slices. Lists of
            equal length are taken as the same patients in the same order and are drawn together.
        resamples: bootstrap draws of patients for the interval.
        splits: random halves of the reference patients for the floor.

    Returns:
        ``distance`` with ``low`` and ``high`` (95 %; NaN for fewer than three patients), ``floor``:
        what two halves of the reference differ by, ``floor_high``: the largest of them,
        ``floor_unit``: "patient", or "patch" where there are fewer than four patients and the floor
        is too low for it, ``num_patients``, ``num_samples`` and ``num_test_samples``.
    """
    whole, other = np.concatenate(reference), np.concatenate(test)
    scale = reference_scale(whole)
    distance = frechet_distance(whole, other, scale=scale)
    low, high = _interval(reference, test, scale, distance, resamples, seed)
    unit = "patient" if len(reference) >= 4 else "patch"
    floors = _floors(reference if unit == "patient" else list(whole[:, None]), scale, splits, seed)
    return {
        "distance": distance,
        "low": low,
        "high": high,
        "floor": float(np.mean(floors)),
        "floor_high": float(np.max(floors)),
        "floor_unit": unit,
        "num_patients": len(reference),
        "num_samples": len(whole),
        "num_test_samples": len(other),
    }


def _interval(
    reference: Sequence[NDArray],
    test: Sequence[NDArray],
    scale: NDArray,
    distance: float,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """Percentiles over patients drawn again, less the bias that drawing them twice brings."""
    if min(len(reference), len(test)) < 3:
        return float("nan"), float("nan")
    rng = generator_for(seed, "frechet interval")
    drawn = []
    for _ in range(resamples):
        chosen = rng.integers(len(reference), size=len(reference))
        same = len(reference) == len(test)
        partner = chosen if same else rng.integers(len(test), size=len(test))
        a = np.concatenate([reference[k] for k in chosen])
        b = np.concatenate([test[k] for k in partner])
        drawn.append(frechet_distance(a, b, scale=scale))
    low, high = np.quantile(drawn, [0.025, 0.975]) - (np.mean(drawn) - distance)
    return float(max(low, 0.0)), float(high)


def _floors(units: Sequence[NDArray], scale: NDArray, splits: int, seed: int) -> list[float]:
    rng = generator_for(seed, "frechet floor")
    floors = []
    for _ in range(splits):
        order = rng.permutation(len(units))
        first, second = order[: len(units) // 2], order[len(units) // 2 :]
        halves = [np.concatenate([units[k] for k in half]) for half in (first, second)]
        floors.append(frechet_distance(halves[0], halves[1], scale=scale))
    return floors
