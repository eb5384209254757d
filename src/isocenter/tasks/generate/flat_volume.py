"""Flat images in NIfTI and MetaImage files: volumes of one slice, in the usual view.

The usual view is that of a light box: the patient's left at the right, front or head above; of a
sagittal image the front is at the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.volume import Geometry, Vector, Volume
from isocenter.image.orientation import transverse
from isocenter.image.volume_files import read_volume_file, stated, write_volume_file

# Directions in which columns and rows grow, LPS.
VIEWS: dict[str, tuple[Vector, Vector]] = {
    "axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}
_BY_FLAT_AXIS = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, kw_only=True)
class FlatVolume:
    """One image out of a volume file.

    Attributes:
        values: (rows, columns) float32, in the usual view.
        geometry: of the volume of one slice in that view.
        plane: "axial", "coronal" or "sagittal", as nearly as one word can say.
        unit: that the file says; "" for none.
    """

    values: NDArray[np.float32]
    geometry: Geometry
    plane: str
    unit: str


def read_flat_volume(path: Path, *, unit: str) -> FlatVolume:
    """Read a volume file of one slice.

    Args:
        unit: of the values, where the file does not say it.

    Raises:
        InputRefused: not readable, or of more than one slice.
    """
    volume = read_volume_file(path, unit=stated(path).unit or unit, length_unit="mm")
    return flat(volume)


def flat(volume: Volume) -> FlatVolume:
    """A volume of one slice in the usual view, no value touched.

    Raises:
        InputRefused: it has more slices than one.
    """
    turned = transverse(volume)
    shape, geometry = turned.geometry.shape, turned.geometry
    if 1 not in shape:
        raise InputRefused(
            f"the file holds a volume of {' x '.join(map(str, shape))} voxels; a flat image of one "
            "slice is needed: cut the slice out and save it"
        )
    axis = shape.index(1)
    plane = _BY_FLAT_AXIS[axis]
    values = turned.array.squeeze(axis=axis)
    step = geometry.spacing_mm
    directions = (geometry.slice_direction, geometry.row_direction, geometry.column_direction)
    if axis == 0:
        rows, columns, origin = 1, 2, geometry.position_mm(0)
        row_direction = directions[1]
    else:  # heads are above, and slices of a transverse volume begin at the feet
        rows, columns = 0, 2 if axis == 1 else 1
        values = values[::-1]
        origin = geometry.position_mm(shape[0] - 1)
        row_direction = _turned(directions[0])
    normal = np.cross(directions[columns], row_direction)
    return FlatVolume(
        values=np.ascontiguousarray(values, np.float32),
        geometry=Geometry(
            shape=(1, values.shape[0], values.shape[1]),
            spacing_mm=(step[axis], step[rows], step[columns]),
            origin_mm=_vector(origin),
            slice_direction=_vector(normal),
            row_direction=row_direction,
            column_direction=directions[columns],
        ),
        plane=plane,
        unit=volume.unit,
    )


def view_geometry(plane: str, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> Geometry:
    """Where a flat image of a plane lies; its first pixel is the origin."""
    column, row = VIEWS[plane]
    return Geometry(
        shape=(1, *shape),
        spacing_mm=(spacing_mm[0], *spacing_mm),
        slice_direction=_vector(np.cross(column, row)),
        row_direction=row,
        column_direction=column,
    )


def save_flat_volume(values: NDArray, geometry: Geometry, path: Path, *, unit: str) -> None:
    """Write a volume of one slice, whose note says the unit and that a model made it."""
    volume = Volume(array=values[None], geometry=geometry, unit=unit)
    write_volume_file(volume, path, synthetic=True)


def _turned(direction: Vector) -> Vector:
    return _vector(-np.array(direction))


def _vector(values: NDArray) -> Vector:
    first, second, third = (float(value) + 0.0 for value in values)  # no minus before zero
    return first, second, third
