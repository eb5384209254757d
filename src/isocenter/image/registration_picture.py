"""A registration to look at: a checkerboard of both images, and edges of one over the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.volume import Geometry, Volume
from isocenter.image.head_mask import head_mask
from isocenter.image.orientation import transverse
from isocenter.image.registration import NO_MOTION, Motion, resample

_HEIGHT = 320
_SQUARES = 8
_EDGE_COLOR = (255, 90, 0)
_EDGE_SHARE = 0.12
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
    for axis, index in enumerate(center):
        planes = [_plane(one.array, one.geometry, axis, index) for one in (fixed, moved)]
        pictures += [_checkerboard(*planes), _edges(*planes)]
    return np.hstack([np.pad(one, ((_GAP, 0), (_GAP, 0), (0, 0))) for one in pictures])


def _plane(array: NDArray, geometry: Geometry, axis: int, index: int) -> NDArray:
    """One plane with square pixels, the head up, gray values 0 to 1."""
    plane = array.take(index, axis)
    if axis > 0:
        plane = plane[::-1]
    steps = [step for place, step in enumerate(geometry.spacing_mm) if place != axis]
    length_mm = [count * step for count, step in zip(plane.shape, steps, strict=True)]
    width = max(1, round(_HEIGHT * length_mm[1] / length_mm[0]))
    zooms = _HEIGHT / plane.shape[0], width / plane.shape[1]
    large = ndimage.zoom(plane.astype(np.float32), zooms, order=1, grid_mode=True, mode="nearest")
    low, high = np.percentile(array, (1, 99.5))
    shown: NDArray = np.clip((large - low) / max(float(high - low), 1e-12), 0, 1)
    return shown


def _checkerboard(fixed: NDArray, moved: NDArray) -> NDArray:
    row, column = np.indices(fixed.shape) * _SQUARES // fixed.shape[0]
    mixed = np.where((row + column) % 2 == 0, fixed, moved)
    return _gray(mixed)


def _edges(fixed: NDArray, moved: NDArray) -> NDArray:
    steepness = ndimage.gaussian_gradient_magnitude(moved, 2.0)
    ridge = steepness >= ndimage.maximum_filter(steepness, 3) * 0.98
    picture = _gray(fixed)
    steep = steepness > np.quantile(steepness, 1 - _EDGE_SHARE)
    picture[ridge & steep & (steepness > 0)] = _EDGE_COLOR
    return picture


def _gray(plane: NDArray) -> NDArray:
    return np.repeat((plane * 255).astype(np.uint8)[..., None], 3, axis=2)
