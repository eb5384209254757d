"""A grid of its own, for what was made from other series or from nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset

from isocenter.core.acquisition import Acquisition
from isocenter.core.outputs import Code
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import PROCESSING_EQUIPMENT, SYNTHESIZING_EQUIPMENT, Provenance
from isocenter.dicom.writing.derived_header import number_in_band
from isocenter.dicom.writing.grid import Grid, Plane, SeriesGrid, SourceSlice
from isocenter.dicom.writing.image_kind import decimal
from isocenter.dicom.writing.kept_header import fill_laterality, kept_header, readable_text
from isocenter.dicom.writing.study import Subject, lent_header

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries

_OF_A_SOURCE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
PARALLEL = 0.999
MAX_OFF_PERPENDICULAR = 1e-3


@dataclass(frozen=True, kw_only=True)
class NewGrid:
    """A grid of its own, for what was made from other series or from nothing.

    Attributes:
        geometry: where the slices lie, in the frame of reference of the first source.
        acquisition: slice thickness, where it is not the distance between slices, and, without
            sources, the body part; the rest is for the images of a new series.
        sources: the series that the result was made from; patient, study and frame of reference
            are the first one's.
        subject: whose it is where there are no sources.

    Raises:
        ValueError: the directions are not perpendicular unit vectors, which DICOM cannot say.
    """

    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    sources: Sequence[ImageSeries] = ()
    subject: Subject = field(default_factory=Subject)

    def __post_init__(self) -> None:
        geometry = self.geometry
        directions = np.array(
            [geometry.slice_direction, geometry.row_direction, geometry.column_direction]
        )
        if not np.allclose(directions @ directions.T, np.eye(3), atol=MAX_OFF_PERPENDICULAR):
            raise ValueError(
                "slice, row and column direction must be perpendicular unit vectors, got "
                f"{directions.round(4).tolist()}; resample to a straight grid first"
            )


def grid_of(place: ImageSeries | NewGrid, provenance: Provenance) -> Grid:
    """The grid that the results of a run lie on."""
    if isinstance(place, NewGrid):
        return OwnGrid(place, provenance)
    return SeriesGrid(place, provenance)


class OwnGrid:
    """A new grid, with what one run says of it."""

    def __init__(self, new: NewGrid, provenance: Provenance) -> None:
        self._new = new
        self._provenance = provenance
        self._header = self._whole_header()
        self._equipment = [kept_header(series.header(0)) for series in new.sources]
        frames = [header.FrameOfReferenceUID for header in self._equipment]
        self._shares_frame = [uid == frames[0] for uid in frames]
        self._facts: dict[tuple[int, str], Dataset] = {}

    @property
    def geometry(self) -> Geometry:
        return self._new.geometry

    @property
    def purpose(self) -> Code:
        """What is calculated from images is processed, not synthesized."""
        return PROCESSING_EQUIPMENT if self._provenance.calculated else SYNTHESIZING_EQUIPMENT

    def name(self, index: int | None = None) -> str:
        of_sources = [series.series_instance_uid for series in self._new.sources]
        of_series = repr((of_sources, self._new.subject.case, _as_numbers(self.geometry)))
        return of_series if index is None else f"{of_series} {index}"

    def header(self, index: int) -> Dataset:
        return self._header

    def _whole_header(self) -> Dataset:
        if self._new.sources:
            return lent_header(kept_header(self._new.sources[0].header(0)))
        header = self._new.subject.header(self._provenance.record.digest())
        if self._new.acquisition.body_part:
            header.BodyPartExamined = self._new.acquisition.body_part
        fill_laterality(header)
        return header

    def equipment(self) -> Sequence[Dataset]:
        return self._equipment

    def series_number(self) -> int:
        return number_in_band(self._equipment[0]) if self._equipment else 1

    def description(self) -> str:
        return readable_text(self._equipment[0], "SeriesDescription") if self._equipment else ""

    def made_from(self) -> str:
        count = len({series.series_instance_uid for series in self._new.sources})
        if self._provenance.calculated:
            return f"Calculated from images of {count} source series, place by place."
        return f"Computed from {count} source series on a grid of its own." if count else ""

    def plane(self, index: int) -> Plane:
        geometry = self.geometry
        orientation = (*geometry.column_direction, *geometry.row_direction)
        return Plane(
            position_mm=[decimal(part) for part in geometry.position_mm(index)],
            orientation=[decimal(part) for part in orientation],
            thickness_mm=decimal(
                self._new.acquisition.slice_thickness_mm or geometry.spacing_mm[0]
            ),
        )

    def sources(self, index: int) -> Sequence[SourceSlice]:
        found = []
        for number, series in enumerate(self._new.sources):
            shares_frame, other = self._shares_frame[number], series.geometry
            for place in self._places(index, number):
                found.append(
                    SourceSlice(
                        header=self._facts_of(number, place),
                        frame=series.frame_number(place) if series.is_multiframe else None,
                        same_places=shares_frame
                        and _same_places(self.geometry, index, other, place),
                    )
                )
        return found

    def _places(self, index: int, number: int) -> Iterable[int]:
        """Slices of a source that a slice may have been made from.

        All of them where the source has another frame of reference, as positions say nothing there.
        """
        other = self._new.sources[number].geometry
        if not self._shares_frame[number]:
            return range(other.shape[0])
        return _beside(self.geometry, index, other, context=self._provenance.context)

    def _facts_of(self, number: int, place: int) -> Dataset:
        """What references and marks need of a source slice; one data set for each object."""
        series = self._new.sources[number]
        key = number, series.sop_instance_uids[place]
        if key not in self._facts:
            header = series.header(place)
            facts = Dataset()
            for keyword in _OF_A_SOURCE:
                if keyword in header:
                    facts[keyword] = header[keyword]
            facts.file_meta = header.file_meta
            self._facts[key] = facts
        return self._facts[key]


def _as_numbers(geometry: Geometry) -> list[float]:
    """The same for equal geometries, whatever types their numbers have."""
    directions = (geometry.slice_direction, geometry.row_direction, geometry.column_direction)
    vectors = (geometry.shape, geometry.spacing_mm, geometry.origin_mm, *directions)
    return [float(part) for vector in vectors for part in vector]


def _beside(geometry: Geometry, index: int, other: Geometry, *, context: int) -> Iterable[int]:
    """Slices of another grid within half a slice of one, the nearest first; all if not parallel.

    There is always one. ``context`` more on each side were used too.
    """
    count = other.shape[0]
    normal = np.array(other.slice_direction)
    if abs(float(normal @ geometry.slice_direction)) < PARALLEL:
        return range(count)
    middle = geometry.position_mm(index, geometry.shape[1] / 2, geometry.shape[2] / 2)
    along = float((middle - other.origin_mm) @ normal) / other.spacing_mm[0]
    reach = max(geometry.spacing_mm[0] / other.spacing_mm[0] / 2, 0.5) + context
    first, last = int(np.ceil(along - reach - 1e-6)), int(np.floor(along + reach + 1e-6))
    first, last = (min(max(end, 0), count - 1) for end in (first, last))
    nearest = min(max(round(along), 0), count - 1)
    return sorted(range(first, last + 1), key=lambda place: (abs(place - nearest), place))


def _same_places(geometry: Geometry, index: int, other: Geometry, place: int) -> bool:
    """Whether the pixels of two slices have the same centres."""
    if geometry.shape[1:] != other.shape[1:]:
        return False
    corners = ((0, 0), (geometry.shape[1], 0), (0, geometry.shape[2]))
    return all(
        np.allclose(geometry.position_mm(index, *one), other.position_mm(place, *one), atol=1e-3)
        for one in corners
    )
