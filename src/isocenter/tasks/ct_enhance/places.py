"""Where a model changed most beyond noise: the places that a reader should see first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.tasks.ct_enhance.enhanced_slice import EnhancedSlice

# Averaged over about 6 mm, noise is a few HU and a lost or added structure is not.
COARSE_MM = 2.5
_SKIN_MM = 4.0


@dataclass(frozen=True, kw_only=True)
class ChangedPlace:
    """The largest change of one slice, averaged over about 6 mm.

    Attributes:
        index: of the slice.
        row, column: of the place.
        change_hu: after minus before.
        around_hu: what was there before, averaged as well.
        typical_hu: root mean square of that average in the slice, for comparison.
    """

    index: int
    row: int
    column: int
    change_hu: float
    around_hu: float
    typical_hu: float


def largest_change(
    piece: EnhancedSlice, body: NDArray, *, spacing_mm: tuple[float, float]
) -> ChangedPlace | None:
    """Where one slice changed most inside the patient; None where there is no patient or change."""
    inside = ndimage.minimum_filter(
        body & piece.valid, [2 * math.floor(_SKIN_MM / step) + 1 for step in spacing_mm]
    )
    sigma = [COARSE_MM / step for step in spacing_mm]
    change = ndimage.gaussian_filter(piece.image_hu - piece.before_hu, sigma)
    size = np.where(inside, np.abs(change), 0)
    row, column = (int(place) for place in np.unravel_index(size.argmax(), size.shape))
    if size[row, column] == 0:
        return None
    return ChangedPlace(
        index=piece.index,
        row=row,
        column=column,
        change_hu=float(change[row, column]),
        around_hu=float(ndimage.gaussian_filter(piece.before_hu, sigma)[row, column]),
        typical_hu=float(np.sqrt(np.mean(change[inside].astype(np.float64) ** 2))),
    )
