"""Slices of label maps in three planes, each bent, turned and scaled a little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.physics.smooth_fields import spline_weights

SIZE = (256, 256)
PLANES = ("axial", "coronal", "sagittal")
# Labels are looked up this many times finer than the image, for partial volume in the plane.
FINER = 2
_AXIS = {"axial": 0, "coronal": 1, "sagittal": 2}
_MOST_TURN_DEG = 8.0
_MOST_SCALE = 0.07
_MOST_SHEAR = 0.04
_MOST_SHIFT_MM = 8.0
# Displacement in mm: standard deviation, and how far apart its nodes are.
_BEND_MM = 1.6
_BEND_NODES = 9
_JAGGED_MM = 0.45


@dataclass(frozen=True, kw_only=True, eq=False)
class Slab:
    """What one slice holds, seen at label resolution.

    Attributes:
        layers: (layer, 512, 512) uint8 tissue numbers through the thickness, 0.5 mm in the plane.
        middle: (256, 256) uint8 tissue numbers at the middle of each pixel of the image.
        plane: axial, coronal or sagittal.
    """

    layers: NDArray
    middle: NDArray
    plane: str


def num_slices(tissues: NDArray, plane: str) -> int:
    """How many slices of 1 mm a head of (slice, row, column) has in a plane."""
    return int(tissues.shape[_AXIS[plane]])


def slice_of(tissues: NDArray, plane: str, index: int) -> NDArray:
    """(row, column) of one slice as it is looked at: the front or the head is up.

    Axial and coronal slices have the patient's left at the right; sagittal ones face left.
    """
    across = np.take(tissues, index, axis=_AXIS[plane])
    return across if plane == "axial" else across[::-1]


def bent_slab(
    tissues: NDArray, plane: str, index: int, *, thickness_mm: int, rng: np.random.Generator
) -> Slab:
    """One slice of a head, deformed at random; all layers alike.

    Args:
        tissues: (slice, row, column) uint8, 1 mm, LPS.
        plane: of :data:`PLANES`.
        index: of the middle layer.
        thickness_mm: number of layers.
        rng: draws the deformation.
    """
    count = num_slices(tissues, plane)
    shifts = np.arange(thickness_mm) - thickness_mm // 2
    layers = [slice_of(tissues, plane, int(np.clip(index + k, 0, count - 1))) for k in shifts]
    rows, columns = _places(layers[0].shape, rng)
    bent = np.stack([_looked_up(one, rows, columns) for one in layers])
    middle = bent[thickness_mm // 2]
    return Slab(layers=bent, middle=_most_common(middle), plane=plane)


def _looked_up(labels: NDArray, rows: NDArray, columns: NDArray) -> NDArray:
    inside = (rows >= 0) & (rows < labels.shape[0]) & (columns >= 0) & (columns < labels.shape[1])
    found = labels[
        rows.clip(0, labels.shape[0] - 1).astype(np.intp),
        columns.clip(0, labels.shape[1] - 1).astype(np.intp),
    ]
    return np.where(inside, found, np.uint8(0))


def _places(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Rows and columns of the head, in pixels from its corner, for each fine pixel of the image."""
    fine = [(np.arange(n * FINER) + 0.5) / FINER - n / 2 for n in SIZE]
    down, across = np.meshgrid(*fine, indexing="ij")
    turn = np.deg2rad(rng.uniform(-_MOST_TURN_DEG, _MOST_TURN_DEG))
    scales = 1 + rng.uniform(-_MOST_SCALE, _MOST_SCALE, 2)
    shear = rng.uniform(-_MOST_SHEAR, _MOST_SHEAR)
    shift = rng.uniform(-_MOST_SHIFT_MM, _MOST_SHIFT_MM, 2)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.array([[scales[0], shear], [0.0, scales[1]]])
    rows = matrix[0, 0] * down + matrix[0, 1] * across + shift[0] + shape[0] / 2
    columns = matrix[1, 0] * down + matrix[1, 1] * across + shift[1] + shape[1] / 2
    return rows + _displacement(rng), columns + _displacement(rng)


def _displacement(rng: np.random.Generator) -> NDArray:
    """(512, 512) mm: a smooth bend, and a fine one that takes the steps of voxels away."""
    bend = smooth_field(rng, _BEND_NODES) * _BEND_MM
    return bend + smooth_field(rng, SIZE[0] // 3) * _JAGGED_MM


def smooth_field(rng: np.random.Generator, nodes: int) -> NDArray:
    """(512, 512) float32 of unit deviation, smooth: drawn numbers at nodes x nodes places."""
    weights = spline_weights(nodes, SIZE[0] * FINER)
    drawn = rng.standard_normal((weights.shape[1],) * 2, dtype=np.float32)
    field: NDArray = weights @ drawn @ weights.T
    return field / max(float(field.std()), 1e-6)


def _most_common(fine: NDArray) -> NDArray:
    """Of each 2 x 2 fine pixels the label that most of them have, the first one where none has."""
    corners = [fine[i::FINER, j::FINER] for i in range(FINER) for j in range(FINER)]
    first, second, third, fourth = corners
    pair = np.where((third == fourth) & (first != second), third, first)
    agrees = (second == third) | (second == fourth)
    alone = (first != second) & (first != third) & (first != fourth)
    return np.where(alone & agrees, second, pair).astype(np.uint8)
