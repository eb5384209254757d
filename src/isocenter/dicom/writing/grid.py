"""Where a result lies and what it was made from; here the grid of a series that was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.outputs import Code
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import PROCESSING_EQUIPMENT, Provenance, from_slices
from isocenter.dicom.writing.derived_header import number_in_band
from isocenter.dicom.writing.image_kind import decimal
from isocenter.dicom.writing.kept_header import kept_header, readable_text
from isocenter.dicom.writing.references import source_image

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Image Position and Image Orientation (Patient), and Slice Thickness, of one slice."""

    position_mm: Sequence[float | str]
    orientation: Sequence[float | str]
    thickness_mm: float | str | None


@dataclass(frozen=True, kw_only=True)
class SourceSlice:
    """A source slice: the header of its object and its frame there, None in a classic image."""

    header: Dataset
    frame: int | None = None
    same_places: bool = True

    def reference(self) -> Dataset:
        """An item of Source Image Sequence."""
        frames = () if self.frame is None else (self.frame + 1,)
        return source_image(self.header, frames=frames, same_places=self.same_places)


class Grid(Protocol):
    """What every writer of maps and masks asks of the place that it writes for."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def purpose(self) -> Code:
        """What the model did: changed images or synthesized new ones."""
        ...

    def name(self, index: int | None = None) -> str:
        """What UIDs are made from: of the series, or of one slice."""
        ...

    def header(self, index: int) -> Dataset:
        """Person, study, frame of reference and General Equipment; not to be changed."""
        ...

    def equipment(self) -> Sequence[Dataset]:
        """Headers whose General Equipment made what is worked on."""
        ...

    def series_number(self) -> int:
        """From which those of the results are counted."""
        ...

    def description(self) -> str:
        """Words on the series, for the end of Series Description."""
        ...

    def made_from(self) -> str:
        """One sentence on the sources."""
        ...

    def plane(self, index: int) -> Plane: ...

    def sources(self, index: int) -> Sequence[SourceSlice]:
        """What a slice was made from."""
        ...


class SeriesGrid:
    """The grid of a series that was read: results lie where its slices lie."""

    purpose = PROCESSING_EQUIPMENT

    def __init__(self, series: ImageSeries, provenance: Provenance) -> None:
        self._series = series
        self._provenance = provenance
        self._last: tuple[str, Dataset] | None = None

    @property
    def geometry(self) -> Geometry:
        return self._series.geometry

    def name(self, index: int | None = None) -> str:
        if index is None:
            return self._series.series_instance_uid
        return self._series.sop_instance_uids[index]

    def header(self, index: int) -> Dataset:
        uid = self._series.sop_instance_uids[index]
        if self._last is None or self._last[0] != uid:
            self._last = uid, kept_header(self._series.header(index))
        return self._last[1]

    def equipment(self) -> Sequence[Dataset]:
        return [self.header(0)]

    def series_number(self) -> int:
        return number_in_band(self.header(0))

    def description(self) -> str:
        return readable_text(self.header(0), "SeriesDescription")

    def made_from(self) -> str:
        return from_slices(self._provenance)

    def plane(self, index: int) -> Plane:
        place = self.sources(index)[0]
        position = _place_value(place, "PlanePositionSequence", "ImagePositionPatient")
        orientation = _place_value(place, "PlaneOrientationSequence", "ImageOrientationPatient")
        thickness = _place_value(place, "PixelMeasuresSequence", "SliceThickness")
        return Plane(
            position_mm=list(position),
            orientation=list(orientation),
            thickness_mm=thickness or decimal(self.geometry.spacing_mm[0]),
        )

    def sources(self, index: int) -> Sequence[SourceSlice]:
        frame = self._series.frame_number(index) if self._series.is_multiframe else None
        return [SourceSlice(header=self.header(index), frame=frame)]


def _place_value(source: SourceSlice, group: str, keyword: str) -> Any:
    """A value of a slice, wherever its header keeps it."""
    if source.frame is None:
        return source.header.get(keyword)
    own = source.header.PerFrameFunctionalGroupsSequence[source.frame]
    shared = source.header.SharedFunctionalGroupsSequence[0]
    return (own if group in own else shared)[group].value[0].get(keyword)


def check_slice(geometry: Geometry, index: int, values: NDArray) -> None:
    """Refuse what is no slice of a geometry.

    Raises:
        ValueError: another shape, or a place that the geometry does not have.
    """
    count, rows, columns = geometry.shape
    if not 0 <= index < count:
        raise ValueError(f"slice {index} was given; there are {count}, counted from 0")
    if values.shape != (rows, columns):
        raise ValueError(f"slices have {(rows, columns)} rows and columns, got {values.shape}")
