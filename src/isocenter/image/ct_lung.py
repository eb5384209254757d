"""Where the lungs are in one CT slice, with the vessels and nodules in them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.image.ct_tissue import body_mask

# Between gas-filled lung and soft tissue, on an image smoothed by 1.5 mm.
AIR_BELOW_HU = -400.0
_SMOOTHING_MM = 1.5
# Bowel gas, airways and stomach are smaller in most slices, and hold gas alone, which is darker.
_LEAST_SPACE_CM2 = 3.0
_DARKEST_MIDDLE_HU = -955.0
# A space as small as a trachea is one if it is as dark as this, or much darker than the lungs.
_AIRWAY_UPTO_CM2 = 12.0
_AIRWAY_BELOW_HU = -930.0
_AIRWAY_DARKER_HU = 60.0
_INNER_MM = 3.0
# A closing of this radius takes in vessels at the hilum, and nodules of a centimeter at the wall.
_CLOSING_MM = 8.0
# Larger ones are the dome of liver or spleen.
_LARGEST_HOLE_CM2 = 15.0


def lung_mask(
    image_hu: NDArray, *, spacing_mm: tuple[float, float], body: NDArray | None = None
) -> NDArray:
    """Both lungs in one slice, closed over vessels and nodules; trachea and bowel gas left out.

    Air inside the body is sorted space by space: small ones and those that hold nothing but gas
    (trachea, stomach, bowel) are not lung. Nothing is known of the slices beside it, so a very
    emphysematous lung may be lost and frothy bowel content may be found.

    Args:
        image_hu: (row, column).
        spacing_mm: row and column spacing.
        body: mask of the patient; measured by :func:`body_mask` where absent.

    Returns:
        Boolean mask, all False where the slice holds no lung.
    """
    inside = body_mask(image_hu) if body is None else body
    smooth = ndimage.gaussian_filter(
        image_hu.astype(np.float32), [_SMOOTHING_MM / step for step in spacing_mm]
    )
    air = ndimage.binary_opening((smooth < AIR_BELOW_HU) & inside)
    labels, count = ndimage.label(air)
    if not count:
        return air
    return _closed(_lungs(smooth, labels, count, spacing_mm), spacing_mm) & inside


def _lungs(
    smooth: NDArray, labels: NDArray, count: int, spacing_mm: tuple[float, float]
) -> NDArray:
    numbers = np.arange(1, count + 1)
    areas_cm2 = ndimage.sum_labels(labels > 0, labels, numbers) * math.prod(spacing_mm) / 100
    inner = ndimage.distance_transform_edt(labels > 0, sampling=spacing_mm) > _INNER_MM
    middle = np.array(
        ndimage.median(smooth, np.where(inner, labels, 0), numbers), np.float64, ndmin=1
    )
    # A space too thin to have a middle is judged by its size alone.
    middle = np.nan_to_num(middle, nan=0.0)
    darkest = np.full(count, _DARKEST_MIDDLE_HU)
    lungs_hu = middle[areas_cm2.argmax()]
    darkest[areas_cm2 <= _AIRWAY_UPTO_CM2] = max(_AIRWAY_BELOW_HU, lungs_hu - _AIRWAY_DARKER_HU)
    return np.isin(labels, numbers[(areas_cm2 >= _LEAST_SPACE_CM2) & (middle >= darkest)])


def _closed(mask: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    """Each lung closed by a disc on its own, so that the two never join, and its holes filled."""
    labels, count = ndimage.label(mask)
    whole = np.zeros(mask.shape, bool)
    margin = [math.ceil(_CLOSING_MM / step) + 1 for step in spacing_mm]
    for one in range(1, count + 1):
        padded = np.pad(labels == one, [(m, m) for m in margin])
        away = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) > _CLOSING_MM
        closed = ndimage.distance_transform_edt(~away, sampling=spacing_mm) > _CLOSING_MM
        filled = _without_small_holes(closed, spacing_mm)
        whole |= filled[margin[0] : -margin[0], margin[1] : -margin[1]]
    return whole


def _without_small_holes(mask: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    labels, count = ndimage.label(~mask)
    if not count:
        return mask
    areas_cm2 = np.bincount(labels.ravel())[1:] * math.prod(spacing_mm) / 100
    small = np.flatnonzero(areas_cm2 <= _LARGEST_HOLE_CM2) + 1
    filled: NDArray = mask | np.isin(labels, small)
    return filled
