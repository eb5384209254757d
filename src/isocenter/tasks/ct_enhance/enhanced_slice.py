"""One slice of an enhancement, by the names of CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.tasks.ct_enhance.outputs import ENHANCED, UNCERTAINTY
from isocenter.tasks.task import SliceResult


@dataclass(frozen=True, kw_only=True)
class EnhancedSlice:
    """One slice before and after.

    Attributes:
        index: place in the series.
        before_hu, image_hu: (row, column), as scanned and enhanced; the same where not valid.
        half_width_hu: (row, column), half of the 90 % interval, 0 where not valid.
        valid: (row, column), False where the scanner wrote no measurement.
    """

    index: int
    before_hu: NDArray
    image_hu: NDArray
    half_width_hu: NDArray
    valid: NDArray

    @classmethod
    def of(cls, result: SliceResult) -> EnhancedSlice:
        """What the stream gives, by its names."""
        before = result.before
        assert before is not None  # the stream gives one for every slice
        return cls(
            index=result.index,
            before_hu=before,
            image_hu=result.values[ENHANCED.name],
            half_width_hu=result.values[UNCERTAINTY.name],
            valid=np.ones(before.shape, bool) if result.valid is None else result.valid,
        )
