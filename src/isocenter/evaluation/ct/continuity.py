"""Continuity from slice to slice: does the image flicker when one scrolls through it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Continuity:
    """Mean absolute difference between neighbouring slices, inside the body.

    Attributes:
        reference_hu, test_hu: of each image.
        num_pairs: how many pairs of neighbours were compared.
    """

    reference_hu: float
    test_hu: float
    num_pairs: int

    @property
    def ratio(self) -> float:
        """Test over reference: 1 as the reference, above 1 flickers, below 1 is smeared."""
        return self.test_hu / self.reference_hu if self.reference_hu > 0 else math.nan


@dataclass(frozen=True, kw_only=True)
class PairDifference:
    """Sums over one pair of neighbouring slices."""

    reference_hu: float
    test_hu: float
    num_voxels: int


def pair_difference(
    reference_hu: tuple[NDArray, NDArray],
    test_hu: tuple[NDArray, NDArray],
    *,
    masks: tuple[NDArray, NDArray],
) -> PairDifference:
    """Sums of absolute differences where both neighbours hold the body."""
    both = masks[0] & masks[1]
    return PairDifference(
        reference_hu=_sum_of_differences(reference_hu, both),
        test_hu=_sum_of_differences(test_hu, both),
        num_voxels=int(both.sum()),
    )


def pool_continuity(pairs: Iterable[PairDifference]) -> Continuity | None:
    """Mean over all voxels of all pairs; None where there is no pair."""
    pairs = [pair for pair in pairs if pair.num_voxels]
    if not pairs:
        return None
    num_voxels = sum(pair.num_voxels for pair in pairs)
    return Continuity(
        reference_hu=math.fsum(pair.reference_hu for pair in pairs) / num_voxels,
        test_hu=math.fsum(pair.test_hu for pair in pairs) / num_voxels,
        num_pairs=len(pairs),
    )


def inter_slice_continuity(
    reference_hu: NDArray, test_hu: NDArray, *, mask: NDArray | None = None
) -> Continuity | None:
    """Continuity of a volume (slice, row, column); None where it holds a single slice."""
    everywhere = np.ones(reference_hu.shape[1:], bool)
    return pool_continuity(
        pair_difference(
            (reference_hu[index], reference_hu[index + 1]),
            (test_hu[index], test_hu[index + 1]),
            masks=(everywhere, everywhere) if mask is None else (mask[index], mask[index + 1]),
        )
        for index in range(len(reference_hu) - 1)
    )


def _sum_of_differences(pair: tuple[NDArray, NDArray], inside: NDArray) -> float:
    return float(np.abs(pair[1][inside].astype(np.float64) - pair[0][inside]).sum())
