"""A registration to look at: a checkerboard of both images, and edges of one over the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.volume import Volume
from isocenter.image.head_mask import head_mask
from isocenter.image.orientation import transverse
from isocenter.image.registration import NO_MOTION, Motion, resample

_PIXELS_PER_MM = 1.6
_SQUARE_MM = 30.0
_EDGE_SIGMA_MM = 1.5
_EDGE_COLOR = (255, 90, 0)
_GAP = 4


def registration_picture(moving: Volume, fixed: Volume, motion: Motion) -> NDArray:
    """Before above, after below; three planes, each as checkerboard and as edges.

    Squares of the checkerboard alternate between the two images; a contour that runs on from one
    to the next lies right. The orange lines are the steepest edges of the moving image over the
    fixed one.

    Args:
        moving, fixed, motion: as :func:`isocenter.image.registration.register` took and gave them.

    Returns:
        (height, width, 3) uint8.
    """
    upright = transverse(fixed)
    center = _middle(head_mask(upright))
    rows = [
        _row(upright, resample(moving, upright.geometry, one, interpolation="linear"), center)
        for one in (NO_MOTION, motion)
    ]
    return np.vstack(rows)


def _middle(mask: NDArray) -> tuple[int, int, int]:
    first, second, third = (int(np.median(places)) for places in np.nonzero(mask))
    return first, second, third


def _row(fixed: Volume, moved: Volume, center: tuple[int, int, int]) -> NDArray:
    pictures = []
    known = np.ones(moved.array.shape, bool) if moved.valid is None else moved.valid
    for axis, index in enumerate(center):
        first, second = (
            _plane(_gray_levels(one.array), one, axis, index) for one in (fixed, moved)
        )
        valid = _plane(known.astype(np.float32), moved, axis, index) > 0.99
        pictures += [_checkerboard(first, second), _with_edges(first, second, valid)]
    height = max(one.shape[0] for one in pictures) + _GAP
    return np.hstack(
        [np.pad(one, ((height - one.shape[0], 0), (_GAP, 0), (0, 0))) for one in pictures]
    )


def _gray_levels(array: NDArray) -> NDArray:
    low, high = np.percentile(array, (1, 99.5))
    levels: NDArray = np.clip((array - low) / max(float(high - low), 1e-12), 0, 1)
    return levels


def _plane(array: NDArray, volume: Volume, axis: int, index: int) -> NDArray:
    """One plane with square pixels, the head up."""
    plane = array.take(index, axis)
    if axis > 0:
        plane = plane[::-1]
    steps = [step for place, step in enumerate(volume.geometry.spacing_mm) if place != axis]
    zooms = [
        max(1, round(count * step * _PIXELS_PER_MM)) / count
        for count, step in zip(plane.shape, steps, strict=True)
    ]
    large: NDArray = ndimage.zoom(
        plane.astype(np.float32), zooms, order=1, grid_mode=True, mode="nearest"
    )
    return large


def _checkerboard(fixed: NDArray, moved: NDArray) -> NDArray:
    row, column = (np.indices(fixed.shape) / _PIXELS_PER_MM / _SQUARE_MM).astype(int)
    return _gray(np.where((row + column) % 2 == 0, fixed, moved))


def _with_edges(fixed: NDArray, moved: NDArray, valid: NDArray) -> NDArray:
    from skimage.feature import canny

    edges = canny(
        moved,
        sigma=_EDGE_SIGMA_MM * _PIXELS_PER_MM,
        low_threshold=0.8,
        high_threshold=0.92,
        use_quantiles=True,
        mask=ndimage.binary_erosion(valid, iterations=4),
    )
    picture = _gray(fixed)
    picture[ndimage.binary_dilation(edges)] = _EDGE_COLOR
    return picture


def _gray(plane: NDArray) -> NDArray:
    return np.repeat((plane * 255).astype(np.uint8)[..., None], 3, axis=2)
