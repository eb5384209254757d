"""What a header says of each image: one record a file, one a frame, classic and multi-frame alike.

Absent values are None; values that contradict themselves are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from isocenter.core.acquisition import Acquisition
from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import (
    ParsedFile,
    PixelElement,
    parse_file,
    refusing,
    registered_name,
)
from isocenter.dicom.decoding.pixels import PixelFormat, wrapped_padding
from isocenter.dicom.decoding.scanning import UNDEFINED_LENGTH
from isocenter.dicom.marking import is_enhanced
from isocenter.dicom.reading.header_kind import HeaderKind
from isocenter.dicom.reading.header_values import (
    Values,
    integer,
    lenient_number,
    number,
    numbers,
    plain_text,
    possible_thickness,
    present_values,
    private_tags,
    private_values,
    texts,
)
from isocenter.dicom.reading.identity import IDENTITY_KEYWORDS, Identity, identity_of

_FRAME_KEYWORDS = (
    "ImageType",
    "FrameType",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
)
_GROUPS = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
)
NEEDED_OF_PIXELS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
)
"""Without these stored bytes are no numbers, or the result would be no image."""

_FILE_KEYWORDS = (
    *IDENTITY_KEYWORDS,
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Manufacturer",
    "ManufacturerModelName",
    "BodyPartExamined",
    "SyntheticData",
    "QualityControlSubject",
    "QualityControlImage",
    "DerivationCodeSequence",
    "ContributingEquipmentSequence",
    "ModalityLUTSequence",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
)
KEYWORDS = (*_FILE_KEYWORDS, *_FRAME_KEYWORDS)
"""Of every modality."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One image plane, classic or a frame of a multi-frame file; None where the header is silent.

    Attributes:
        file_index: of its :class:`ImageFile`.
        frame_number: place in the file, from 0.
        position_mm: Image Position (Patient).
        orientation: Image Orientation (Patient), six numbers.
        pixel_spacing_mm: between rows, between columns.
        has_possible_thickness: False where Slice Thickness is stated and no such number.
    """

    file_index: int
    frame_number: int
    sop_instance_uid: str
    image_type: tuple[str, ...]
    acquisition: Acquisition
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    has_possible_thickness: bool


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """One file of a series: what the refusals and the reader need of its header.

    Attributes:
        file_index: place in the listing of all files that were found.
        of_kind: whether it is an image of the modality that is looked for.
        is_multiframe: whether its frames have headers of their own.
        declared_frames: Number of Frames, 1 where it is not stated.
        missing: elements among ``NEEDED_OF_PIXELS`` that its header does not state.
        identity: whose it is, comparable; not for any message.
        names_class: whether its data set says what kind of object it is, beside its file meta.
        needs_no_series: whether it is a kind of object that belongs to none, as a DICOMDIR.
        frames: one for a classic image; empty for what is not looked for.
    """

    path: Path
    file_index: int
    series_uid: str
    series_number: int | None
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    of_kind: bool
    is_multiframe: bool
    rows: int
    columns: int
    num_frames: int
    declared_frames: int
    missing: tuple[str, ...]
    identity: Identity = field(repr=False)
    names_class: bool
    needs_no_series: bool
    samples_per_pixel: int
    photometric: str
    has_modality_lut: bool
    was_enhanced: bool
    is_synthetic: bool
    pixel_format: PixelFormat | None
    pixels: PixelElement | None
    frames: tuple[Frame, ...]

    @property
    def acquisition(self) -> Acquisition:
        """Of its first frame."""
        return self.frames[0].acquisition if self.frames else Acquisition(modality=self.modality)

    @property
    def sop_class_name(self) -> str:
        """The standard's name of the kind of object; never text from the file."""
        return registered_name(self.sop_class_uid) or "unknown kind of object"


def read_image_file(
    path: Path,
    kind: HeaderKind,
    *,
    file_index: int,
    what: str,
    limits: Limits = DEFAULT_LIMITS,
) -> ImageFile:
    """Read what :class:`ImageFile` holds; frames only of files of the kind that is looked for.

    Raises:
        UnreadableInput: the header cannot be parsed, holds impossible values or is beyond a limit,
            or the file ends before its pixels do.
    """
    parsed = parse_file(
        path,
        keywords=(*KEYWORDS, *kind.keywords),
        also=private_tags(kind.private),
        sop_classes=kind.sop_classes,
        what=what,
        limits=limits,
    )
    with refusing(f"{what} has a header with impossible values; it is damaged"):
        file = _image_file(path, parsed, kind, file_index, limits)
        if file.sop_class_uid in kind.sop_classes and _is_cut_short(path, parsed):
            raise UnreadableInput(
                f"{what} is truncated: its pixels are missing or cut off; copy or export the "
                "series again"
            )
    return file


def _is_cut_short(path: Path, parsed: ParsedFile) -> bool:
    """Whether the pixels that a header declares are not there; of compressed ones, any."""
    if parsed.pixels is None:
        return True
    if parsed.transfer_syntax == DeflatedExplicitVRLittleEndian:
        return False
    is_open_ended = parsed.pixels.num_bytes == UNDEFINED_LENGTH
    num_bytes = 0 if is_open_ended else parsed.pixels.num_bytes
    return path.stat().st_size < parsed.pixels.offset + num_bytes


def _image_file(
    path: Path, parsed: ParsedFile, kind: HeaderKind, file_index: int, limits: Limits
) -> ImageFile:
    dataset = parsed.dataset
    top = present_values(dataset, (*KEYWORDS, *kind.keywords))
    top |= private_values(dataset, kind.private)
    sop_class = top.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    sop_class = str(sop_class or "")
    is_read = sop_class in kind.sop_classes
    is_multiframe = sop_class in kind.multiframe_classes
    frame_values = []
    if is_read:
        frame_values = list(_frame_values(dataset, top, kind, is_multiframe, limits))
    sop_instance = str(top.get("SOPInstanceUID") or "")
    phantom = "YES" in (top.get("QualityControlSubject"), top.get("QualityControlImage"))
    modality = plain_text(top.get("Modality"), 16)
    return ImageFile(
        path=path,
        file_index=file_index,
        series_uid=str(top.get("SeriesInstanceUID") or ""),
        series_number=_series_number(top.get("SeriesNumber")),
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        modality=modality,
        of_kind=is_read and modality == kind.modality,
        is_multiframe=is_multiframe,
        rows=integer(top.get("Rows")) or 0,
        columns=integer(top.get("Columns")) or 0,
        num_frames=len(frame_values) if is_read else integer(top.get("NumberOfFrames")) or 1,
        declared_frames=integer(top.get("NumberOfFrames")) or 1,
        missing=tuple(_missing(top)),
        identity=identity_of(top),
        names_class=bool(top.get("SOPClassUID")),
        needs_no_series=_needs_no_series(sop_class),
        samples_per_pixel=integer(top.get("SamplesPerPixel")) or 0,
        photometric=plain_text(top.get("PhotometricInterpretation"), 16),
        has_modality_lut=bool(top.get("ModalityLUTSequence")),
        was_enhanced=is_read and is_enhanced(dataset),
        is_synthetic=top.get("SyntheticData") == "YES" and not phantom,
        pixel_format=_pixel_format(top, parsed, len(frame_values)) if is_read else None,
        pixels=parsed.pixels,
        frames=tuple(
            _frame(values, kind, file_index, place, sop_instance)
            for place, values in enumerate(frame_values)
        ),
    )


def _missing(top: Values) -> Iterator[str]:
    for keyword in NEEDED_OF_PIXELS:
        is_sign = keyword == "PixelRepresentation"
        if keyword not in top or (is_sign and integer(top[keyword]) not in (0, 1)):
            yield keyword


def _series_number(value: Any) -> int | None:
    """It only helps people to find a series, so it may be unusable."""
    known = lenient_number(value)
    return None if known is None else int(known)


def _needs_no_series(sop_class: str) -> bool:
    """Whether objects of a class that the standard knows are no images."""
    name = registered_name(sop_class) if sop_class else ""
    return bool(name) and "Image" not in name


def _frame_values(
    dataset: Dataset, top: Values, kind: HeaderKind, is_multiframe: bool, limits: Limits
) -> Iterator[Values]:
    """Per frame, all values that hold for it: its own groups over shared ones over the top."""
    if not is_multiframe:
        yield top
        return
    declared = integer(top.get("NumberOfFrames")) or 0
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if declared != len(groups) or not 1 <= declared <= limits.frames:
        raise UnreadableInput(
            f"a multi-frame image declares {declared} frames and describes {len(groups)}; at "
            f"least one and at most {limits.frames} must be described (limit frames)"
        )
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    common = top | _group_values(shared[0], kind)
    for group in groups:
        yield common | _group_values(group, kind)


def _group_values(groups: Dataset, kind: HeaderKind) -> Values:
    values: Values = {}
    for keyword in (*_GROUPS, *kind.groups):
        for item in groups.get(keyword) or ():
            values |= present_values(item, (*_FRAME_KEYWORDS, *kind.keywords))
    return values


def _frame(
    values: Values, kind: HeaderKind, file_index: int, place: int, sop_instance: str
) -> Frame:
    return Frame(
        file_index=file_index,
        frame_number=place,
        sop_instance_uid=sop_instance,
        image_type=texts(values.get("FrameType") or values.get("ImageType")),
        acquisition=kind.acquisition(values),
        position_mm=numbers(values.get("ImagePositionPatient"), 3),
        orientation=numbers(values.get("ImageOrientationPatient"), 6),
        pixel_spacing_mm=numbers(values.get("PixelSpacing"), 2),
        slope=number(values.get("RescaleSlope")),
        intercept=number(values.get("RescaleIntercept")),
        rescale_type=plain_text(values.get("RescaleType"), 16).upper(),
        has_possible_thickness=possible_thickness(values.get("SliceThickness")),
    )


def _pixel_format(top: Values, parsed: ParsedFile, num_frames: int) -> PixelFormat:
    bits_allocated = integer(top.get("BitsAllocated")) or 0
    bits_stored = integer(top.get("BitsStored")) or 0
    high_bit = integer(top.get("HighBit"))
    signed = integer(top.get("PixelRepresentation")) == 1
    padding = integer(top.get("PixelPaddingValue"))
    limit = integer(top.get("PixelPaddingRangeLimit"))
    return PixelFormat(
        rows=integer(top.get("Rows")) or 0,
        columns=integer(top.get("Columns")) or 0,
        num_frames=num_frames,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=signed,
        transfer_syntax=parsed.transfer_syntax,
        padding=None
        if padding is None
        else wrapped_padding(padding, limit, signed=signed, bits_allocated=bits_allocated),
    )
