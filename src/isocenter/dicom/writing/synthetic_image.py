"""Single images that a model drew, each an object of its own: of nobody, and no slice of a scan.

Secondary Capture by default, as no equipment acquired what it shows. The class of a modality is
written where all that the class demands is known. Source: PS3.3 2024, A.8.1 (Secondary Capture
Image), A.3 (CT Image), A.4 (MR Image), C.8.6.1 (SC Equipment), C.12.1 (SOP Common).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from isocenter.core.acquisition import Acquisition
from isocenter.core.outputs import Code
from isocenter.dicom.marking import (
    PRODUCT,
    SYNTHESIZING_EQUIPMENT,
    Provenance,
    code_items,
    comment_text,
    derivation_text,
    mark,
    series_text,
)
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.files import save
from isocenter.dicom.writing.image_kind import ImageKind, decimal
from isocenter.dicom.writing.kept_header import fill_laterality
from isocenter.dicom.writing.modalities import image_kind

AI_GENERATED = "AI_GENERATED"
"""Value 4 of Image Type."""
GENERATED = Code("GENERATE", "99ISOCENTER", "Image drawn by a generative model")
EDITED = Code("EDIT", "99ISOCENTER", "Image altered by a generative model")
MIXED = Code("BETWEEN", "99ISOCENTER", "Image between two others by a generative model")
DESCRIPTION = "SYNTHETIC (made by a model, no patient)"
FLAG = "SYNTHETIC, AI GENERATED"
_METHOD = "No identity: the image was made by a model"
_OF_A_CLASS = ("CT", "MR")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How the values of an image are stored: a value is the integer * slope + intercept.

    Attributes:
        bits: allocated, 8 or 16.
        bits_stored: of them in use, the lowest.
        signed: whether integers may be negative.
        unit: of the values, such as "HU"; "" for gray levels.
    """

    bits: int
    bits_stored: int
    signed: bool
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer."""
        if self.signed:
            return -(2 ** (self.bits_stored - 1)), 2 ** (self.bits_stored - 1) - 1
        return 0, 2**self.bits_stored - 1

    @property
    def dtype(self) -> np.dtype:
        """Of the integers, little endian."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.bits // 8}")

    def of(self, values: NDArray) -> tuple[NDArray, int]:
        """Integers of the same shape, each within half a step, and how many had to be clipped."""
        wanted = np.rint((values.astype(np.float64) - self.intercept) / self.slope)
        stored = np.clip(wanted, *self.limits)
        return stored.astype(self.dtype), int(np.count_nonzero(stored != wanted))

    def values(self, stored: NDArray) -> NDArray[np.float32]:
        """The values of integers, float32."""
        return (stored.astype(np.float64) * self.slope + self.intercept).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class SyntheticImage:
    """One image and what is known of it.

    Attributes:
        pixels: (rows, columns) integers.
        stored: what they mean.
        window: center and width to look at it.
        modality: of the images that the model learned from, such as "MR".
        body_part: Body Part Examined, "" where it is not known.
        title: what it shows, in words.
        number: of the image in its run, from 1.
        spacing_mm: between rows and between columns; None where it is not known.
        orientation: Image Orientation (Patient); None where it is not known.
        derivation: what was done.
        inverted: whether the smallest value is white.
        burned_in, recognizable: Burned In Annotation and Recognizable Visual Features; "" where an
            altered image may still hold such, and nobody knows.
        lossy: elements that say whether pixels were compressed with loss, by keyword.
    """

    pixels: NDArray
    stored: Stored
    window: tuple[float, float]
    modality: str
    body_part: str
    title: str
    number: int
    spacing_mm: tuple[float, float] | None = None
    orientation: tuple[float, ...] | None = None
    derivation: Code = GENERATED
    inverted: bool = False
    burned_in: str = "NO"
    recognizable: str = "NO"
    lossy: Mapping[str, Any] = field(default_factory=lambda: {"LossyImageCompression": "00"})


def why_not_of_modality(
    modality: str, *, unit: str, spacing_known: bool, orientation_known: bool
) -> str:
    """Why an image cannot be an object of its modality's own class, "" where it can."""
    if modality not in _OF_A_CLASS:
        return (
            f"an object of modality {modality} must state facts of its equipment, such as the "
            "pixel spacing at the detector, and no equipment took this image"
        )
    if image_kind(modality).unit not in ("", unit):
        return f"{modality} images hold {image_kind(modality).unit}, these {unit or 'gray levels'}"
    if not spacing_known:
        return f"{modality} images state their pixel spacing, and the model does not know it"
    if not orientation_known:
        return (
            f"{modality} images state how they lie in the patient, and the wish leaves the plane "
            "free"
        )
    return ""


def write_synthetic_image(
    image: SyntheticImage,
    path: Path,
    *,
    provenance: Provenance,
    run_digest: str,
    of_modality: bool = False,
) -> Path:
    """Write one object; the same run and number give the same UIDs.

    All images of a run share a study of nobody. Each is a series of its own, with a frame of
    reference of its own where it has one, so that no viewer takes them for slices of a volume.

    Args:
        path: of the file, in a folder that exists.
        provenance: of this image; its settings stand in texts.
        run_digest: of the record of the whole run.
        of_modality: write the modality's own class instead of Secondary Capture.

    Raises:
        ValueError: something is not known that the class demands.
        OutputRefused: the disk does not take it.
    """
    header = _header(image, provenance, run_digest)
    if of_modality:
        _write_class_of_modality(header, image)
    else:
        _write_secondary_capture(header, image)
    _write_pixels(header, image)
    save(header, path, product_version=provenance.record.product_version)
    return path


def _header(image: SyntheticImage, provenance: Provenance, run_digest: str) -> Dataset:
    """What every class has."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    made_at = provenance.clock()
    mark(header, provenance, made_at=made_at, sources=(), purpose=SYNTHESIZING_EQUIPMENT)
    _write_nobody(header, image)
    _write_study(header, run_digest, made_at=made_at)
    number = str(image.number)
    header.SOPInstanceUID = derived_uid("synthetic image", run_digest, number)
    header.SeriesInstanceUID = derived_uid("synthetic series", run_digest, number)
    header.SeriesNumber = image.number
    header.InstanceNumber = 1
    header.SeriesDescription = series_text(provenance, image.title, flag="SYNTHETIC")
    header.ImageComments = comment_text(provenance, flag=FLAG)
    header.DerivationDescription = derivation_text(provenance, made_from="")
    header.DerivationCodeSequence = code_items(image.derivation)
    if image.body_part:
        header.BodyPartExamined = image.body_part
    fill_laterality(header)
    for keyword, value in image.lossy.items():
        setattr(header, keyword, value)
    return header


def _write_nobody(header: Dataset, image: SyntheticImage) -> None:
    """No patient, and none invented.

    That identity is removed speaks of the pixels too, so it is said only where they hold none.
    """
    header.PatientName = header.PatientID = ""
    header.PatientBirthDate = header.PatientSex = ""
    if image.burned_in:
        header.BurnedInAnnotation = image.burned_in
    if image.recognizable:
        header.RecognizableVisualFeatures = image.recognizable
    if image.burned_in == image.recognizable == "NO":
        header.PatientIdentityRemoved = "YES"
        header.DeidentificationMethod = _METHOD


def _write_study(header: Dataset, run_digest: str, *, made_at: datetime) -> None:
    """A study of nobody begins when it is made."""
    header.StudyInstanceUID = derived_uid("synthetic study", run_digest)
    header.StudyID = "1"
    header.StudyDescription = DESCRIPTION
    header.StudyDate = made_at.strftime("%Y%m%d")
    header.StudyTime = made_at.strftime("%H%M%S.%f")
    header.AccessionNumber = header.ReferringPhysicianName = ""


def _write_secondary_capture(header: Dataset, image: SyntheticImage) -> None:
    header.SOPClassUID = SecondaryCaptureImageStorage
    header.Modality = "OT"
    header.ConversionType = "SYN"
    header.SecondaryCaptureDeviceManufacturer = PRODUCT
    header.SecondaryCaptureDeviceManufacturerModelName = header.ManufacturerModelName
    header.SecondaryCaptureDeviceSoftwareVersions = list(header.SoftwareVersions)
    header.ImageType = ["DERIVED", "SECONDARY", "OTHER", AI_GENERATED]
    header.PatientOrientation = None
    if image.spacing_mm is not None:
        header.PixelSpacing = [decimal(step) for step in image.spacing_mm]


def _write_class_of_modality(header: Dataset, image: SyntheticImage) -> None:
    reason = why_not_of_modality(
        image.modality,
        unit=image.stored.unit,
        spacing_known=image.spacing_mm is not None,
        orientation_known=image.orientation is not None,
    )
    if reason or image.spacing_mm is None or image.orientation is None:
        raise ValueError(reason)
    kind: ImageKind = image_kind(image.modality)
    header.SOPClassUID = kind.sop_class_uid
    header.Modality = kind.modality
    header.ImageType = kind.image_type(AI_GENERATED, flavor="OTHER")
    kind.write_acquisition(header, Acquisition())
    for keyword in kind.empty_where_unknown:
        if keyword not in header:
            setattr(header, keyword, None)
    header.PatientPosition = ""
    header.FrameOfReferenceUID = derived_uid("synthetic frame", header.SOPInstanceUID)
    header.PositionReferenceIndicator = ""
    header.ImagePositionPatient = ["0", "0", "0"]
    header.ImageOrientationPatient = [decimal(part) for part in image.orientation]
    header.PixelSpacing = [decimal(step) for step in image.spacing_mm]


def _write_pixels(header: Dataset, image: SyntheticImage) -> None:
    stored, pixels = image.stored, image.pixels
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME1" if image.inverted else "MONOCHROME2"
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated, header.BitsStored = stored.bits, stored.bits_stored
    header.HighBit = stored.bits_stored - 1
    header.PixelRepresentation = int(stored.signed)
    center, width = image.window
    header.WindowCenter = decimal(center)
    header.WindowWidth = decimal(max(width, 1.0))
    if stored.unit or (stored.slope, stored.intercept) != (1.0, 0.0):
        header.RescaleIntercept = decimal(stored.intercept)
        header.RescaleSlope = decimal(stored.slope)
        header.RescaleType = stored.unit if stored.unit == "HU" else "US"
    content = np.ascontiguousarray(pixels, stored.dtype).tobytes()
    header.PixelData = content + b"\0" * (len(content) % 2)
    header["PixelData"].VR = "OB" if stored.bits == 8 else "OW"
