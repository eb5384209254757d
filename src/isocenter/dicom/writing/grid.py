"""Where a result lies, whose it is and what it was made from: a series, or a new grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.acquisition import Acquisition
from isocenter.core.outputs import Code
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import (
    PROCESSING_EQUIPMENT,
    SYNTHESIZING_EQUIPMENT,
    Provenance,
    from_slices,
)
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.derived_header import number_in_band
from isocenter.dicom.writing.image_kind import decimal
from isocenter.dicom.writing.kept_header import fill_laterality, kept_header, readable_text
from isocenter.dicom.writing.references import source_image

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries

_STUDY_LEVEL = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "StudyInstanceUID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "ProcedureCodeSequence",
    "LongitudinalTemporalInformationModified",
    "BodyPartExamined",
    "Laterality",
    "PatientPosition",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "SyntheticData",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "DeviceUID",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "ContributingEquipmentSequence",
    "CodingSchemeIdentificationSequence",
)
_PATIENT_AND_TRIAL_GROUPS = (0x0010, 0x0012)
_OF_A_SOURCE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_WHAT_CAN_BE_RECOGNIZED = ("BurnedInAnnotation", "RecognizableVisualFeatures")
PARALLEL = 0.999


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


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Who a scan is of that was made from nothing: nobody, under a name that says so.

    Attributes:
        case: tells apart the cases of one run; "" takes a name from the run's own digest.
        name, identifier: beginnings of Patient's Name and Patient ID; the case follows.
        description: Study Description.
        is_phantom: whether it stands for a quality control phantom, which may be enhanced.
    """

    case: str = ""
    name: str = "SYNTHETIC^CASE"
    identifier: str = "SYN"
    description: str = "SYNTHETIC (made by a model, no patient)"
    is_phantom: bool = False

    def header(self, record_digest: str) -> Dataset:
        """Patient, study and frame of reference."""
        case = self.case or record_digest[:12].upper()
        dataset = Dataset()
        dataset.PatientName = self.name if self.is_phantom else f"{self.name} {case}"
        dataset.PatientID = self.identifier if self.is_phantom else f"{self.identifier}-{case}"
        dataset.IssuerOfPatientID = "ISOCENTER"
        dataset.PatientBirthDate = dataset.PatientSex = ""
        if self.is_phantom:
            dataset.QualityControlSubject = "YES"
        dataset.StudyInstanceUID = derived_uid("study of nobody", case, record_digest)
        dataset.FrameOfReferenceUID = derived_uid("frame of nobody", case, record_digest)
        dataset.StudyID = "1"
        dataset.StudyDescription = self.description
        dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
        dataset.StudyDate = dataset.StudyTime = None
        dataset.PositionReferenceIndicator = ""
        dataset.PatientPosition = "HFS"
        dataset.SyntheticData = "YES"
        for keyword in _WHAT_CAN_BE_RECOGNIZED:
            setattr(dataset, keyword, "NO")
        return dataset


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
    """

    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    sources: Sequence[ImageSeries] = ()
    subject: Subject = field(default_factory=Subject)


def grid_of(place: ImageSeries | NewGrid, provenance: Provenance) -> Grid:
    """The grid that the results of a run lie on."""
    if isinstance(place, NewGrid):
        return OwnGrid(place, provenance)
    return SeriesGrid(place, provenance)


class OwnGrid:
    """A new grid, with what one run says of it."""

    purpose = SYNTHESIZING_EQUIPMENT

    def __init__(self, new: NewGrid, provenance: Provenance) -> None:
        self._new = new
        self._provenance = provenance
        self._header = self._whole_header()
        self._equipment = [kept_header(series.header(0)) for series in new.sources]
        self._facts: dict[tuple[int, str], Dataset] = {}

    @property
    def geometry(self) -> Geometry:
        return self._new.geometry

    def name(self, index: int | None = None) -> str:
        of_sources = [series.series_instance_uid for series in self._new.sources]
        of_series = repr((of_sources, self._new.subject.case, astuple(self.geometry)))
        return of_series if index is None else f"{of_series} {index}"

    def header(self, index: int) -> Dataset:
        return self._header

    def _whole_header(self) -> Dataset:
        if self._new.sources:
            header, source = Dataset(), kept_header(self._new.sources[0].header(0))
            copy_person_and_study(header, source)
            for keyword in _WHAT_CAN_BE_RECOGNIZED:
                if keyword in source:
                    header[keyword] = source[keyword]
            return header
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
        count = len(self._new.sources)
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
            other, context = series.geometry, self._provenance.context
            for place in _beside(self.geometry, index, other, context=context):
                found.append(
                    SourceSlice(
                        header=self._facts_of(number, place),
                        frame=series.frame_number(place) if series.is_multiframe else None,
                        same_places=_same_places(self.geometry, index, other, place),
                    )
                )
        return found

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


def copy_person_and_study(dataset: Dataset, source: Dataset) -> None:
    """Replace in place who was scanned, in which study and frame of reference, and by what."""
    for tag in list(dataset.keys()):
        if tag.group in _PATIENT_AND_TRIAL_GROUPS:
            del dataset[tag]
    for tag in list(source.keys()):
        if tag.group in _PATIENT_AND_TRIAL_GROUPS:
            dataset[tag] = deepcopy(source.get_item(tag))
    for keyword in _STUDY_LEVEL:
        if keyword in dataset:
            delattr(dataset, keyword)
        if keyword in source:
            dataset[keyword] = deepcopy(source[keyword])


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
