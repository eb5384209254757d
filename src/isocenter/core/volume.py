"""An image with its geometry and the meaning of its numbers."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition

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
class Volume:
    """A whole scan in memory.

    Attributes:
        array: (slice, row, column), in ``unit``; scans that were read are float32.
        geometry: where the voxels lie.
        unit: what the numbers mean: "HU" for CT, "µm²/s" for ADC, "" for numbers without a unit.
        valid: same shape, False where the scanner wrote no measurement (padding, outside its
            circle); None means all are measured.
        acquisition: how the scan was made, as far as known.
    """

    array: NDArray
    geometry: Geometry
    unit: str
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

    def slices(self) -> VolumeSlices:
        """The volume as a source of slices."""
        return VolumeSlices(self)


class SliceSource(Protocol):
    """A scan that is read slice by slice, so that memory does not grow with its length."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def acquisition(self) -> Acquisition: ...

    @property
    def unit(self) -> str:
        """What the numbers mean, as in :class:`Volume`."""
        ...

    def __len__(self) -> int: ...

    def values(self, index: int) -> NDArray:
        """One slice, (row, column), float32, in ``unit``."""
        ...

    def valid(self, index: int) -> NDArray:
        """(row, column) bool, False where the scanner wrote no measurement."""
        ...


@dataclass(frozen=True)
class VolumeSlices:
    """A volume in memory, read slice by slice."""

    volume: Volume

    @property
    def geometry(self) -> Geometry:
        return self.volume.geometry

    @property
    def acquisition(self) -> Acquisition:
        return self.volume.acquisition

    @property
    def unit(self) -> str:
        return self.volume.unit

    def __len__(self) -> int:
        return self.geometry.shape[0]

    def values(self, index: int) -> NDArray:
        """One slice, (row, column), in ``unit``."""
        return self.volume.array[index]

    def valid(self, index: int) -> NDArray:
        """(row, column) bool, False where nothing was measured."""
        if self.volume.valid is None:
            return np.ones(self.geometry.shape[1:], bool)
        return self.volume.valid[index]

    def source_digest(self) -> str:
        """Hexadecimal SHA-256 over values, mask and geometry."""
        return digest_of_slices(self)


def digest_of_slices(source: SliceSource) -> str:
    """Hexadecimal SHA-256 over values, mask (where not all is measured), geometry and unit."""
    digest = hashlib.sha256(repr((astuple(source.geometry), source.unit)).encode())
    for index in range(len(source)):
        digest.update(np.ascontiguousarray(source.values(index), "<f4").tobytes())
    if not all(source.valid(index).all() for index in range(len(source))):
        bits = np.zeros(0, bool)
        for index in range(len(source)):
            bits = np.concatenate([bits, source.valid(index).ravel()])
            whole = bits.size // 8 * 8  # what is left over goes before the next slice
            digest.update(np.packbits(bits[:whole]).tobytes())
            bits = bits[whole:]
        digest.update(np.packbits(bits).tobytes())
    return digest.hexdigest()
