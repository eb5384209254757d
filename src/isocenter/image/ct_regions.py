"""Even regions of one CT slice, sorted by what is measured and by where they lie.

No organ is segmented and none is named. Of a region of 30 HU nobody can say by its values whether
it is liver, muscle or blood, so its name says 30 HU; what position supports is used: lung is air
in a large space inside the body, soft tissue is not what bone encloses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.image.ct_tissue import TISSUES, body_mask


@dataclass(frozen=True, kw_only=True)
class RegionKind:
    """A kind of region.

    Attributes:
        key: stable, in records.
        name: in words, of what is measured and where.
        range_hu: lower and upper limit of its smoothed values, upper limit excluded.
    """

    key: str
    name: str
    range_hu: tuple[float, float]


LUNG = RegionKind(key="lung", name="Lung", range_hu=TISSUES["lung"])
FAT = RegionKind(key="fat", name="Fat", range_hu=TISSUES["fat"])
SOFT_TISSUES = tuple(
    RegionKind(key=f"soft_tissue_{low:.0f}_{high:.0f}_hu", name="Soft tissue", range_hu=(low, high))
    for low, high in (TISSUES["muscle"], TISSUES["liver"], TISSUES["blood"])
)
DENSE = RegionKind(key="dense", name="Bone and other dense matter", range_hu=TISSUES["bone"])
REGION_KINDS = (LUNG, FAT, *SOFT_TISSUES, DENSE)

# Noise has little say in an image as coarse as this.
_COARSE_MM = 3.0
# Borders of organs rise faster than even tissue does, and partial volume lies there.
_STEEPEST_HU_PER_MM = 4.0
_HOLE_RADIUS_MM = 2.0
_SOLID_RADIUS_MM = 3.0
# Smaller spaces are bowel, stomach or airways, and gas alone is darker than lung; the apex is lost.
_LEAST_LUNG_CM2 = 35.0
_DARKEST_LUNG_HU = -955.0
_INNER_MM = 6.0
# How far marrow lies from the shell of its bone.
_MARROW_MM = 16.0
_SHELL_HU = 180.0


def region_masks(
    image_hu: NDArray, *, spacing_mm: tuple[float, float], body: NDArray | None = None
) -> dict[str, NDArray]:
    """Where one (row, column) slice holds even regions of each kind of :data:`REGION_KINDS`.

    Give an image whose noise does not decide what is judged, such as the mean of before and after.
    Parts thinner than 6 mm and borders are left out, as are soft tissue and fat that are not even.
    """
    inside = body_mask(image_hu) if body is None else body
    coarse = ndimage.gaussian_filter(
        image_hu.astype(np.float32), [_COARSE_MM / step for step in spacing_mm]
    )
    even = _steepness(coarse, spacing_mm) < _STEEPEST_HU_PER_MM
    bone = _with_marrow(coarse, spacing_mm, inside)
    masks = {}
    for kind in REGION_KINDS:
        low, high = kind.range_hu
        mask = (coarse >= low) & (coarse < high) & inside
        if kind is LUNG:
            mask = _solid(mask & _lung_spaces(coarse, inside, spacing_mm), inside, spacing_mm)
        elif kind is DENSE:
            mask = _solid(mask, inside, spacing_mm)
        else:
            mask = _solid(mask & even & ~bone, inside, spacing_mm)
        masks[kind.key] = mask
    return masks


def _steepness(coarse: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    if min(coarse.shape) < 2:
        return np.zeros(coarse.shape, np.float32)
    rows, columns = np.gradient(coarse, *spacing_mm)
    return np.hypot(rows, columns)


def _solid(mask: NDArray, inside: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    """Without small holes and without thin parts."""
    if not mask.any():
        return mask
    closed = _shrunk(_grown(mask, _HOLE_RADIUS_MM, spacing_mm), _HOLE_RADIUS_MM, spacing_mm)
    thick = _shrunk(closed & inside, _SOLID_RADIUS_MM, spacing_mm)
    return _grown(thick, _SOLID_RADIUS_MM, spacing_mm)


def _grown(mask: NDArray, radius_mm: float, spacing_mm: tuple[float, float]) -> NDArray:
    grown: NDArray = ndimage.maximum_filter(mask.view(np.uint8), _square(radius_mm, spacing_mm))
    return grown.view(bool)


def _shrunk(mask: NDArray, radius_mm: float, spacing_mm: tuple[float, float]) -> NDArray:
    shrunk: NDArray = ndimage.minimum_filter(mask.view(np.uint8), _square(radius_mm, spacing_mm))
    return shrunk.view(bool)


def _square(radius_mm: float, spacing_mm: tuple[float, float]) -> list[int]:
    """Sides in pixels; a square is ten times as fast as a disc and as good here."""
    return [2 * math.floor(radius_mm / step) + 1 for step in spacing_mm]


def _lung_spaces(coarse: NDArray, inside: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    """Spaces in the body that are large and, away from their walls, not as dark as gas alone."""
    space = (coarse < LUNG.range_hu[1]) & inside
    labels, count = ndimage.label(space)
    if not count:
        return space
    numbers = np.arange(1, count + 1)
    areas_cm2 = ndimage.sum_labels(space, labels, numbers) * math.prod(spacing_mm) / 100
    inner = _shrunk(space, _INNER_MM, spacing_mm)
    middle_hu = ndimage.median(coarse, np.where(inner, labels, 0), numbers)
    chosen = numbers[(areas_cm2 >= _LEAST_LUNG_CM2) & (middle_hu >= _DARKEST_LUNG_HU)]
    return np.isin(labels, chosen)


def _with_marrow(coarse: NDArray, spacing_mm: tuple[float, float], inside: NDArray) -> NDArray:
    """Dense matter and what it encloses, as marrow has the values of soft tissue with contrast."""
    shell = (coarse >= _SHELL_HU) & inside
    closed = _shrunk(_grown(shell, _MARROW_MM, spacing_mm), _MARROW_MM, spacing_mm)
    filled: NDArray = ndimage.binary_fill_holes(closed) & inside
    return filled
