"""Branching vessels as capsules in space, and how they are drawn into a slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class VesselTree:
    """Tapered straight pieces; positions are (x, y, z) in mm.

    Attributes:
        starts, ends: (pieces, 3).
        start_radii_mm, end_radii_mm: (pieces,).
    """

    starts: NDArray
    ends: NDArray
    start_radii_mm: NDArray
    end_radii_mm: NDArray


def grow_tree(
    rng: np.random.Generator,
    *,
    root: tuple[float, float, float],
    direction: tuple[float, float, float],
    radius_mm: float,
    smallest_mm: float,
    inside: Callable[[NDArray], bool],
    length_per_radius: float = 7.0,
    spread: float = 0.65,
) -> VesselTree:
    """Split again and again, thinner each time, until thin or outside the organ.

    Args:
        inside: whether a point (3,) lies in the organ; branches stop where it does not.
        length_per_radius: of a piece between two splittings.
        spread: how far daughters turn away, in radians.
    """
    pieces: list[tuple[NDArray, NDArray, float, float]] = []
    heading = np.asarray(direction, dtype=float)
    growing = [(np.asarray(root, dtype=float), heading / np.linalg.norm(heading), radius_mm)]
    while growing:
        start, heading, radius = growing.pop()
        # long branches bend: three short pieces each
        length = radius * length_per_radius * rng.uniform(0.7, 1.4) + 3
        for _ in range(3):
            heading = _turned(heading, 0.18, rng)
            end = start + heading * length / 3
            pieces.append((start, end, radius, radius * 0.96))
            start, radius = end, radius * 0.96
        if radius < smallest_mm or not inside(start):
            continue
        side = _turned(heading, 1.0, rng) - heading
        side /= np.linalg.norm(side) + 1e-9
        share = rng.uniform(0.5, 0.85)
        for sign, part in ((1.0, share), (-1.0, (1 - share**2.5) ** 0.4)):
            turn = sign * spread * (1.25 - part) * rng.uniform(0.7, 1.3)
            daughter = heading * np.cos(turn) + side * np.sin(turn)
            growing.append((start, daughter / np.linalg.norm(daughter), radius * part))
    starts, ends, first, last = zip(*pieces, strict=True)
    return VesselTree(
        starts=np.array(starts),
        ends=np.array(ends),
        start_radii_mm=np.array(first),
        end_radii_mm=np.array(last),
    )


def _turned(heading: NDArray, amount: float, rng: np.random.Generator) -> NDArray:
    turned = heading + amount * rng.standard_normal(3)
    return turned / (np.linalg.norm(turned) + 1e-9)


def vessel_level(
    tree: VesselTree, x_mm: NDArray, y_mm: NDArray, z_mm: float, *, reach_mm: float = 3.0
) -> NDArray:
    """How deep inside the nearest vessel each pixel lies, mm; -reach_mm far from all.

    Args:
        x_mm, y_mm: evenly spaced coordinates of columns (column,) and rows (row,).
        z_mm: of the slice.
    """
    level = np.full((len(y_mm), len(x_mm)), -reach_mm, dtype=np.float32)
    margin = tree.start_radii_mm + reach_mm
    low = np.minimum(tree.starts, tree.ends) - margin[:, None]
    high = np.maximum(tree.starts, tree.ends) + margin[:, None]
    for piece in np.flatnonzero((low[:, 2] < z_mm) & (high[:, 2] > z_mm)):
        columns = slice(*np.searchsorted(x_mm, (low[piece, 0], high[piece, 0])))
        rows = slice(*np.searchsorted(y_mm, (low[piece, 1], high[piece, 1])))
        if columns.start < columns.stop and rows.start < rows.stop:
            found = _capsule_level(tree, int(piece), x_mm[columns], y_mm[rows], z_mm)
            np.maximum(level[rows, columns], found, out=level[rows, columns])
    return level


def _capsule_level(
    tree: VesselTree, piece: int, x_mm: NDArray, y_mm: NDArray, z_mm: float
) -> NDArray:
    start, axis = tree.starts[piece], tree.ends[piece] - tree.starts[piece]
    x, y, z = x_mm[None, :] - start[0], y_mm[:, None] - start[1], z_mm - start[2]
    along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / (axis @ axis), 0, 1)
    distance = np.sqrt(
        (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
    )
    first, last = tree.start_radii_mm[piece], tree.end_radii_mm[piece]
    level: NDArray = first + along * (last - first) - distance
    return level
