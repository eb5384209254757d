"""New noise like that between two scans of one patient, for an observer who needs many draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.volume import Volume
from isocenter.evaluation.lesions.lesions import voxel_of

_LEVEL_MM = 12.0
_SPECTRUM_BINS = 1.5
_FAINT = 1e-3


@dataclass(frozen=True, kw_only=True)
class PairNoise:
    """Draws of what a low-dose scan adds to its reference.

    White noise is given the spectrum of the difference, in the plane and across slices, and its
    level place by place (smoothed over 12 mm). Streaks keep their direction only as far as it is
    the same everywhere; noise that depends on the image otherwise is not modeled. A simulation of
    the scanner, where there is one, is better.

    Attributes:
        reference, low: of one shape.
    """

    reference: Volume
    low: Volume

    def __call__(self, slab: Volume, rng: np.random.Generator) -> NDArray:
        """The slab, a part of the reference with or without lesions, under fresh noise."""
        first = round(float(voxel_of(slab.geometry.origin_mm, self.reference.geometry)[0]))
        wanted = np.arange(first, first + len(slab.array))
        inside = np.clip(wanted, 0, len(self.reference.array) - 1)
        difference = self.low.array[inside].astype(np.float64) - self.reference.array[inside]
        level = _local_level(difference, slab.geometry.spacing_mm)
        noise = level * _coloured(difference / level, rng)
        return (slab.array + noise).astype(np.float32)


def _local_level(difference: NDArray, spacing_mm: tuple[float, float, float]) -> NDArray:
    sigma = (0.0, *(_LEVEL_MM / step for step in spacing_mm[1:]))
    level = np.sqrt(np.maximum(ndimage.gaussian_filter(difference**2, sigma), 0))
    floor = max(_FAINT * float(level.max()), 1e-9)
    return np.maximum(level, floor)


def _coloured(even: NDArray, rng: np.random.Generator) -> NDArray:
    """Gaussian noise of the power spectrum of a (slice, row, column) array of even level."""
    power = np.abs(np.fft.fftn(even)) ** 2
    smooth = ndimage.gaussian_filter(power, (0, _SPECTRUM_BINS, _SPECTRUM_BINS), mode="wrap")
    white = np.fft.fftn(rng.standard_normal(even.shape))
    return np.fft.ifftn(white * np.sqrt(smooth / even.size)).real
