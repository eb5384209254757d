"""Turn a volume by whole axes, without touching a value."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from isocenter.core.volume import Geometry, Vector, Volume

# Slices from foot to head, rows from front to back, columns from right to left (LPS).
_TRANSVERSE = np.eye(3)[::-1]


def transverse(volume: Volume) -> Volume:
    """The same voxels with slices across the patient, in the order in which DICOM has them.

    Slices run towards the head, rows towards the back, columns towards the patient's left, as
    nearly as whole axes can; an oblique volume stays oblique. Nothing is resampled.
    """
    geometry = volume.geometry
    directions = np.array(
        [geometry.slice_direction, geometry.row_direction, geometry.column_direction]
    )
    along = directions @ _TRANSVERSE.T  # (axis of the volume, wanted axis)
    order = max(permutations(range(3)), key=lambda axes: sum(abs(along[axes, range(3)])))
    backwards = [bool(along[axis, place] < 0) for place, axis in enumerate(order)]
    flips = tuple(slice(None, None, -1) if flip else slice(None) for flip in backwards)
    first = np.zeros(3)
    for place, axis in enumerate(order):
        if backwards[place]:
            first[axis] = geometry.shape[axis] - 1
    signs = [-1.0 if flip else 1.0 for flip in backwards]
    turned = [_vector(signs[place] * directions[axis]) for place, axis in enumerate(order)]
    shape = (geometry.shape[order[0]], geometry.shape[order[1]], geometry.shape[order[2]])
    return Volume(
        array=np.ascontiguousarray(volume.array.transpose(order)[flips]),
        geometry=Geometry(
            shape=shape,
            spacing_mm=_vector([geometry.spacing_mm[axis] for axis in order]),
            origin_mm=_vector(geometry.position_mm(*first)),
            slice_direction=turned[0],
            row_direction=turned[1],
            column_direction=turned[2],
        ),
        unit=volume.unit,
        valid=None
        if volume.valid is None
        else np.ascontiguousarray(volume.valid.transpose(order)[flips]),
        acquisition=volume.acquisition,
    )


def _vector(values: object) -> Vector:
    first, second, third = (float(value) + 0.0 for value in values)  # type: ignore[attr-defined]
    return first, second, third
