"""One gray DICOM image in one file, whatever its class: its pixels and what they mean.

For pictures that stand alone, to be altered or trained on. Series are opened by
:mod:`isocenter.dicom.reading.open`, which checks what a volume needs; nothing here says whose image
it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.errors import UnreadableInput, UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import (
    ParsedFile,
    looks_like_dicom,
    open_stream,
    parse_file,
    refusing,
)
from isocenter.dicom.decoding.pixels import PixelFormat, decode_frame, locate_frames
from isocenter.dicom.marking import is_enhanced
from isocenter.dicom.reading.frames import NEEDED_OF_PIXELS
from isocenter.dicom.reading.header_values import (
    Values,
    integer,
    lenient_number,
    number,
    numbers,
    plain_text,
    present_values,
)
from isocenter.dicom.writing.references import write_lossy

LOSSY = (
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_KEYWORDS = (
    *NEEDED_OF_PIXELS,
    "HighBit",
    "NumberOfFrames",
    "Modality",
    "BodyPartExamined",
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "WindowCenter",
    "WindowWidth",
    "PixelSpacing",
    "ImageOrientationPatient",
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
    "ImageType",
    "SyntheticData",
    "QualityControlSubject",
    "QualityControlImage",
    "DerivationCodeSequence",
    "ContributingEquipmentSequence",
    *LOSSY,
    "ExtendedOffsetTable",
)
_SLOPES = 1e-9, 1e4
_LARGEST = 1e9  # of an intercept, and of a window that can be meant
_SPACINGS_MM = 1e-3, 100.0


@dataclass(frozen=True, kw_only=True)
class SingleImage:
    """One gray image and what its header says of it, nobody's name among it.

    Attributes:
        pixels: (rows, columns) stored integers.
        bits, bits_stored, signed: how they are stored.
        inverted: whether the smallest value is white.
        slope, intercept: from integers to values.
        unit: "HU" where the values are such, "" otherwise.
        window: center and width in the unit of the values; None where it is not said.
        modality: DICOM Modality, "" where it is not said.
        spacing_mm: between rows and between columns; None where it is not said.
        orientation: Image Orientation (Patient); None where it is not said.
        burned_in, recognizable: Burned In Annotation and Recognizable Visual Features, "" where
            they are not said.
        lossy: elements that say whether it was compressed with loss, by keyword.
        is_synthetic: whether the file says that a model made or altered it.
    """

    pixels: NDArray
    bits: int
    bits_stored: int
    signed: bool
    inverted: bool
    slope: float
    intercept: float
    unit: str
    window: tuple[float, float] | None
    modality: str
    spacing_mm: tuple[float, float] | None
    orientation: tuple[float, ...] | None
    burned_in: str = ""
    recognizable: str = ""
    lossy: Mapping[str, Any] = field(default_factory=dict)
    is_synthetic: bool = False

    def values(self) -> NDArray[np.float32]:
        """(rows, columns) in :attr:`unit`; of an inverted image gray levels, high where bright."""
        stored = self.pixels.astype(np.float64)
        if self.inverted:
            lowest = -(2 ** (self.bits_stored - 1)) if self.signed else 0
            highest = lowest + 2**self.bits_stored - 1
            return (lowest + highest - stored).astype(np.float32)
        return (stored * self.slope + self.intercept).astype(np.float32)


def read_single_image(
    path: Path, *, what: str = "the image", limits: Limits = DEFAULT_LIMITS
) -> SingleImage:
    """Read a file that holds one gray image.

    Args:
        path: of the file.
        what: how messages call it.
        limits: beyond which nothing is read.

    Raises:
        UnreadableInput: no DICOM, damaged, truncated or beyond a limit.
        UnsuitableScan: several frames, in color, or stored in a way that is not read.
    """
    with refusing(f"{what} cannot be read; it is damaged"):
        if not looks_like_dicom(path):
            raise UnreadableInput(f"{what} is no DICOM image; give a DICOM, PNG or NIfTI file")
    parsed = parse_file(path, keywords=_KEYWORDS, what=what, limits=limits)
    with refusing(f"{what} has a header with impossible values; it is damaged"):
        said = present_values(parsed.dataset, _KEYWORDS)
        _check(said, parsed, what)
        pixel_format = _format(said, parsed)
    pixel_format.check(limits)
    assert parsed.pixels is not None
    with refusing(f"the pixels of {what} are damaged or truncated"):
        stream, _ = open_stream(path, limits)
        with stream:
            layout = locate_frames(stream, parsed.pixels, pixel_format, what=what)
            raw = layout.read(stream, 0)
    pixels = decode_frame(raw, pixel_format, parsed.pixels, what=what, limits=limits)
    with refusing(f"{what} has a header with impossible values; it is damaged"):
        return _image(pixels, pixel_format, said, parsed)


def _image(
    pixels: NDArray, pixel_format: PixelFormat, said: Values, parsed: ParsedFile
) -> SingleImage:
    modality = plain_text(said.get("Modality"), 16)
    slope, intercept = number(said.get("RescaleSlope")), number(said.get("RescaleIntercept"))
    return SingleImage(
        pixels=pixels,
        bits=pixel_format.bits_allocated,
        bits_stored=pixel_format.bits_stored,
        signed=pixel_format.signed,
        inverted=said.get("PhotometricInterpretation") == "MONOCHROME1",
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        unit=_unit(said, modality),
        window=_window(_first(said, "WindowCenter"), _first(said, "WindowWidth")),
        modality=modality,
        spacing_mm=_spacing(numbers(said.get("PixelSpacing"), 2)),
        orientation=_orientation(numbers(said.get("ImageOrientationPatient"), 6)),
        burned_in=_yes_or_no(said, "BurnedInAnnotation"),
        recognizable=_yes_or_no(said, "RecognizableVisualFeatures"),
        lossy=_lossy(parsed.dataset),
        is_synthetic=_is_synthetic(said, parsed.dataset),
    )


def _is_synthetic(said: Values, header: Dataset) -> bool:
    """A scanned phantom may call itself synthetic too."""
    is_phantom = "YES" in (said.get("QualityControlSubject"), said.get("QualityControlImage"))
    return is_enhanced(header) or (said.get("SyntheticData") == "YES" and not is_phantom)


def _yes_or_no(said: Values, keyword: str) -> str:
    value = plain_text(said.get(keyword), 16)
    return value if value in ("YES", "NO") else ""


def _lossy(header: Dataset) -> dict[str, Any]:
    marks = Dataset()
    write_lossy(marks, [header])
    return {keyword: marks[keyword].value for keyword in LOSSY if keyword in marks}


def _first(said: Values, keyword: str) -> float | None:
    """A number, or the first of several."""
    value = said.get(keyword)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = next(iter(value), None)
    return lenient_number(value)


def _check(said: Values, parsed: ParsedFile, what: str) -> None:
    if missing := [keyword for keyword in NEEDED_OF_PIXELS if keyword not in said]:
        raise UnsuitableScan(
            f"{what} does not say how its pixels are stored ({missing[0]} is missing)",
            reason="pixel_description",
        )
    if parsed.pixels is None:
        raise UnreadableInput(f"{what} has no pixels; copy or export it again")
    if (integer(said.get("NumberOfFrames")) or 1) != 1:
        raise UnsuitableScan(
            f"{what} has several frames; give one image of one frame", reason="mixed_kinds"
        )
    gray = said.get("PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
    if integer(said.get("SamplesPerPixel")) != 1 or not gray:
        raise UnsuitableScan(f"{what} is in color; give one of gray levels", reason="color")
    slope, intercept = number(said.get("RescaleSlope")), number(said.get("RescaleIntercept"))
    is_plain = slope is None or _SLOPES[0] <= slope <= _SLOPES[1]
    if said.get("ModalityLUTSequence") or not is_plain or abs(intercept or 0) > _LARGEST:
        raise UnsuitableScan(
            f"the values of {what} are given by a table, or by a slope or intercept that cannot "
            f"be meant; a slope from {_SLOPES[0]:g} to {_SLOPES[1]:g}, or none, is accepted",
            reason="rescale",
        )


def _format(said: Values, parsed: ParsedFile) -> PixelFormat:
    bits_stored = integer(said["BitsStored"]) or 0
    high_bit = integer(said.get("HighBit"))
    return PixelFormat(
        rows=integer(said["Rows"]) or 0,
        columns=integer(said["Columns"]) or 0,
        num_frames=1,
        bits_allocated=integer(said["BitsAllocated"]) or 0,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=integer(said["PixelRepresentation"]) == 1,
        transfer_syntax=parsed.transfer_syntax,
    )


def _unit(said: Values, modality: str) -> str:
    stated = plain_text(said.get("RescaleType"), 16).upper()
    is_scaled = number(said.get("RescaleIntercept")) is not None
    return "HU" if stated == "HU" or (modality == "CT" and is_scaled and not stated) else ""


def _window(center: float | None, width: float | None) -> tuple[float, float] | None:
    if center is None or width is None or not 0 < width < _LARGEST or abs(center) > _LARGEST:
        return None
    return center, width


def _spacing(steps_mm: tuple[float, ...] | None) -> tuple[float, float] | None:
    """Between rows and columns, where it can be meant."""
    if steps_mm is None or not _SPACINGS_MM[0] <= min(steps_mm) <= max(steps_mm) <= _SPACINGS_MM[1]:
        return None
    return steps_mm[0], steps_mm[1]


def _orientation(cosines: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Two directions, where they are perpendicular and of length 1."""
    if cosines is None:
        return None
    directions = np.array(cosines).reshape(2, 3)
    straight = np.allclose(directions @ directions.T, np.eye(2), atol=1e-3)
    return cosines if straight else None
