"""The order, evenness and geometry of a stack of image planes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry, Vector

ORIENTATION_TOLERANCE = 2e-3
SPACING_TOLERANCE = 1e-3  # relative
SAME_POSITION_MM = 1e-3
MAX_SHEAR = 5e-3  # sideways shift per millimetre along the normal: 0.3 degrees
MAX_SHIFT_MM = 0.1  # positions are often rounded to a tenth of a millimetre
MIN_SPACING_MM = 1e-3
MAX_SPACING_MM = 100.0


def not_unit_vectors() -> UnsuitableScan:
    """The refusal of an Image Orientation (Patient) that is none."""
    return UnsuitableScan(
        "the image orientation is not a pair of perpendicular unit vectors; "
        "export the series from the scanner or archive again",
        reason="orientation",
    )


def plane_directions(orientation: Sequence[float]) -> tuple[NDArray, NDArray, NDArray]:
    """Unit vectors (normal, row direction, column direction) of Image Orientation (Patient).

    Raises:
        UnsuitableScan: the two directions are not perpendicular unit vectors.
    """
    column, row = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(column), np.linalg.norm(row)
    off_unit = max(abs(length - 1) for length in lengths)
    if not off_unit < 0.01 or not abs(column @ row) < 0.01:
        raise not_unit_vectors()
    column, row = column / lengths[0], row / lengths[1]
    normal = np.cross(column, row)
    return normal / np.linalg.norm(normal), row, column


def even_runs(positions_mm: NDArray) -> list[range]:
    """Longest stretches of even steps, found from the start onwards.

    Positions, ascending along the normal, may be rounded to a tenth of a millimetre. Neighbouring
    runs share no more than one slice. A position 0.2 mm off, or half a step, ends a run.
    """
    runs: list[range] = []
    start, count = 0, len(positions_mm)
    while start < count:
        end = start + 1
        while end < count and _continues(positions_mm[start : end + 1]):
            end += 1
        runs.append(range(start, end))
        if end >= count:
            break
        start = end - 1 if end - start > 1 else end
    return runs


def _continues(positions_mm: NDArray) -> bool:
    """Whether the last position lies where the mean step of those before it leads."""
    if len(positions_mm) <= 2:
        return True
    step = (positions_mm[-2] - positions_mm[0]) / (len(positions_mm) - 2)
    expected = positions_mm[0] + (len(positions_mm) - 1) * step
    tolerance = min(0.21, 0.45 * step) + 0.01 * step
    return bool(abs(positions_mm[-1] - expected) <= tolerance)


def num_unlike(values: ArrayLike, tolerance: float = 0.0) -> int:
    """How many rows differ from what most have; at least 1, for a refusal of what is not alike."""
    rows = np.array(values, float).reshape(len(np.array(values)), -1)
    usual = np.percentile(rows, 50, axis=0, method="lower")
    return max(1, int(np.sum(np.abs(rows - usual).max(axis=1) > tolerance)))


def sideways_shift_mm(positions: NDArray, normal: NDArray) -> tuple[float, float]:
    """Largest shift across the normal from the first position, and its tilt in degrees."""
    offsets = positions - positions[0]
    along = offsets @ normal
    across = np.linalg.norm(offsets - along[:, None] * normal, axis=1)
    worst = int(np.argmax(across))
    tilt = np.degrees(np.arctan2(across[worst], abs(along[worst])))
    return float(across[worst]), float(tilt)


def is_sheared(positions: NDArray, normal: NDArray) -> bool:
    """Whether positions, (slices, 3), leave the line along the normal."""
    offsets = positions - positions[0]
    along = offsets @ normal
    across = np.linalg.norm(offsets - along[:, None] * normal, axis=1)
    return bool(np.any(across > MAX_SHIFT_MM + MAX_SHEAR * np.abs(along)))


def stack_geometry(
    positions: NDArray,
    orientation: Sequence[float],
    *,
    pixel_spacing_mm: Sequence[float],
    rows: int,
    columns: int,
    slice_thickness_mm: float | None,
) -> Geometry:
    """Geometry of sorted, even positions, (slices, 3).

    A single slice is as far from a next one as it is thick (1 mm where that is unknown).
    """
    normal, row, column = plane_directions(orientation)
    count = len(positions)
    if count > 1:
        step = float((positions[-1] - positions[0]) @ normal) / (count - 1)
    else:
        step = min(slice_thickness_mm or 1.0, MAX_SPACING_MM)
    return Geometry(
        shape=(count, rows, columns),
        spacing_mm=(step, float(pixel_spacing_mm[0]), float(pixel_spacing_mm[1])),
        origin_mm=_vector(positions[0]),
        slice_direction=_vector(normal),
        row_direction=_vector(row),
        column_direction=_vector(column),
    )


def _vector(values: NDArray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
