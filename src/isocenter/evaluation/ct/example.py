"""Which slice of a CT to show."""

from __future__ import annotations

import numpy as np

from isocenter.evaluation.measure import Pair
from isocenter.image.ct_tissue import BODY_THRESHOLD_HU

_LEAST_SHARE = 0.02


class MostTelling:
    """Looks for the slice that shows the most of both lung and soft tissue."""

    def __init__(self) -> None:
        self._indices: list[int] = []
        self._air_and_tissue: list[tuple[int, int]] = []

    def add(self, pair: Pair, /) -> None:
        """Take in one pair."""
        air = int((pair.body & (pair.reference < BODY_THRESHOLD_HU)).sum())
        self._indices.append(pair.index)
        self._air_and_tissue.append((air, int(pair.body.sum()) - air))

    def result(self) -> int:
        """Index of that slice in the reference; of the middle one where none shows both."""
        less = [min(both) for both in self._air_and_tissue]
        best = int(np.argmax(less))
        enough = less[best] > _LEAST_SHARE * sum(self._air_and_tissue[best])
        return self._indices[best if enough else len(less) // 2]
