"""Put a redrawn part into an image so that its border does not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# How far beside the border the difference is looked at, and carried on inside, in pixels.
_REACH = 4.0
_LEAST_WEIGHT = 1e-3


def hidden_seam(drawn: NDArray, *, before: NDArray, again: NDArray, free: NDArray) -> NDArray:
    """The redrawn part in the old image.

    An autoencoder gives back every image a little smoother and shifted. That error is known just
    outside of the border, so it is carried on a few pixels inside, where it dies away.

    Args:
        drawn: (row, column), the new image.
        before: the old one; kept bit for bit where ``free`` is False.
        again: the old one through the autoencoder.
        free: True where the new image is taken.
    """
    outside = (~free).astype(np.float64)
    weight = ndimage.gaussian_filter(outside, _REACH)
    error = ndimage.gaussian_filter(outside * (before.astype(np.float64) - again), _REACH)
    carried = error / np.maximum(weight, _LEAST_WEIGHT)
    fade = np.clip(2 * weight, 0, 1)
    mended = drawn + fade * carried
    return np.where(free, mended, before).astype(before.dtype)
