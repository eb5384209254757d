"""From wishes in words to what the network of a generator is told.

One network serves several families, so its categories and numbers are those of all of them: the
family itself is the first category. What is told stands in the order of :class:`Vocabulary`, which
follows from the families alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import Box

if TYPE_CHECKING:
    from collections.abc import Iterable

FAMILY = "family"
NOT_SAID = 0


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What a network can be told, in its order.

    Attributes:
        categories: names of the values by category; "family" is the first.
        numbers: least and most by name.
    """

    categories: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, tuple[float, float]]

    @property
    def category_sizes(self) -> list[int]:
        """Number of values of each category."""
        return [len(values) for values in self.categories.values()]

    def category_codes(self, family: str, said: Mapping[str, str]) -> NDArray:
        """(K,) whole numbers, 0 where nothing is said."""
        told = {**said, FAMILY: family}
        return np.array(
            [
                values.index(told[name]) + 1 if name in told else NOT_SAID
                for name, values in self.categories.items()
            ],
            np.int64,
        )

    def number_codes(self, said: Mapping[str, float]) -> NDArray:
        """(N,) float32 from -1 to 1 over the range of each, NaN where nothing is said."""
        return np.array(
            [
                2 * (said[name] - least) / (most - least) - 1 if name in said else math.nan
                for name, (least, most) in self.numbers.items()
            ],
            np.float32,
        )


def vocabulary_of(families: Iterable[Family]) -> Vocabulary:
    """What a network of these families can be told.

    A category of the same name in two families is one, with the values of both; so is a number,
    with the range of both.
    """
    listed = list(families)
    categories: dict[str, tuple[str, ...]] = {FAMILY: tuple(one.name for one in listed)}
    numbers: dict[str, tuple[float, float]] = {}
    for family in listed:
        for name, values in sorted(family.categories.items()):  # as a file of JSON has them
            known = categories.get(name, ())
            categories[name] = known + tuple(value for value in values if value not in known)
        for number in family.numbers:
            least, most = numbers.get(number.name, (number.least, number.most))
            numbers[number.name] = min(least, number.least), max(most, number.most)
    return Vocabulary(categories=categories, numbers=numbers)


def box_map(box: Box, size: Sequence[int]) -> NDArray:
    """Share of each cell of a grid that lies in a box.

    Args:
        box: center x, center y, width, height as fractions of the image.
        size: rows and columns of the grid.

    Returns:
        (row, column) float32 from 0 to 1.
    """
    x, y, width, height = box
    down = _overlap(y, height, size[0])
    across = _overlap(x, width, size[1])
    return np.outer(down, across).astype(np.float32)


def _overlap(center: float, extent: float, cells: int) -> NDArray:
    """Share of each of several equal cells of 0..1 that lies in a range."""
    edges = np.arange(cells + 1) / cells
    first, last = center - extent / 2, center + extent / 2
    inside = np.minimum(edges[1:], last) - np.maximum(edges[:-1], first)
    return inside.clip(0) * cells


def painted(labels: NDArray, num_labels: int) -> NDArray:
    """A label map as a gray image from -1 (outside) to 1 (the last label), float32."""
    gray: NDArray = labels.astype(np.float32) * (2 / max(1, num_labels)) - 1
    return gray
