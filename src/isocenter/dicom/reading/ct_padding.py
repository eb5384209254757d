"""Which pixels of a CT slice are no measurement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OUTSIDE_MAX_HU = -1000.0


def measured_pixels(
    stored: NDArray, *, slope: float, intercept: float, padding: tuple[int, int] | None
) -> NDArray:
    """False where the scanner wrote padding or the constant it puts outside its circle.

    Named padding values count wherever they are. Where the slice has none, one value that fills
    all four corners and means -1000 HU or less is taken as the outside, as far as its exact value
    reaches from a corner without a break. Air that was clipped there is then left out too.

    Args:
        stored: (row, column) integers.
        padding: smallest and largest stored value that means padding.

    Returns:
        (row, column) bool.
    """
    if padding is not None:
        padded = (stored >= padding[0]) & (stored <= padding[1])
        if padded.any():
            return ~padded
    corners = {int(stored[row, column]) for row in (0, -1) for column in (0, -1)}
    if len(corners) != 1:
        return np.ones(stored.shape, bool)
    (value,) = corners
    if value * slope + intercept > OUTSIDE_MAX_HU:
        return np.ones(stored.shape, bool)
    return ~_connected_to_corners(stored == value)


def _connected_to_corners(mask: NDArray) -> NDArray:
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    at_corners = labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    return np.isin(labels, at_corners[at_corners > 0])
