"""Where a diffusion-weighted image is bright and the ADC is low: a fixed rule, without a model.

Diffusion that is restricted by swollen cells is bright on the weighted image and dark on the ADC
map; what is bright for its long T2 alone has an ADC above the threshold, and what has a low ADC
for lack of signal is not bright. Both conditions together are how automatic programs outline an
ischemic core (Straka et al., J. Magn. Reson. Imaging 32:1024, 2010). Hemorrhage, abscess, dense
tumor and the artifacts beside air look the same: the rule marks places, it names no disease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BRAIN_ADC_UM2_PER_S = 200.0, 1500.0
"""Below, there is no signal; above, mostly fluid."""
HEAD_SHARE_OF_OTSU = 0.5
_NUM_BINS = 256
_MAD_OF_NORMAL = 0.6745
FEWEST_TISSUE_VOXELS = 50
MICROLITERS_IN_ML = 1000.0


@dataclass(frozen=True, kw_only=True)
class LesionRule:
    """What counts as a lesion.

    Attributes:
        adc_below_um2_per_s: ADC of a lesion lies below.
        bright_sd: a lesion is brighter than the tissue around it by so many standard deviations of
            healthy tissue.
        smallest_ml: smaller ones, of voxels that share a face, are noise.
        rim_mm: so far from the border of the head nothing is marked, as fat and air distort there.
        shading_mm: how far "around it" reaches: sigma of the Gaussian, which follows the
            sensitivity of coils.
    """

    adc_below_um2_per_s: float
    bright_sd: float
    smallest_ml: float
    rim_mm: float = 3.0
    shading_mm: float = 30.0


def head_mask(image: NDArray) -> NDArray:
    """The head in an image without diffusion weighting, (slice, row, column): bool, same shape.

    Above half of Otsu's threshold, the largest connected part, holes of each slice filled. Scalp
    and skull are mostly dark where fat is suppressed, so it is the brain with what touches it.
    """
    present = image[image > 0]
    if present.size < FEWEST_TISSUE_VOXELS:
        return np.zeros(image.shape, bool)
    threshold = HEAD_SHARE_OF_OTSU * _otsu(present)
    bright = ndimage.binary_opening(image > threshold, np.ones((1, 3, 3), bool))
    parts, count = ndimage.label(bright)
    if count == 0:
        return np.zeros(image.shape, bool)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest = parts == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(one) for one in largest])


def _otsu(values: NDArray) -> float:
    """The threshold that splits values into two groups of least variance; of equal ones, theirs.

    Source: Otsu, IEEE Trans. Syst. Man Cybern. 9:62, 1979.
    """
    if values.min() == values.max():
        return float(values.max())
    counts, edges = np.histogram(values, _NUM_BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = sums / below - (sums[-1] - sums) / above
        between = below * above * apart**2
    return float(middles[np.nanargmax(np.where(np.isfinite(between), between, -1.0))])


def lesion_mask(
    weighted: NDArray,
    adc_um2_per_s: NDArray,
    *,
    head: NDArray,
    measured: NDArray,
    spacing_mm: tuple[float, float, float],
    rule: LesionRule,
) -> NDArray:
    """Where diffusion is restricted by the rule: bool, (slice, row, column); all False for none.

    Args:
        weighted: the image of the highest b-value.
        adc_um2_per_s: same shape.
        head: where the head is, such as by :func:`head_mask`.
        measured: where the ADC rests on signals above the noise.
        spacing_mm: of slices, rows and columns.
        rule: what counts.
    """
    inner = head & measured & _inside(head, rule.rim_mm, spacing_mm)
    low, high = BRAIN_ADC_UM2_PER_S
    healthy = inner & (adc_um2_per_s >= max(rule.adc_below_um2_per_s, low))
    healthy &= adc_um2_per_s < high
    if np.count_nonzero(healthy) < FEWEST_TISSUE_VOXELS:
        return np.zeros(head.shape, bool)
    excess = _brightness(weighted, healthy, rule.shading_mm, spacing_mm)
    marked = inner & (excess > rule.bright_sd) & (adc_um2_per_s < rule.adc_below_um2_per_s)
    return _large_parts(marked & (adc_um2_per_s > 0), rule.smallest_ml, spacing_mm)


def _inside(head: NDArray, rim_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray:
    """Voxels farther from the border than the rim, within their slice."""
    within = np.zeros(head.shape, bool)
    for index, one in enumerate(head):
        padded = np.pad(one, 1)
        distance_mm = ndimage.distance_transform_edt(padded, sampling=spacing_mm[1:])
        within[index] = distance_mm[1:-1, 1:-1] > rim_mm
    return within


def _brightness(
    image: NDArray, healthy: NDArray, shading_mm: float, spacing_mm: tuple[float, float, float]
) -> NDArray:
    """By how many robust standard deviations an image exceeds the healthy tissue around."""
    sigma = [shading_mm / step for step in spacing_mm]
    weight = ndimage.gaussian_filter(healthy.astype(np.float64), sigma)
    total = ndimage.gaussian_filter(np.where(healthy, image, 0.0).astype(np.float64), sigma)
    level = total / np.maximum(weight, 1e-12)
    relative = np.where(level > 0, image / np.where(level > 0, level, 1.0), 0.0)
    middle = float(np.median(relative[healthy]))
    spread = float(np.median(np.abs(relative[healthy] - middle))) / _MAD_OF_NORMAL
    excess: NDArray = (relative - middle) / max(spread, 1e-3)
    return excess


def _large_parts(
    marked: NDArray, smallest_ml: float, spacing_mm: tuple[float, float, float]
) -> NDArray:
    parts, _ = ndimage.label(marked)
    voxel_ml = float(np.prod(spacing_mm)) / MICROLITERS_IN_ML
    large = np.bincount(parts.ravel()) * voxel_ml >= smallest_ml
    large[0] = False
    kept: NDArray = large[parts]
    return kept


def num_parts(mask: NDArray) -> int:
    """How many parts a mask has, of voxels that share a face."""
    return int(ndimage.label(mask)[1])
