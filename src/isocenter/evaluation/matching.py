"""Which slices of two series lie at the same place, or why the two cannot be compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry

# Headers are written in decimal with few digits; this is far below what an image can show.
_TOLERANCE_MM = 0.05
_SPACING_TOLERANCE = 1e-3
_DIRECTION_TOLERANCE = 1e-3


def matched_slices(reference: Geometry, test: Geometry) -> list[tuple[int, int]]:
    """Pairs of slice indices that lie at the same place, in the reference's order.

    Either series may hold more slices than the other; the rest is left out.

    Raises:
        UnsuitableScan: other rows, columns, pixel spacing, orientation or place in the plane, or no
            slice in common.
    """
    _refuse_other_plane(reference, test)
    along_reference = _along(reference, reference)
    along_test = _along(test, reference)
    nearest = np.abs(along_reference[:, None] - along_test[None, :]).argmin(axis=1)
    gap_mm = np.abs(along_reference - along_test[nearest])
    pairs = [
        (index, int(nearest[index])) for index in np.flatnonzero(gap_mm < _TOLERANCE_MM).tolist()
    ]
    if not pairs:
        raise _refusal(
            "position",
            f"the series share no slice position (the nearest are {gap_mm.min():.2f} mm apart)",
            "compare series of the same slices; resample neither",
        )
    return pairs


def _along(geometry: Geometry, axis: Geometry) -> NDArray:
    """Position of each slice along the axis series' slice direction, from that series' origin."""
    first = np.array(geometry.origin_mm) - np.array(axis.origin_mm)
    step = np.array(geometry.slice_direction) * geometry.spacing_mm[0]
    places = first + np.arange(geometry.shape[0])[:, None] * step
    return places @ np.array(axis.slice_direction)


def _refuse_other_plane(reference: Geometry, test: Geometry) -> None:
    if reference.shape[1:] != test.shape[1:]:
        raise _refusal(
            "matrix",
            f"the reference has {_by(reference.shape[1:])} rows and columns, "
            f"the test {_by(test.shape[1:])}",
            "compare series of one matrix; resampling would change noise and sharpness",
        )
    if not np.allclose(reference.spacing_mm[1:], test.spacing_mm[1:], rtol=_SPACING_TOLERANCE):
        raise _refusal(
            "pixel_spacing",
            f"the reference has pixels of {_by(reference.spacing_mm[1:])} mm, "
            f"the test of {_by(test.spacing_mm[1:])} mm",
            "compare reconstructions of one field of view",
        )
    for name in ("row_direction", "column_direction"):
        if not np.allclose(
            getattr(reference, name), getattr(test, name), atol=_DIRECTION_TOLERANCE
        ):
            raise _refusal(
                "orientation",
                "the image planes of the two series are turned against each other",
                "compare series of one orientation",
            )
    offset_mm = np.array(test.origin_mm) - np.array(reference.origin_mm)
    aside_mm = max(
        abs(offset_mm @ np.array(direction))
        for direction in (reference.row_direction, reference.column_direction)
    )
    if aside_mm > _TOLERANCE_MM:
        raise _refusal(
            "position",
            f"the images of the two series lie {aside_mm:.2f} mm apart in their plane",
            "compare reconstructions of one field of view and centre",
        )


def _refusal(reason: str, arrived: str, advice: str) -> UnsuitableScan:
    return UnsuitableScan(
        f"Cannot compare: {arrived}. Accepted are two series on the same grid; {advice}.",
        reason=reason,
    )


def _by(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)
