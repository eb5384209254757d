"""Continuity from slice to slice: does the image flicker when one scrolls through it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.measure import Pair, array_pairs, measure


@dataclass(frozen=True, kw_only=True)
class Continuity:
    """Mean absolute difference between neighbouring slices, inside the body.

    Attributes:
        reference, test: of each image, in its unit.
        num_pairs: how many pairs of neighbours were compared.
    """

    reference: float
    test: float
    num_pairs: int

    @property
    def ratio(self) -> float:
        """Test over reference: 1 as the reference, above 1 flickers, below 1 is smeared."""
        return self.test / self.reference if self.reference > 0 else math.nan


@dataclass(frozen=True)
class _Sums:
    """Over one pair of neighbouring slices."""

    reference: float
    test: float
    num_voxels: int


class ContinuityMeter:
    """Differences of neighbouring slices where both hold the body; remembers one slice."""

    def __init__(self) -> None:
        self._sums: list[_Sums] = []
        self._last: Pair | None = None

    def add(self, pair: Pair, /) -> None:
        """Take in one pair."""
        last = self._last
        if last is not None and pair.index == last.index + 1:
            both = last.body & pair.body
            if both.any():
                self._sums.append(
                    _Sums(
                        reference=_sum_of_differences(last.reference, pair.reference, both),
                        test=_sum_of_differences(last.test, pair.test, both),
                        num_voxels=int(both.sum()),
                    )
                )
        self._last = pair

    def result(self) -> Continuity | None:
        """Mean over all voxels of all neighbours; None where no two were neighbours."""
        if not self._sums:
            return None
        num_voxels = sum(each.num_voxels for each in self._sums)
        return Continuity(
            reference=math.fsum(each.reference for each in self._sums) / num_voxels,
            test=math.fsum(each.test for each in self._sums) / num_voxels,
            num_pairs=len(self._sums),
        )


def inter_slice_continuity(
    reference: NDArray, test: NDArray, *, mask: NDArray | None = None
) -> Continuity | None:
    """Continuity of an array (slice, row, column); None where it holds a single slice."""
    meter = ContinuityMeter()
    measure(array_pairs(reference, test, mask=mask), [meter])
    return meter.result()


def _sum_of_differences(first: NDArray, second: NDArray, inside: NDArray) -> float:
    return float(np.abs(second[inside].astype(np.float64) - first[inside]).sum())
