"""How wide a CT model's interval must be so that it keeps its word, by tissue and noise.

Split conformal prediction with patients as the unit: on patients of their own, how many times the
raw distance to each end of the interval covers the truth for 90 % of the voxels? The answer is
kept for each tissue and noise level and looked up, between levels linearly in the logarithm, when
a scan is enhanced. Where the factors come from: :mod:`isocenter.modelpack.conformal`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.image.ct_tissue import SMOOTHING_MM, TISSUES

OTHER = "other"
CLASSES = (*TISSUES, OTHER)
# A raw distance below this is taken as this, when factors are found and when they are used.
LEAST_SPREAD_HU = 0.5


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Factors for the raw interval.

    Attributes:
        coverage: what is promised, 0.9.
        noise_hu: centres of the noise levels, rising.
        below, above: for each class of :data:`CLASSES`, one factor a noise level.
        patients: how many patients the factors were found on.

    Raises:
        ValueError: levels that do not rise, or classes or factors that do not fit them.
    """

    coverage: float
    noise_hu: tuple[float, ...]
    below: dict[str, tuple[float, ...]]
    above: dict[str, tuple[float, ...]]
    patients: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {self.coverage}")
        levels = np.array(self.noise_hu, float)
        if not (levels.size and levels[0] > 0 and (np.diff(levels) > 0).all()):
            raise ValueError(f"noise_hu must be positive and rise, got {self.noise_hu}")
        for side in (self.below, self.above):
            if set(side) != set(CLASSES):
                raise ValueError(f"factors must be for {', '.join(CLASSES)}, got {sorted(side)}")
            for name, factors in side.items():
                row = np.array(factors, float)
                if row.shape != levels.shape or not ((row >= 0) & (row <= 1e3)).all():
                    raise ValueError(
                        f"{name} needs one factor from 0 to 1000 for each of {len(levels)} levels, "
                        f"got {factors}"
                    )

    def factors(self, classes: NDArray, noise_hu: float) -> tuple[NDArray, NDArray]:
        """Factors below and above for each voxel of a map of indices into :data:`CLASSES`."""
        place = np.log(max(noise_hu, 1e-3)) if np.isfinite(noise_hu) else np.log(self.noise_hu[0])
        levels = np.log(self.noise_hu)
        tables = [
            np.array([np.interp(place, levels, side[name]) for name in CLASSES], np.float32)
            for side in (self.below, self.above)
        ]
        return tables[0][classes], tables[1][classes]


def tissue_classes(mean_hu: NDArray, *, spacing_mm: tuple[float, float]) -> NDArray:
    """Index into :data:`CLASSES` for each voxel of a (row, column) mean image in HU."""
    smooth = ndimage.gaussian_filter(mean_hu, [SMOOTHING_MM / step for step in spacing_mm])
    classes = np.full(mean_hu.shape, len(CLASSES) - 1, np.int64)
    for index, (low, high) in enumerate(TISSUES.values()):
        classes[(smooth >= low) & (smooth < high)] = index
    return classes
