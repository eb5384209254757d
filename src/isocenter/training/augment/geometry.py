"""Moved, turned, stretched and bent anatomy; a single interpolation for all of it.

A voxel of the result is looked up where it came from. Image, labels and boxes follow the same map:
the image by linear interpolation, labels by the nearest voxel, and a box holds every voxel that
came out of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from isocenter.core.errors import InputRefused
from isocenter.training.augment.sample import Sample, Values

# Beyond this share of the distance between control points a bent image may fold over itself.
# Source: Choi & Lee, Graphical Models 62:1, 2000, for cubic B-splines in 3-D.
MOST_BEND = 0.4
_TIE = 1e-6  # voxels: what lies between two may be rounded either way


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A change of place, fixed in all.

    Attributes:
        scale: along each axis, above 1 for larger; empty for none.
        angles_deg: one angle in 2-D, from the rows towards the columns; in 3-D one about each axis
            (slice, row, column), the last first. Turned about the middle of the image, in mm.
        shift: along each axis, as a share of the image.
        bend: displacement of control points as a share of the distance between them, as nested
            lists of (axis, point, point[, point]); the points are spread evenly from edge to edge.
        mirrored: the last axis runs the other way.
        swapped: pairs of labels that change places where mirrored, such as left and right lung.
    """

    scale: Sequence[float] = ()
    angles_deg: Sequence[float] = ()
    shift: Sequence[float] = ()
    bend: Sequence[Any] = ()
    mirrored: bool = False
    swapped: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        if any(not one > 0 for one in self.scale):
            raise ValueError(f"scale is above 0, got {self.scale}")
        if len(self.bend) and _most(self.bend) > MOST_BEND:
            raise ValueError(
                f"control points move by up to {MOST_BEND:g} of their distance, so that nothing "
                "folds over itself; more was given"
            )

    @property
    def moves(self) -> bool:
        """Whether any voxel changes its place other than by the mirror."""
        return (
            any(one != 1 for one in self.scale)
            or any(self.angles_deg)
            or any(self.shift)
            or (len(self.bend) > 0 and _most(self.bend) > 0)
        )

    def __call__(self, sample: Sample, values: Values) -> Sample:
        """The sample in its new place; the very same where nothing moves."""
        if self.mirrored:
            sample = self._mirror(sample)
        return self._moved(sample, values) if self.moves else sample

    def _mirror(self, sample: Sample) -> Sample:
        labels = None if sample.labels is None else self._swapped(sample.labels.flip(-1))
        boxes = sample.boxes.clone()
        if boxes.numel():
            boxes[:, -1] = sample.space[-1] - sample.boxes[:, -1].flip(-1)
        return replace(sample, image=sample.image.flip(-1), labels=labels, boxes=boxes)

    def _swapped(self, labels: Tensor) -> Tensor:
        found = labels.clone()
        for first, second in self.swapped:
            found[labels == first] = second
            found[labels == second] = first
        return found

    def _moved(self, sample: Sample, values: Values) -> Sample:
        sources = self.sources(sample)
        grid = _normalized(sources, sample.space)
        image = sample.image - values.empty
        image = _looked_up(image, grid.to(image), "bilinear") + values.empty
        labels = sample.labels
        if labels is not None:
            # Doubles hold every whole number that a label may be.
            looked = _looked_up(labels[None].double(), grid, "nearest")[0]
            labels = looked.round().to(labels.dtype)
        return replace(sample, image=image, labels=labels, boxes=_followed(sample.boxes, sources))

    def sources(self, sample: Sample) -> Tensor:
        """Where each voxel of the result comes from: (axis, *space) voxels, double."""
        space = sample.space
        axes = len(space)
        self._check_axes(axes)
        device = sample.image.device
        size = torch.tensor(space, dtype=torch.float64)
        middle = (size - 1) / 2
        mm = torch.tensor(sample.spacing_mm or (1.0,) * axes, dtype=torch.float64)
        places = torch.stack(
            torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in space], indexing="ij")
        )
        shift = torch.tensor(self.shift or (0.0,) * axes, dtype=torch.float64) * size
        scale = torch.tensor(self.scale or (1.0,) * axes, dtype=torch.float64)
        if len(self.bend):
            places = places + _bent(torch.tensor(self.bend, dtype=torch.float64), space)
        # On the way to the result: scale, rotation, shift, bend. Here all is undone, last first.
        back = torch.diag(1 / (scale * mm)) @ _rotation(self.angles_deg, axes).T @ torch.diag(mm)
        offset = places - (middle + shift).view(-1, *[1] * axes)
        sources = torch.einsum("ij,j...->i...", back, offset) + middle.view(-1, *[1] * axes)
        return sources.to(device)

    def _check_axes(self, axes: int) -> None:
        lengths = {len(self.scale), len(self.shift)} - {0}
        angles = {2: 1, 3: 3}[axes]
        bends = not len(self.bend) or torch.tensor(self.bend).ndim == axes + 1
        if lengths - {axes} or len(self.angles_deg) not in (0, angles) or not bends:
            raise InputRefused(
                f"the image has {axes} axes, and the change of place was drawn for another number"
            )


def _most(bend: Sequence[Any]) -> float:
    return float(torch.tensor(bend, dtype=torch.float64).abs().max())


def _rotation(angles_deg: Sequence[float], axes: int) -> Tensor:
    turn = torch.eye(axes, dtype=torch.float64)
    planes = ((0, 1),) if axes == 2 else ((1, 2), (0, 2), (0, 1))
    for angle, (first, second) in zip(angles_deg, planes, strict=False):
        one = torch.eye(axes, dtype=torch.float64)
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        one[first, first] = one[second, second] = cosine
        one[second, first], one[first, second] = sine, -sine
        turn = turn @ one
    return turn


def _bent(bend: Tensor, space: Sequence[int]) -> Tensor:
    """Displacement in voxels: a cubic B-spline of control points, (axis, *space)."""
    field = bend
    for axis, count in enumerate(space):
        points = bend.shape[axis + 1]
        field = torch.movedim(field, axis + 1, -1) @ _spline(points, count).T
        field = torch.movedim(field, -1, axis + 1)
    distance = [(n - 1) / (points - 1) for n, points in zip(space, bend.shape[1:], strict=True)]
    return field * torch.tensor(distance, dtype=torch.float64).view(-1, *[1] * len(space))


def _spline(points: int, count: int) -> Tensor:
    """(voxel, point): weights of control points that are spread from the first voxel to the last.

    Beyond the edge the control points do not move.
    """
    place = torch.linspace(0, points - 1, count, dtype=torch.float64)
    away = (place[:, None] - torch.arange(points, dtype=torch.float64)).abs()
    near = 2 / 3 - away.square() + away.pow(3) / 2
    far = (2 - away).clamp_min(0).pow(3) / 6
    return torch.where(away < 1, near, far)


def _normalized(sources: Tensor, space: Sequence[int]) -> Tensor:
    """As ``grid_sample`` takes places: from -1 to 1, the last axis first."""
    size = torch.tensor(space, dtype=sources.dtype, device=sources.device)
    scaled = (2 * sources + 1) / size.view(-1, *[1] * len(space)) - 1
    return scaled.flip(0).movedim(0, -1)


def _looked_up(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    """(channel, *space) at other places; 0 outside."""
    return functional.grid_sample(
        values[None], grid[None], mode=mode, padding_mode="zeros", align_corners=False
    )[0]


def _followed(boxes: Tensor, sources: Tensor) -> Tensor:
    """The smallest boxes of whole voxels that hold all that came out of each."""
    found = boxes.clone()
    for number, box in enumerate(boxes):
        # A voxel covers from half before its place to half behind; edges count from its beginning.
        low, high = (edge.view(-1, *[1] * (sources.ndim - 1)) - 0.5 for edge in box.unbind(-1))
        inside = ((sources >= low - _TIE) & (sources <= high + _TIE)).all(dim=0)
        places = inside.nonzero()
        if len(places):
            found[number, :, 0] = places.amin(dim=0)
            found[number, :, 1] = places.amax(dim=0) + 1
        else:
            found[number] = torch.nan
    return found
