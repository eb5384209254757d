"""How wide a model's interval must be so that it keeps its word, by tissue and noise.

Split conformal prediction with patients as the unit: on patients of their own, how many times the
raw distance to each end of the interval covers the truth for 90 % of the voxels? The answer is
kept for each tissue and noise level and looked up, between levels linearly in the logarithm, when
a scan is enhanced.

Sources: Romano et al., NeurIPS 2019 (conformalized quantile regression), in the scaled form of
Angelopoulos et al., ICML 2022; one weight a patient as in Dunn et al., JASA 118:2491, 2023.
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
    """

    coverage: float
    noise_hu: tuple[float, ...]
    below: dict[str, tuple[float, ...]]
    above: dict[str, tuple[float, ...]]
    patients: int = 0

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


def conformal_factor(scores: list[NDArray], coverage: float) -> float:
    """The smallest factor that covers the wanted share, each patient counting alike.

    Args:
        scores: for each patient, distances of the truth from the mean over the raw distance.
        coverage: share to cover.

    Returns:
        The weighted quantile of the scores.
    """
    kept = [np.sort(one) for one in scores if len(one)]
    values = np.concatenate(kept)
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in kept])
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) / weights.sum()
    index = min(int(np.searchsorted(cumulative, coverage)), len(values) - 1)
    return float(values[order][index])
