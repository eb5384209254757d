"""An image with its geometry and the meaning of its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where voxels lie in the patient, in LPS millimetres as in DICOM.

    Attributes:
        shape: number of slices, rows and columns.
        spacing_mm: distance between the centres of neighbouring slices, rows and columns.
        origin_mm: centre of voxel (0, 0, 0).
        slice_direction, row_direction, column_direction: unit vectors along which the slice, row
            and column index grow. (DICOM's Image Orientation (Patient) lists ``column_direction``
            first, then ``row_direction``.)
    """

    shape: tuple[int, int, int]
    spacing_mm: Vector
    origin_mm: Vector = (0.0, 0.0, 0.0)
    slice_direction: Vector = (0.0, 0.0, 1.0)
    row_direction: Vector = (0.0, 1.0, 0.0)
    column_direction: Vector = (1.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"a volume needs at least one voxel along each axis, got {self.shape}")
        if not all(step > 0 for step in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive, got {self.spacing_mm}")

    def position_mm(self, slice_index: float, row: float = 0.0, column: float = 0.0) -> NDArray:
        """LPS position of a voxel centre, shape (3,)."""
        directions = np.array([self.slice_direction, self.row_direction, self.column_direction])
        steps = np.array([slice_index, row, column]) * np.array(self.spacing_mm)
        return np.array(self.origin_mm) + steps @ directions


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """What is known of how a scan was made; nothing here identifies a person.

    Attributes:
        modality: DICOM Modality, such as "CT".
        kernel: reconstruction kernel as the scanner names it, "" where unknown.
        slice_thickness_mm, tube_voltage_kv, exposure_mas, gantry_tilt_deg,
        reconstruction_diameter_mm: None where unknown.
        manufacturer, manufacturer_model, body_part: "" where unknown.
    """

    modality: str = "CT"
    kernel: str = ""
    slice_thickness_mm: float | None = None
    tube_voltage_kv: float | None = None
    exposure_mas: float | None = None
    gantry_tilt_deg: float | None = None
    reconstruction_diameter_mm: float | None = None
    manufacturer: str = ""
    manufacturer_model: str = ""
    body_part: str = ""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A whole scan in memory.

    Attributes:
        array: (slice, row, column), float32, in ``unit``.
        geometry: where the voxels lie.
        unit: UCUM-like name of what the numbers mean, "HU" for CT.
        valid: same shape, False where the scanner wrote no measurement (padding, outside its
            circle); None means all are measured.
    """

    array: NDArray
    geometry: Geometry
    unit: str = "HU"
    valid: NDArray | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise ValueError(
                f"array of shape {self.array.shape} does not fit geometry {self.geometry.shape}"
            )
        if self.valid is not None and self.valid.shape != self.array.shape:
            raise ValueError(
                f"valid mask of shape {self.valid.shape} does not fit {self.array.shape}"
            )


class SliceSource(Protocol):
    """A scan that is read slice by slice, so that memory does not grow with its length."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def acquisition(self) -> Acquisition: ...

    def image_hu(self, index: int) -> NDArray:
        """One slice, (row, column), float32 HU."""
        ...

    def valid(self, index: int) -> NDArray:
        """(row, column) bool, False where the scanner wrote no measurement."""
        ...
