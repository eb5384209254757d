"""From values to 16-bit integers and back: slope, intercept, padding."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = -(2**15), 2**15 - 1


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Signed 16-bit integers: a value is the stored integer * slope + intercept.

    Attributes:
        padding: the integer that stands where there is no value.
    """

    slope: float = 1.0
    intercept: float = 0.0
    padding: int = LOWEST

    def stored(self, values: NDArray, valid: NDArray | None = None) -> tuple[NDArray, int]:
        """Integers of the same shape, each within half a step, and how many had to be clipped.

        Args:
            values: finite wherever ``valid``.
            valid: same shape, False where there is no value; no other pixel then reads as padding.
        """
        present = values if valid is None else np.where(valid, values, self.intercept)
        wanted = np.rint((present.astype(np.float64) - self.intercept) / self.slope)
        stored = np.clip(wanted, LOWEST, HIGHEST)
        num_clipped = int(np.count_nonzero(stored != wanted))
        if valid is not None:
            stored = np.where(stored == self.padding, self.padding + 1, stored)
            stored = np.where(valid, stored, self.padding)
        return stored.astype(np.int16), num_clipped


def fitting_scale(largest: float, *, are_whole: bool) -> Scale:
    """The finest scale for values up to ``largest`` in magnitude; zero stays zero.

    Args:
        largest: of all values of a series, finite.
        are_whole: whether all of them are whole numbers, which are stored as they are if they fit.
    """
    if largest == 0 or (are_whole and largest <= HIGHEST):
        return Scale()
    return Scale(slope=_rounded_up(largest / HIGHEST))


def _rounded_up(value: float) -> float:
    """Six digits, so that a decimal string holds the very number."""
    return float(Context(prec=6, rounding=ROUND_CEILING).create_decimal(Decimal(value)))
