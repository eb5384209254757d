"""What a header says of each image: one record a file, one a frame, classic and multi-frame alike.

Absent values are None; values that contradict themselves are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import UnreadableInput
from isocenter.dicom.decoding.parsing import (
    ParsedFile,
    PixelElement,
    parse_file,
    refusing,
    registered_name,
)
from isocenter.dicom.decoding.pixels import MAX_FRAMES, PixelFormat, wrapped_padding
from isocenter.dicom.marking import is_enhanced

CLASSIC_CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
CT_CLASSES = (CLASSIC_CT, ENHANCED_CT, LEGACY_ENHANCED_CT)

Values = dict[str, Any]

_FRAME_KEYWORDS = (
    "ImageType",
    "FrameType",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "ConvolutionKernel",
    "ReconstructionDiameter",
    "GantryDetectorTilt",
    "KVP",
    "Exposure",
    "ExposureInuAs",
    "ExposureInmAs",
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
    "CTReconstructionSequence",
    "CTImageFrameTypeSequence",
    "CTAcquisitionDetailsSequence",
    "CTExposureSequence",
    "CTXRayDetailsSequence",
)
_FILE_KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One image plane, classic or a frame of a multi-frame file; None where the header is silent.

    Attributes:
        file_index: of its :class:`ImageFile`.
        frame_number: place in the file, from 0.
        position_mm: Image Position (Patient).
        orientation: Image Orientation (Patient), six numbers.
        pixel_spacing_mm: between rows, between columns.
    """

    file_index: int
    frame_number: int
    sop_instance_uid: str
    image_type: tuple[str, ...]
    kernel: str
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    rescale_type: str


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """One file of a series: what the refusals and the reader need of its header.

    Attributes:
        file_index: place in the listing of all files that were found.
        frames: one for a classic image; empty for what is not CT.
    """

    path: Path
    file_index: int
    series_uid: str
    series_number: int | None
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    rows: int
    columns: int
    num_frames: int
    samples_per_pixel: int
    photometric: str
    has_modality_lut: bool
    was_enhanced: bool
    is_synthetic: bool
    pixel_format: PixelFormat | None
    pixels: PixelElement | None
    frames: tuple[Frame, ...]
    acquisition: CtAcquisition

    @property
    def is_ct(self) -> bool:
        return self.sop_class_uid in CT_CLASSES and self.modality == "CT"

    @property
    def is_multiframe(self) -> bool:
        return self.sop_class_uid in (ENHANCED_CT, LEGACY_ENHANCED_CT)

    @property
    def sop_class_name(self) -> str:
        """The standard's name of the kind of object; never text from the file."""
        return registered_name(self.sop_class_uid) or "unknown kind of object"


def read_image_file(path: Path, *, file_index: int, what: str) -> ImageFile:
    """Read what :class:`ImageFile` holds.

    Raises:
        UnreadableInput: the header cannot be parsed or holds impossible values.
    """
    parsed = parse_file(path, keywords=KEYWORDS, what=what)
    with refusing(f"{what} has a header with impossible values; it is damaged"):
        return _image_file(path, parsed, file_index)


def _image_file(path: Path, parsed: ParsedFile, file_index: int) -> ImageFile:
    dataset = parsed.dataset
    top = _values(dataset, KEYWORDS)
    sop_class = top.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    sop_class = str(sop_class or "")
    is_ct = sop_class in CT_CLASSES
    is_multiframe = sop_class in (ENHANCED_CT, LEGACY_ENHANCED_CT)
    frame_values = list(_frame_values(dataset, top, is_multiframe)) if is_ct else []
    sop_instance = str(top.get("SOPInstanceUID") or "")
    phantom = "YES" in (top.get("QualityControlSubject"), top.get("QualityControlImage"))
    return ImageFile(
        path=path,
        file_index=file_index,
        series_uid=str(top.get("SeriesInstanceUID") or ""),
        series_number=_integer(top.get("SeriesNumber")),
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        modality=plain_text(top.get("Modality"), 16),
        rows=_integer(top.get("Rows")) or 0,
        columns=_integer(top.get("Columns")) or 0,
        num_frames=len(frame_values) if is_ct else _integer(top.get("NumberOfFrames")) or 1,
        samples_per_pixel=_integer(top.get("SamplesPerPixel")) or 0,
        photometric=plain_text(top.get("PhotometricInterpretation"), 16),
        has_modality_lut=bool(top.get("ModalityLUTSequence")),
        was_enhanced=is_ct and is_enhanced(dataset),
        is_synthetic=top.get("SyntheticData") == "YES" and not phantom,
        pixel_format=_pixel_format(top, parsed, len(frame_values)) if is_ct else None,
        pixels=parsed.pixels,
        frames=tuple(
            _frame(values, file_index, number, sop_instance)
            for number, values in enumerate(frame_values)
        ),
        acquisition=_acquisition(frame_values[0]) if frame_values else CtAcquisition(),
    )


def _values(dataset: Dataset, keywords: tuple[str, ...]) -> Values:
    found = ((keyword, dataset.get(keyword)) for keyword in keywords if keyword in dataset)
    return {keyword: value for keyword, value in found if value is not None and value != ""}


def _frame_values(dataset: Dataset, top: Values, is_multiframe: bool) -> Iterator[Values]:
    """Per frame, all values that hold for it: its own groups over shared ones over the top."""
    if not is_multiframe:
        yield top
        return
    declared = _integer(top.get("NumberOfFrames")) or 0
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if declared != len(groups) or not 1 <= declared <= MAX_FRAMES:
        raise UnreadableInput(
            f"a multi-frame image declares {declared} frames and describes {len(groups)}; at "
            f"least one and at most {MAX_FRAMES} must be described"
        )
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    common = top | _group_values(shared[0])
    for group in groups:
        yield common | _group_values(group)


def _group_values(groups: Dataset) -> Values:
    values: Values = {}
    for keyword in _GROUPS:
        for item in groups.get(keyword) or ():
            values |= _values(item, _FRAME_KEYWORDS)
    return values


def _frame(values: Mapping[str, Any], file_index: int, number: int, sop_instance: str) -> Frame:
    return Frame(
        file_index=file_index,
        frame_number=number,
        sop_instance_uid=sop_instance,
        image_type=_texts(values.get("FrameType") or values.get("ImageType")),
        kernel=_kernel(values),
        position_mm=_numbers(values.get("ImagePositionPatient"), 3),
        orientation=_numbers(values.get("ImageOrientationPatient"), 6),
        pixel_spacing_mm=_numbers(values.get("PixelSpacing"), 2),
        slope=_number(values.get("RescaleSlope")),
        intercept=_number(values.get("RescaleIntercept")),
        rescale_type=plain_text(values.get("RescaleType"), 16).upper(),
    )


def _pixel_format(top: Values, parsed: ParsedFile, num_frames: int) -> PixelFormat:
    bits_allocated = _integer(top.get("BitsAllocated")) or 0
    bits_stored = _integer(top.get("BitsStored")) or bits_allocated
    high_bit = _integer(top.get("HighBit"))
    signed = _integer(top.get("PixelRepresentation")) == 1
    padding = _integer(top.get("PixelPaddingValue"))
    limit = _integer(top.get("PixelPaddingRangeLimit"))
    return PixelFormat(
        rows=_integer(top.get("Rows")) or 0,
        columns=_integer(top.get("Columns")) or 0,
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


def _acquisition(values: Mapping[str, Any]) -> CtAcquisition:
    return CtAcquisition(
        modality=plain_text(values.get("Modality"), 16),
        kernel=_kernel(values),
        slice_thickness_mm=_positive(values.get("SliceThickness")),
        tube_voltage_kv=_positive(values.get("KVP")),
        exposure_mas=_exposure_mas(values),
        gantry_tilt_deg=_lenient_number(values.get("GantryDetectorTilt")),
        reconstruction_diameter_mm=_positive(values.get("ReconstructionDiameter")),
        manufacturer=plain_text(values.get("Manufacturer"), 64),
        manufacturer_model=plain_text(values.get("ManufacturerModelName"), 64),
        body_part=plain_text(values.get("BodyPartExamined"), 16),
    )


def _exposure_mas(values: Mapping[str, Any]) -> float | None:
    micro = _positive(values.get("ExposureInuAs"))
    if (precise := _positive(values.get("ExposureInmAs"))) is not None:
        return precise
    return micro / 1000 if micro is not None else _positive(values.get("Exposure"))


def _kernel(values: Mapping[str, Any]) -> str:
    return plain_text("\\".join(_texts(values.get("ConvolutionKernel"))), 64)


def plain_text(value: Any, max_length: int) -> str:
    """Printable ASCII of a header value, safe to show in a terminal or a log."""
    text = "" if value is None else str(value)
    return re.sub(r"[^\x20-\x7e]", "", text).strip()[:max_length]


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    parts = [value] if isinstance(value, str) else list(value)
    return tuple(plain_text(part, 64) for part in parts)


def _integer(value: Any) -> int | None:
    if value is None or isinstance(value, bytes):
        return None
    return int(value)


def _number(value: Any) -> float | None:
    """A finite number, or None where there is none."""
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        raise UnreadableInput("a header holds a number that is not finite; the file is damaged")
    return number


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or not len(value):
        return None
    numbers = tuple(float(part) for part in value)
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise UnreadableInput(
            "a header holds a position, direction or spacing that is not finite or of the wrong "
            "length; the file is damaged"
        )
    return numbers


def _lenient_number(value: Any) -> float | None:
    """For facts that decide nothing: unusable is unknown."""
    try:
        return _number(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _positive(value: Any) -> float | None:
    number = _lenient_number(value)
    return number if number is not None and number > 0 else None
