"""Maps of a quantity over a series, as DICOM Parametric Map with a unit and a meaning in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from isocenter.dicom.marking import (
    CODING_SCHEME,
    PRODUCT,
    Code,
    Provenance,
    code_item,
    comment_text,
    derivation_text,
    fitted,
    mark,
    series_text,
)
from isocenter.dicom.uids import derived_uid, instance_uid, series_uid
from isocenter.dicom.writing.derived_header import (
    SERIES_NUMBER_BAND,
    derived_series_number,
    kept_header,
    readable_text,
    refer_to_series,
    source_image,
    write_lossy,
)
from isocenter.dicom.writing.files import empty_place, save, sync_folder

if TYPE_CHECKING:
    from isocenter.dicom.reading.open import CtSeries

HALF_WIDTH_OF_90_PERCENT_INTERVAL: Code = (
    "PIHW90",
    CODING_SCHEME,
    "Half-width of 90 % prediction interval",
)
UNCERTAINTY_ESTIMATION: Code = ("DLUQ", CODING_SCHEME, "Deep learning uncertainty estimation")
HOUNSFIELD_UNIT: Code = ("[hnsf'U]", "UCUM", "Hounsfield unit")

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


@dataclass(frozen=True, kw_only=True)
class _MapKind:
    label: str
    description: str
    quantity: Code
    unit: Code
    window_hu: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class _SourceSlice:
    """A source slice: the header of its object and its frame there, None in a classic image."""

    header: Dataset
    frame: int | None

    def reference(self) -> Dataset:
        """An item of Source Image Sequence."""
        return source_image(self.header, frames=() if self.frame is None else (self.frame + 1,))


def write_parametric_map(
    series: CtSeries,
    folder: Path,
    frames: Iterable[NDArray],
    *,
    provenance: Provenance,
    label: str,
    description: str,
    quantity: Code = HALF_WIDTH_OF_90_PERCENT_INTERVAL,
    unit: Code = HOUNSFIELD_UNIT,
    window_hu: tuple[float, float] = (0.0, 100.0),
    chunk: int = 64,
) -> list[Path]:
    """Write one float32 value a voxel of a series, in objects of ``chunk`` frames each.

    Memory holds one chunk, however long the series is.

    Args:
        frames: one (row, column) map a slice, in slice order.
        label: short name such as "UNCERTAINTY": capitals, digits, "_" and space, at most 16.
        description: what a value means, in words; viewers show the first 64 characters.
        window_hu: lowest and highest value that a viewer shows at first.

    Raises:
        ValueError: fewer or more frames than slices, another shape, or values not finite.
    """
    folder = empty_place(folder, "UM*.dcm")
    kind = _MapKind(
        label=label, description=description, quantity=quantity, unit=unit, window_hu=window_hu
    )
    made_at = provenance.clock()
    paths = []
    for number, (first, values) in enumerate(_chunks(frames, len(series), chunk), start=1):
        slices = _source_slices(series, range(first, first + len(values)))
        dataset = _parametric_map(series, slices, values, kind, provenance, number)
        _order_frames(dataset, slices, values)
        _complete(dataset, slices, kind, provenance)
        mark(dataset, provenance, made_at=made_at)
        path = folder / f"UM{number:04d}.dcm"
        save(dataset, path, product_version=provenance.record.product_version)
        paths.append(path)
    sync_folder(folder)
    return paths


def _chunks(
    frames: Iterable[NDArray], num_slices: int, chunk: int
) -> Iterator[tuple[int, NDArray]]:
    """Index of the first slice and stacked values of each chunk."""
    waiting: list[NDArray] = []
    count = 0
    for frame in frames:
        waiting.append(np.asarray(frame, dtype=np.float32))
        count += 1
        if count > num_slices:
            break
        if len(waiting) == chunk or count == num_slices:
            yield count - len(waiting), np.stack(waiting)
            waiting = []
    if count != num_slices:
        relation = "more" if count > num_slices else "fewer"
        raise ValueError(f"got {relation} maps than the {num_slices} slices of the series")


def _source_slices(series: CtSeries, indices: Iterable[int]) -> list[_SourceSlice]:
    if not series.is_multiframe:
        return [_SourceSlice(header=kept_header(series.header(i)), frame=None) for i in indices]
    headers: dict[str, Dataset] = {}
    slices = []
    for index in indices:
        uid = series.sop_instance_uids[index]
        if uid not in headers:
            headers[uid] = kept_header(series.header(index))
        slices.append(_SourceSlice(header=headers[uid], frame=series.frame_number(index)))
    return slices


def _parametric_map(
    series: CtSeries,
    slices: Sequence[_SourceSlice],
    values: NDArray,
    kind: _MapKind,
    provenance: Provenance,
    number: int,
) -> Dataset:
    """The bare object: pixels, geometry and meaning; person, references and marks come later."""
    if values.shape[1:] != series.geometry.shape[1:]:
        raise ValueError(f"slices have {series.geometry.shape[1:]}, a map has {values.shape[1:]}")
    if not np.all(np.isfinite(values)):
        raise ValueError("maps must be finite everywhere; write 0 where nothing was measured")
    source = slices[0].header
    digest = provenance.record.digest()
    low, high = kind.window_hu
    role = f"map {kind.label}"
    return ParametricMap(
        source_images=_stand_ins(series, slices, values.shape[1:]),
        pixel_array=values,
        series_instance_uid=series_uid(source.SeriesInstanceUID, digest, role=role),
        series_number=derived_series_number(source, SERIES_NUMBER_BAND + 500),
        sop_instance_uid=instance_uid(source.SOPInstanceUID, digest, role=f"{role} {number}"),
        instance_number=number,
        manufacturer=PRODUCT,
        manufacturer_model_name=PRODUCT,
        software_versions=provenance.record.product_version,
        device_serial_number="0",
        contains_recognizable_visual_features=source.get("RecognizableVisualFeatures") == "YES",
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label=kind.label,
                lut_explanation=fitted(kind.description, 64),
                unit=_concept(kind.unit),
                value_range=(min(float(values.min()), 0.0), max(float(values.max()), 1.0)),
                slope=1.0,
                intercept=0.0,
                quantity_definition=_concept(kind.quantity),
            )
        ],
        voi_lut_transformations=[
            hd.VOILUTTransformation(window_center=(low + high) / 2, window_width=high - low)
        ],
        content_label=kind.label,
        content_description=fitted(kind.description, 64),
        content_qualification="RESEARCH",
        image_flavor="VOLUME",
        derived_pixel_contrast="QUANTITY",
    )


def _stand_ins(
    series: CtSeries, slices: Sequence[_SourceSlice], shape: tuple[int, ...]
) -> list[Dataset]:
    """Plain single-frame images at the places of the slices, for highdicom to read geometry from.

    Scanners' headers hold values that highdicom refuses, and multi-frame sources allow no choice
    of frames; so it sees geometry alone, and everything else is copied afterwards.
    """
    geometry = series.geometry
    stand_ins = []
    for place, source in enumerate(slices):
        image = Dataset()
        image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = derived_uid("stand-in", str(place))
        image.StudyInstanceUID = source.header.StudyInstanceUID
        image.SeriesInstanceUID = source.header.SeriesInstanceUID
        image.FrameOfReferenceUID = source.header.FrameOfReferenceUID
        image.Rows, image.Columns = shape
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
            setattr(image, keyword, "")
        image.AccessionNumber = ""
        image.StudyDate = image.StudyTime = None
        position, orientation, thickness = _plane(source)
        image.ImagePositionPatient = position
        image.ImageOrientationPatient = orientation
        image.PixelSpacing = [format_number_as_ds(step) for step in geometry.spacing_mm[1:]]
        image.SliceThickness = thickness or format_number_as_ds(geometry.spacing_mm[0])
        stand_ins.append(image)
    return stand_ins


def _plane(source: _SourceSlice) -> tuple[list[float], list[float], float | None]:
    """Image Position, Image Orientation and Slice Thickness of a source slice."""
    header = source.header
    if source.frame is None:
        thickness = header.get("SliceThickness")
        return list(header.ImagePositionPatient), list(header.ImageOrientationPatient), thickness
    position = _group(source, "PlanePositionSequence").ImagePositionPatient
    orientation = _group(source, "PlaneOrientationSequence").ImageOrientationPatient
    thickness = _group(source, "PixelMeasuresSequence").get("SliceThickness")
    return list(position), list(orientation), thickness


def _group(source: _SourceSlice, keyword: str) -> Dataset:
    """A functional group of a frame, wherever the source keeps it."""
    assert source.frame is not None
    own = source.header.PerFrameFunctionalGroupsSequence[source.frame]
    shared = source.header.SharedFunctionalGroupsSequence[0]
    return (own if keyword in own else shared)[keyword].value[0]


def _order_frames(dataset: Dataset, slices: Sequence[_SourceSlice], values: NDArray) -> None:
    """Put the frames into slice order; highdicom has an order of its own."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    positions = np.array([group.PlanePositionSequence[0].ImagePositionPatient for group in groups])
    ordered = []
    for place, source in enumerate(slices):
        distances = np.linalg.norm(positions.astype(float) - np.array(_plane(source)[0]), axis=1)
        group = groups[int(distances.argmin())]
        group.FrameContentSequence[0].DimensionIndexValues = place + 1
        ordered.append(group)
    assert len({id(group) for group in ordered}) == len(groups)
    dataset.PerFrameFunctionalGroupsSequence = ordered
    dataset.FloatPixelData = values.astype("<f4").tobytes()


def _complete(
    dataset: Dataset, slices: Sequence[_SourceSlice], kind: _MapKind, provenance: Provenance
) -> None:
    """Add person, study, references and texts in place."""
    source = slices[0].header
    _copy_person_and_study(dataset, source)
    dataset.Modality = "CT"
    dataset.SeriesDescription = series_text(
        provenance, readable_text(source, "SeriesDescription"), flag=f"AI {kind.label}"
    )
    text = derivation_text(provenance)
    dataset.ImageComments = f"{kind.description} {comment_text(provenance)}"
    groups = dataset.PerFrameFunctionalGroupsSequence
    for group, source_slice in zip(groups, slices, strict=True):
        item = Dataset()
        item.DerivationDescription = text
        item.DerivationCodeSequence = [code_item(UNCERTAINTY_ESTIMATION)]
        item.SourceImageSequence = [source_slice.reference()]
        group.DerivationImageSequence = [item]
    sources = list({id(source.header): source.header for source in slices}.values())
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)
    refer_to_series(dataset, sources)
    write_lossy(dataset, sources)
    _name_dimensions(dataset)


def _copy_person_and_study(dataset: Dataset, source: Dataset) -> None:
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


def _name_dimensions(dataset: Dataset) -> None:
    """A Dimension Organization UID that a second run gives again."""
    uid = derived_uid("dimension", dataset.SeriesInstanceUID)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _concept(code: Code) -> CodedConcept:
    value, scheme, meaning = code
    return CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)
