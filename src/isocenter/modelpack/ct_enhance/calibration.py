"""How wide a CT model's interval must be so that it keeps its word, by tissue, noise and kernel.

Split conformal prediction with patients as the unit: on patients of their own, how many times the
raw distance to each end of the interval covers the truth for 90 % of the voxels? The answer is
kept for each tissue, noise level and texture of the noise and looked up, between levels linearly in
the logarithm, when a scan is enhanced. Texture stands for the kernel: sharp kernels leave a
standard dose more noise than smooth ones do, so the same noise means less lost dose there. Where
the factors come from: :mod:`isocenter.modelpack.conformal`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.image.ct_noise import NoiseMeasure
from isocenter.image.ct_tissue import SMOOTHING_MM, TISSUES

OTHER = "other"
CLASSES = (*TISSUES, OTHER)
# A raw distance below this is taken as this, when factors are found and when they are used.
LEAST_SPREAD_HU = 0.5


# One row a texture, from smooth to sharp, of one factor a noise level.
Factors = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Factors for the raw interval.

    Attributes:
        coverage: what is promised, 0.9.
        noise_hu: centres of the noise levels, rising.
        frequency_per_mm: centres of the textures, by the mean frequency of the noise, rising.
        below, above: for each class of :data:`CLASSES`, one row a texture of one factor a noise
            level.
        patients: how many patients the factors were found on.

    Raises:
        ValueError: levels that do not rise, or classes or factors that do not fit them.
    """

    coverage: float
    noise_hu: tuple[float, ...]
    frequency_per_mm: tuple[float, ...]
    below: dict[str, Factors]
    above: dict[str, Factors]
    patients: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {self.coverage}")
        for name in ("noise_hu", "frequency_per_mm"):
            levels = np.array(getattr(self, name), float)
            if not (levels.size and levels[0] > 0 and (np.diff(levels) > 0).all()):
                raise ValueError(f"{name} must be positive and rise, got {getattr(self, name)}")
        shape = len(self.frequency_per_mm), len(self.noise_hu)
        for side in (self.below, self.above):
            if set(side) != set(CLASSES):
                raise ValueError(f"factors must be for {', '.join(CLASSES)}, got {sorted(side)}")
            for name, factors in side.items():
                _check_factors(name, factors, shape)

    def factors(self, classes: NDArray, noise: NoiseMeasure) -> tuple[NDArray, NDArray]:
        """Factors below and above for each voxel of a map of indices into :data:`CLASSES`."""
        across = _place(noise.mean_frequency_per_mm, self.frequency_per_mm)
        along = _place(noise.level_hu, self.noise_hu)
        tables = [
            np.array([across @ np.array(side[name]) @ along for name in CLASSES], np.float32)
            for side in (self.below, self.above)
        ]
        return tables[0][classes], tables[1][classes]


def _check_factors(name: str, factors: Factors, shape: tuple[int, int]) -> None:
    lengths = [len(row) for row in factors]
    fits = lengths == [shape[1]] * shape[0]
    if not fits or not all(0 <= one <= 1e3 for row in factors for one in row):
        raise ValueError(
            f"{name} needs {shape[0]} rows, one a texture, of {shape[1]} factors from 0 to 1000, "
            f"one a noise level, got {factors}"
        )


def _place(value: float, levels: tuple[float, ...]) -> NDArray:
    """Weights of the levels around a value, linear in the logarithm; the lowest where unknown."""
    logs = np.log(levels)
    at = np.log(max(value, 1e-3)) if np.isfinite(value) else logs[0]
    return np.array([np.interp(at, logs, unit) for unit in np.eye(len(levels))])


def tissue_classes(mean_hu: NDArray, *, spacing_mm: tuple[float, float]) -> NDArray:
    """Index into :data:`CLASSES` for each voxel of a (row, column) mean image in HU."""
    smooth = ndimage.gaussian_filter(mean_hu, [SMOOTHING_MM / step for step in spacing_mm])
    classes = np.full(mean_hu.shape, len(CLASSES) - 1, np.int64)
    for index, (low, high) in enumerate(TISSUES.values()):
        classes[(smooth >= low) & (smooth < high)] = index
    return classes
