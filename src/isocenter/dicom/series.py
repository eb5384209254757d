"""One CT series, opened: geometry known, pixels decoded one slice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import NDArray

from isocenter.core.volume import Acquisition, Geometry, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class CtSeries:
    """A CT scan on disk, slices in order of position along the normal of the image plane.

    Memory does not grow with the number of slices: pixels are decoded when asked for, and only a
    few decoded slices are kept.
    """

    @property
    def geometry(self) -> Geometry: ...

    @property
    def acquisition(self) -> Acquisition: ...

    @property
    def num_files(self) -> int: ...

    @property
    def is_multiframe(self) -> bool: ...

    @property
    def sop_class_uid(self) -> str: ...

    @property
    def sop_instance_uids(self) -> list[str]:
        """One a slice; the same for all frames of one multi-frame file."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out while reading, in words for the report; usually empty."""
        ...

    def __len__(self) -> int: ...

    def stored(self, index: int) -> NDArray:
        """Integer values as stored, (row, column), after bit and sign handling; read-only."""
        ...

    def slope(self, index: int) -> float: ...

    def intercept(self, index: int) -> float: ...

    def image_hu(self, index: int) -> NDArray:
        """(row, column) float32, stored * slope + intercept computed in float64."""
        ...

    def valid(self, index: int) -> NDArray:
        """(row, column) bool, False where the scanner wrote no measurement."""
        ...

    def bits_allocated(self, index: int) -> int: ...

    def stored_range(self, index: int) -> tuple[int, int]:
        """Smallest and largest value that the bit depth and sign of a slice can store."""
        ...

    def header(self, index: int) -> Dataset:
        """Everything but the pixels of the file that holds a slice; a copy of its own."""
        ...

    def frame_number(self, index: int) -> int:
        """Place of a slice in its file, counted from 0; 0 for a classic image."""
        ...

    def source_digest(self) -> str:
        """Hexadecimal SHA-256 over identities, stored pixels and geometry, in slice order."""
        ...

    def to_volume(self) -> Volume:
        """The whole scan in memory."""
        ...
