"""Do two sets of CT slices look as if they came from the same scanner setting?

A Fréchet distance between texture statistics of patches, in the spirit of the Fréchet radiomic
distance (Konz et al., arXiv 2412.01496, 2024), on features designed here: no learned network, so no
weights to download and nothing whose licence forbids use. Residual noise and over-smoothing both
raise it; anatomy must be alike in both sets, so compare the same slices or many patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from isocenter.core.seeds import generator_for
from isocenter.image.ct_tissue import body_mask

# What is looked at: lower and upper limit in HU.
WINDOWS = {"lung": (-1200.0, 0.0), "soft": (-160.0, 240.0)}
BANDS_PER_MM = (0.05, 0.09, 0.16, 0.28, 0.48)
NUM_DIRECTIONS = 4
PATCH_MM = 40.0

_BAND_WIDTH = 0.35  # standard deviation in log frequency
_FAINT_HU = 1.0  # keeps the logarithm of an empty band finite
_LEAST_IN_BODY = 0.8
_COARSEST = 8  # lower bands are computed on images up to this much smaller


def feature_names() -> list[str]:
    """One name for each column of :func:`texture_features`."""
    bands = [f"{band:g}/mm" for band in BANDS_PER_MM]
    per_window = (
        [f"log amplitude {band}" for band in bands]
        + [f"anisotropy {band}" for band in bands]
        + [f"sparsity {band}" for band in bands]
        + ["mean", "log spread", "skewness"]
    )
    return [f"{window} {name}" for window in WINDOWS for name in per_window]


def texture_features(
    image_hu: NDArray, spacing_mm: tuple[float, float], *, patch_mm: float = PATCH_MM
) -> NDArray:
    """Texture statistics of the patches of one slice that lie in the body.

    In a lung and a soft-tissue window, for each of five frequency bands (oriented log-Gabor
    filters): the logarithm of the mean amplitude, how much it depends on direction, and how
    unevenly it is spread (a first-order scattering transform with its contrast); then mean, spread
    and skewness of the values. Patches overlap by half. About 0.15 s a 512x512 slice.

    Args:
        image_hu: (row, column).
        spacing_mm: row and column. Compare images of the same pixel size: the finest band is cut
            off by pixels larger than 0.8 mm.

    Returns:
        (patches, features), float64; no row where no patch lies in the body.
    """
    step = float(np.sqrt(spacing_mm[0] * spacing_mm[1]))
    block = _COARSEST * max(1, round(patch_mm / 2 / step / _COARSEST))
    in_body = body_mask(image_hu)
    if not in_body.any():
        return np.empty((0, len(feature_names())))
    around = _around_body(in_body, block)
    body = _pad_to_blocks(in_body.astype(np.float32), block)[around]
    padded = _pad_to_blocks(np.asarray(image_hu, dtype=np.float32), block)[around]
    keep = _patch_means(body, block) >= _LEAST_IN_BODY
    columns = [
        feature[keep]
        for low, high in WINDOWS.values()
        for feature in _window_features(np.clip(padded, low, high), low, high, spacing_mm, block)
    ]
    return np.stack(columns, axis=-1).astype(np.float64)


def _around_body(in_body: NDArray, block: int) -> tuple[slice, slice]:
    """The body's bounding box in whole blocks; few different sizes, as filters are kept by size."""
    spans = []
    for axis in (0, 1):
        filled = np.flatnonzero(in_body.any(axis=1 - axis))
        whole = -(-in_body.shape[axis] // block)
        first, last = filled[0] // block, filled[-1] // block + 1
        length = min(-(-max(last - first, 2) // 4) * 4, max(whole, 2))
        first = min(first, max(whole - length, 0))
        spans.append(slice(first * block, (first + length) * block))
    return spans[0], spans[1]


def _window_features(
    image: NDArray, low: float, high: float, spacing_mm: tuple[float, float], block: int
) -> list[NDArray]:
    amplitude, power = _band_statistics(image, spacing_mm, block)
    log_amplitude = np.log(amplitude + _FAINT_HU)
    over_directions = log_amplitude.mean(axis=1)
    anisotropy = log_amplitude.std(axis=1)
    unevenness = (np.log(power + _FAINT_HU**2) - 2 * log_amplitude).mean(axis=1)
    return [*over_directions, *anisotropy, *unevenness, *_moments(image, low, high, block)]


def _moments(image: NDArray, low: float, high: float, block: int) -> tuple[NDArray, ...]:
    unit = (image - (low + high) / 2) / (high - low)
    mean = _patch_means(unit, block)
    square = _patch_means(unit**2, block)
    cube = _patch_means(unit * unit * unit, block)
    spread = np.sqrt(np.maximum(square - mean**2, 0)) + _FAINT_HU / (high - low)
    third = cube - 3 * mean * square + 2 * mean**3
    return mean, np.log(spread), third / spread**3


def _band_statistics(
    image: NDArray, spacing_mm: tuple[float, float], block: int
) -> tuple[NDArray, NDArray]:
    """Mean amplitude and mean power, each (band, direction, patch row, patch column)."""
    spectrum = fft.fftshift(fft.fft2(image - image.mean()))
    amplitudes, powers = [], []
    for factor, filters in _filter_bank(image.shape, spacing_mm):
        rows, columns = filters.shape[1:]
        top, left = image.shape[0] // 2 - rows // 2, image.shape[1] // 2 - columns // 2
        part = spectrum[top : top + rows, left : left + columns] / factor**2
        passed = fft.ifft2(part * filters)  # unshifted: only the modulus counts
        power = passed.real**2 + passed.imag**2
        powers.append([_patch_means(one, block // factor) for one in power])
        amplitudes.append([_patch_means(one, block // factor) for one in np.sqrt(power)])
    return np.array(amplitudes), np.array(powers)


@lru_cache(maxsize=16)
def _filter_bank(
    shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> list[tuple[int, NDArray]]:
    """For each band, by how much its image may be smaller, and (direction, row, column) filters.

    One-sided in frequency, so that the modulus of what passes is its envelope.
    """
    bank = []
    for band in BANDS_PER_MM:
        finest = 0.5 / max(spacing_mm)
        factor = max(f for f in (1, 2, 4, _COARSEST) if f == 1 or 2 * band <= finest / f)
        rows, columns = (
            fft.fftshift(fft.fftfreq(size // factor, factor * step))
            for size, step in zip(shape, spacing_mm, strict=True)
        )
        radius = np.hypot(rows[:, None], columns)
        angle = np.arctan2(rows[:, None], columns)
        safe = np.maximum(radius, 1e-6)
        radial = np.exp(-0.5 * (np.log(safe / band) / _BAND_WIDTH) ** 2) * (radius > 0)
        directions = np.arange(NUM_DIRECTIONS) * np.pi / NUM_DIRECTIONS
        towards = np.maximum(np.cos(angle - directions[:, None, None]), 0) ** (NUM_DIRECTIONS - 1)
        bank.append((factor, (2 * radial * towards).astype(np.float32)))
    return bank


def _pad_to_blocks(image: NDArray, block: int) -> NDArray:
    return np.pad(image, [(0, -size % block) for size in image.shape], mode="edge")


def _patch_means(image: NDArray, block: int) -> NDArray:
    """Means over patches of 2 x 2 blocks, one patch for every inner corner."""
    rows, columns = image.shape[0] // block, image.shape[1] // block
    means = image.reshape(rows, block, columns, block).mean(axis=(1, 3))
    return (means[:-1, :-1] + means[1:, :-1] + means[:-1, 1:] + means[1:, 1:]) / 4


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
