"""Whole scans to be damaged: a trunk of a few slices, with identifiers that must never be shown.

A file is kept as a list of its elements in bytes, so that any of them can be made wrong in a way
that no library would write.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

NUM_SLICES = 4
SIDE = 96
STEP_MM, PIXEL_MM = 3.0, 3.5
UID_ROOT = "1.2.840.99999.7777"
PLANTED = {
    "name": "Zyxwvut",
    "given name": "Quirin",
    "patient ID": "PLANTED77ID",
    "birth date": "19570311",
    "accession number": "ACC9988776",
    "UID": "99999.7777",
    "input path": "PLANTEDPATH",
}
"""Words that stand in every input, and may stand in nothing that is printed or in the report."""
INPUT_FOLDER = f"{PLANTED['name']}_{PLANTED['input path']}"
LONG_VRS = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"SQ",
    b"SV",
    b"UC",
    b"UN",
    b"UR",
    b"UT",
    b"UV",
)
PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF


class Element(NamedTuple):
    """One element of the top level in bytes; ``length`` is declared in place of the true one."""

    tag: int
    vr: bytes
    value: bytes
    length: int | None = None

    def encoded(self) -> bytes:
        """Explicit VR Little Endian."""
        head = struct.pack("<HH2s", self.tag >> 16, self.tag & 0xFFFF, self.vr)
        length = len(self.value) if self.length is None else self.length
        if self.vr in LONG_VRS:
            return head + struct.pack("<HL", 0, length) + self.value
        return head + struct.pack("<H", length & 0xFFFF) + self.value


Elements = list[Element]
Edit = Callable[[Elements, int], Elements]
"""Changes the elements of a slice, counted from 0."""


def uid(*parts: object) -> str:
    """A UID that can be recognized wherever it is shown."""
    return ".".join([UID_ROOT, *map(str, parts)])


@cache
def trunk(num_slices: int = NUM_SLICES, seed: int = 0) -> NDArray:
    """A disc of muscle with fat around it and two lungs, in air, with noise; HU, int16."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    image = np.full((SIDE, SIDE), -1000.0)
    image[row**2 + column**2 < 0.7] = -100
    image[row**2 + column**2 < 0.5] = 40
    for side in (-1, 1):
        image[((row + 0.3) / 0.25) ** 2 + ((column - 0.35 * side) / 0.2) ** 2 < 1] = -850
    noisy = image + rng.normal(0, 20, (num_slices, SIDE, SIDE))
    return np.rint(noisy).astype(np.int16)


def common(sop_class: str) -> FileDataset:
    """What classic and Enhanced CT share."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = sop_class
    dataset.PatientName = f"{PLANTED['name']}^{PLANTED['given name']}"
    dataset.PatientID = PLANTED["patient ID"]
    dataset.PatientBirthDate = PLANTED["birth date"]
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = uid(1)
    dataset.SeriesInstanceUID = uid(1, 3)
    dataset.FrameOfReferenceUID = uid(1, 9)
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDate = "20260102"
    dataset.StudyTime = dataset.ContentTime = dataset.AcquisitionTime = "101112"
    dataset.TimezoneOffsetFromUTC = "+0100"
    dataset.AccessionNumber = PLANTED["accession number"]
    dataset.ReferringPhysicianName = f"{PLANTED['name']}^Doctor"
    dataset.StudyID = "1"
    dataset.StudyDescription = "Chest"
    dataset.SeriesDescription = "Thorax 3.0"
    dataset.SeriesNumber = 3
    dataset.AcquisitionNumber = 1
    dataset.Modality = "CT"
    dataset.Manufacturer = "Odd Scanners"
    dataset.ManufacturerModelName = "Model 1"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.PatientPosition = "HFS"
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP = "120"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    return dataset


def position_mm(index: int) -> list[float]:
    """Image Position (Patient) of a slice."""
    return [-150.0, -160.0, -700.0 + STEP_MM * index]


@cache
def _classic() -> FileDataset:
    dataset = common(CTImageStorage)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    dataset.SliceThickness = STEP_MM
    dataset.ConvolutionKernel = "STANDARD"
    dataset.ReconstructionDiameter = SIDE * PIXEL_MM
    dataset.GantryDetectorTilt = 0
    dataset.Exposure = 100
    dataset.ExposureInuAs = 100_000
    dataset.RescaleSlope = 1
    dataset.RescaleIntercept = -1024
    dataset.RescaleType = "HU"
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid(1, 2, 1)
    dataset.ReferencedImageSequence = DicomSequence([item])
    return dataset


def classic(index: int = 0, *, hu: NDArray | None = None) -> FileDataset:
    """One slice of the scan."""
    dataset = deepcopy(_classic())
    image = trunk()[index % NUM_SLICES] if hu is None else hu
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(
        uid(1, 3, index + 1)
    )
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = position_mm(index)
    dataset.Rows, dataset.Columns = image.shape
    dataset.PixelData = (image.astype(np.int16) + 1024).astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def item(**values: Any) -> DicomSequence:
    """A sequence of one item."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return DicomSequence([dataset])


def enhanced(num_frames: int = NUM_SLICES) -> FileDataset:
    """The scan as one Enhanced CT file."""
    dataset = common(EnhancedCTImageStorage)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid(1, 3, 1))
    dataset.InstanceNumber, dataset.NumberOfFrames = 1, num_frames
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.ContentQualification = "PRODUCT"
    dataset.AcquisitionDateTime, dataset.AcquisitionDuration = "20260102101112", 5.0
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.AcquisitionContextSequence = DicomSequence([])
    dataset.DimensionOrganizationSequence = item(DimensionOrganizationUID=uid(8))
    dataset.DimensionIndexSequence = item(
        DimensionIndexPointer=0x00209057,
        FunctionalGroupPointer=0x00209111,
        DimensionOrganizationUID=uid(8),
    )
    del dataset.KVP
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=[PIXEL_MM] * 2, SliceThickness=STEP_MM)
    shared.PixelValueTransformationSequence = item(
        RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU"
    )
    shared.CTImageFrameTypeSequence = item(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    shared.CTReconstructionSequence = item(ConvolutionKernel="STANDARD")
    shared.CTExposureSequence = item(ExposureInmAs=100.0)
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(map(_frame, range(num_frames)))
    stored = np.resize(trunk(), (num_frames, SIDE, SIDE)) + 1024
    dataset.PixelData = stored.astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _frame(index: int) -> Dataset:
    frame = Dataset()
    frame.PlanePositionSequence = item(ImagePositionPatient=position_mm(index))
    frame.PlaneOrientationSequence = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    frame.FrameContentSequence = item(
        StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[index + 1]
    )
    return frame


def encoded(dataset: Dataset) -> bytes:
    """A whole file."""
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def split(content: bytes) -> tuple[bytes, Elements]:
    """A file in Explicit VR Little Endian: its beginning, and the elements of its top level."""
    (meta_length,) = struct.unpack("<L", content[140:144])
    place = 144 + meta_length
    beginning, elements = content[:place], []
    while place < len(content):
        group, number, vr, length = struct.unpack("<HH2sH", content[place : place + 8])
        place += 8
        if vr in LONG_VRS:
            (length,) = struct.unpack("<L", content[place : place + 4])
            place += 4
        elements.append(Element(group << 16 | number, vr, content[place : place + length]))
        place += length
    return beginning, elements


def joined(beginning: bytes, elements: Sequence[Element]) -> bytes:
    """The file of :func:`split` again."""
    return beginning + b"".join(element.encoded() for element in elements)


@cache
def slice_file(index: int) -> bytes:
    """A slice of the scan as it is."""
    return encoded(classic(index))


def tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)


def without(elements: Elements, keyword: str) -> Elements:
    """All but one element."""
    return [element for element in elements if element.tag != tag_of(keyword)]


def with_value(
    elements: Elements, keyword: str, value: bytes | str, *, vr: str = "", length: int | None = None
) -> Elements:
    """One element made anew, in its place; its value is padded where it says nothing of length."""
    tag = tag_of(keyword)
    there = next((element.vr.decode() for element in elements if element.tag == tag), "")
    vr = vr or there or dictionary_VR(tag).split(" or ")[0]
    content = value.encode("latin-1") if isinstance(value, str) else value
    if length is None and len(content) % 2:
        content += b"\0" if vr in ("UI", "OB", "UN") else b" "
    new = Element(tag, vr.encode(), content, length)
    return sorted([*without(elements, keyword), new], key=lambda one: one.tag)


def value_of(elements: Elements, keyword: str) -> Element:
    return next(element for element in elements if element.tag == tag_of(keyword))


def write_scan(
    folder: Path,
    edit: Edit | None = None,
    *,
    num_slices: int = NUM_SLICES,
    first: int = 0,
    name: str = "IM{:04d}.dcm",
) -> Path:
    """The scan, one file a slice, each changed by ``edit``; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + num_slices):
        beginning, elements = split(slice_file(index))
        if edit is not None:
            elements = edit(elements, index)
        (folder / name.format(index)).write_bytes(joined(beginning, elements))
    return folder


def write_dataset(path: Path, dataset: Dataset) -> Path:
    """A data set as pydicom writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(dataset))
    return path
