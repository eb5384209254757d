"""Whether numbers can be Hounsfield units at all, from the numbers alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Extended scales reach 65535; nothing that absorbs X-rays lies below vacuum but for rounding and
# what scanners write outside their circle.
LOWEST_POSSIBLE_HU = -32768.0
HIGHEST_POSSIBLE_HU = 65535.0


def why_not_hu(values: NDArray, *, whole_scan: bool = False) -> str:
    """Why these numbers cannot be HU, in words; "" where they can.

    Args:
        values: any shape, finite.
        whole_scan: the numbers are all of a scan, which holds air or fat and thus values below
            zero; a patch of it need not.
    """
    low, high = float(np.min(values)), float(np.max(values))
    if low < LOWEST_POSSIBLE_HU or high > HIGHEST_POSSIBLE_HU:
        return f"they reach from {low:g} to {high:g}"
    if low >= -1 and high <= 1:
        return "they lie within -1 and 1, as in an image that was normalized"
    if low == 0 and high == 255 and bool((values == np.rint(values)).all()):
        return "they are whole numbers from 0 to 255, as in a picture of 8 bits"
    if whole_scan and low >= 0:
        return (
            "none lies below zero, as in stored values to which rescale slope and intercept were "
            "not applied"
        )
    return ""
