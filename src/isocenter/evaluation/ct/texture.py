"""Texture statistics of CT slices, patch by patch: what a Fréchet distance compares.

Designed here: no learned network, so no weights to download and nothing whose licence forbids use.
See :mod:`isocenter.evaluation.sets.frechet` for the distance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from isocenter.evaluation.measure import Pair
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


class TextureFeatures:
    """Texture statistics of the test slices, ready for a Fréchet distance."""

    def __init__(self) -> None:
        self._test: list[NDArray] = []

    def add(self, pair: Pair, /) -> None:
        """Take in one pair."""
        self._test.append(texture_features(pair.test, pair.spacing_mm))

    def result(self) -> NDArray:
        """(patches, features) of all slices."""
        return np.concatenate([np.empty((0, len(feature_names()))), *self._test])


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
