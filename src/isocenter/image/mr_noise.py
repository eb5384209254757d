"""How noisy a magnitude image of MR is, measured in the tissue itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Blind to constants, ramps and edges along rows and columns; white noise of standard deviation 1
# gives one of 6. Immerkaer, Comput. Vis. Image Underst. 64:300, 1996.
_KERNEL = np.outer((1.0, -2.0, 1.0), (1.0, -2.0, 1.0))
_GAIN = 6.0
WINDOW = 7
QUIET_PERCENTILE = 10.0
# What that percentile of windows of 7 x 7 pixels is for white noise of standard deviation 1.
_QUIET_OF_WHITE = 0.767
FEWEST_PIXELS = 50


def tissue_noise_sd(image: NDArray, mask: NDArray) -> float:
    """Standard deviation of the noise where ``mask`` is True, 0 where that cannot be told.

    Taken where the image is quietest, as anatomy has edges in few places and noise is everywhere.
    The background is not used: many scanners set it to 0, and that of several coils is not the
    noise of tissue. Where there is fine structure everywhere, it counts as noise, so the figure
    errs upwards; in images that were interpolated onto a finer grid it errs downwards.

    Args:
        image: (slice, row, column).
        mask: same shape, where there is tissue; a rim of half a window is left out if enough
            remains.
    """
    for size in (WINDOW + 2, 3, 1):
        inside = ndimage.binary_erosion(mask, np.ones((1, size, size), bool))
        if np.count_nonzero(inside) >= FEWEST_PIXELS:
            break
    else:
        return 0.0
    response = ndimage.convolve(np.asarray(image, np.float64), _KERNEL[None], mode="nearest")
    power = ndimage.uniform_filter((response / _GAIN) ** 2, (1, WINDOW, WINDOW), mode="nearest")
    quiet = np.percentile(np.sqrt(np.maximum(power[inside], 0.0)), QUIET_PERCENTILE)
    return float(quiet) / _QUIET_OF_WHITE
