"""Smooth random fields: numbers drawn at a few nodes, joined by cubic B-splines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Of a sum of unit normal numbers with the weights of a cubic B-spline, on average over places.
_DEVIATION = (151 / 315) ** 0.5


@lru_cache(maxsize=256)
def spline_weights(nodes: int, size: int) -> NDArray:
    """Weights of nodes at evenly spaced samples.

    Args:
        nodes: intervals between nodes along the axis.
        size: samples along it.

    Returns:
        (size, nodes + 3) float32, each row of sum 1; to be left unchanged, as it is shared.
    """
    places = (np.arange(size) + 0.5) * nodes / size
    first = places.astype(int)
    t = places - first
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((size, nodes + 3), np.float32)
    for shift, piece in enumerate(pieces):
        weights[np.arange(size), first + shift] = piece / 6
    return weights


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], nodes: tuple[int, ...]
) -> NDArray[np.float32]:
    """A field of any number of axes, of mean about 0 and deviation 1.

    Args:
        rng: draws the numbers at the nodes.
        shape: of the field.
        nodes: intervals between nodes along each axis.
    """
    field = rng.standard_normal([count + 3 for count in nodes], dtype=np.float32)
    for count, size in zip(nodes, shape, strict=True):
        # Takes the first axis away and adds the last, so that the axes come round.
        field = np.tensordot(field, spline_weights(count, size), (0, 1))
    deviation: float = field.std()
    return (field / max(deviation, 1e-6)).astype(np.float32)


class SlicedField:
    """A smooth field of three axes of deviation 1 that is worked out slice by slice."""

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int, int], nodes: tuple[int, int, int]
    ) -> None:
        """Draw it; arguments as of :func:`smooth_field`."""
        self._drawn = rng.standard_normal([count + 3 for count in nodes], dtype=np.float32)
        self._drawn /= _DEVIATION**3
        self._slices, self._rows, self._columns = (
            spline_weights(count, size) for count, size in zip(nodes, shape, strict=True)
        )

    def plane(self, index: float) -> NDArray[np.float32]:
        """(row, column) of a slice, or of a place between two."""
        below = int(min(max(index, 0), len(self._slices) - 1))
        above = min(below + 1, len(self._slices) - 1)
        share = min(max(index - below, 0.0), 1.0)
        weights = (1 - share) * self._slices[below] + share * self._slices[above]
        flat = np.tensordot(weights.astype(np.float32), self._drawn, (0, 0))
        plane: NDArray = self._rows @ flat @ self._columns.T
        return plane


def nodes_for(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], wave_mm: float
) -> tuple[int, int, int]:
    """Nodes some ``wave_mm`` apart along each axis, at least one interval."""
    z, y, x = (max(1, round(n * mm / wave_mm)) for n, mm in zip(shape, spacing_mm, strict=True))
    return z, y, x
