"""What is augmented: an image with the labels and boxes that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from isocenter.core.errors import InputRefused


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the numbers of an image mean.

    Attributes:
        low, high: the range that black and white stand for; changes of gray levels end there.
        empty: what lies outside a scan, such as air; a moved image is filled with it.
    """

    low: float
    high: float
    empty: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low lies below high, got {self.low:g} and {self.high:g}")


NETWORK = Values(low=-1.0, high=1.0, empty=-1.0)
HOUNSFIELD = Values(low=-1024.0, high=3071.0, empty=-1000.0)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image, 2-D or 3-D, with what is known of its places.

    Attributes:
        image: (channel, row, column) or (channel, slice, row, column), floating.
        labels: whole numbers on the grid of the image, without the axis of channels; 0 is outside.
        boxes: (box, axis, 2), first and last edge in voxels along each axis; a box that has left
            the image is NaN.
        spacing_mm: of the voxels along each axis; 1 where empty.
    """

    image: Tensor
    labels: Tensor | None = None
    boxes: Tensor = field(default_factory=lambda: torch.zeros(0))
    spacing_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        axes = len(self.space)
        if axes not in (2, 3) or not self.image.is_floating_point():
            raise InputRefused(
                "an image to augment is (channel, row, column) or (channel, slice, row, column) "
                f"of floating numbers; got {self.image.dtype} of {tuple(self.image.shape)}"
            )
        if self.labels is not None and (
            self.labels.shape != self.space or self.labels.is_floating_point()
        ):
            raise InputRefused(
                f"labels are whole numbers on the grid of the image, {tuple(self.space)}; got "
                f"{self.labels.dtype} of {tuple(self.labels.shape)}"
            )
        if self.boxes.numel() and self.boxes.shape[1:] != (axes, 2):
            raise InputRefused(
                f"boxes are (box, {axes}, 2), first and last edge along each axis in voxels; got "
                f"{tuple(self.boxes.shape)}"
            )
        if self.spacing_mm and (len(self.spacing_mm) != axes or min(self.spacing_mm) <= 0):
            raise InputRefused(
                f"spacing_mm is above 0 along each of {axes} axes, got {self.spacing_mm}"
            )

    @property
    def space(self) -> torch.Size:
        """Rows and columns, after slices in 3-D."""
        return self.image.shape[1:]

    def with_image(self, image: Tensor) -> Sample:
        """The same places with other values."""
        return replace(self, image=image)


def box_of_fractions(
    box: tuple[float, float, float, float], rows: int, columns: int
) -> list[list[float]]:
    """Edges in voxels of a box given as center x, center y, width and height of the image.

    Returns:
        [[first row, last row], [first column, last column]] as :attr:`Sample.boxes` has them.
    """
    x, y, width, height = box
    return [
        [(y - height / 2) * rows, (y + height / 2) * rows],
        [(x - width / 2) * columns, (x + width / 2) * columns],
    ]


def fractions_of_box(
    edges: list[list[float]], rows: int, columns: int
) -> tuple[float, float, float, float]:
    """The inverse of :func:`box_of_fractions`."""
    (top, bottom), (left, right) = edges
    return (
        (left + right) / 2 / columns,
        (top + bottom) / 2 / rows,
        (right - left) / columns,
        (bottom - top) / rows,
    )
