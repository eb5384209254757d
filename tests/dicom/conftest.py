"""Synthetic CT series on disk, made from seeds: classic (one file a slice) and Enhanced."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders import (
    JPEG2000LosslessEncoder,
    JPEGLSLosslessEncoder,
    RLELosslessEncoder,
)
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
    generate_uid,
)

Edit = Callable[[Dataset, int], None]
ENCODERS = {
    JPEG2000Lossless: JPEG2000LosslessEncoder,
    JPEGLSLossless: JPEGLSLosslessEncoder,
    RLELossless: RLELosslessEncoder,
}
UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
TRANSFER_SYNTAXES = (*UNCOMPRESSED, *ENCODERS, JPEGLosslessSV1)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class SyntheticScan:
    """What was written: ``stored`` is (slice, row, column) in the order of ``positions_mm``."""

    folder: Path
    files: list[Path]
    stored: NDArray
    positions_mm: NDArray
    slope: float
    intercept: float


def synthetic_stored(
    shape: tuple[int, int, int], *, seed: int, bits_stored: int, signed: bool, intercept: float
) -> NDArray:
    """A noisy water disc in air as stored values that fit the bit depth."""
    rng = np.random.default_rng(seed)
    _, rows, columns = shape
    row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    body = (row**2 + column**2) < 0.6
    image_hu = np.where(body, 40.0, -990.0) + rng.normal(0, 20, shape)
    low, high = (-(2 ** (bits_stored - 1)), 2 ** (bits_stored - 1) - 1)
    if not signed:
        low, high = 0, 2**bits_stored - 1
    return np.clip(np.rint(image_hu - intercept), low, high).astype(np.int64)


def _pixel_bytes(stored: NDArray, *, bits_allocated: int, high_bit_shift: int) -> bytes:
    """Little-endian words, two's complement within the stored bits only."""
    words = (stored.astype(np.int64) << high_bit_shift) & ((1 << bits_allocated) - 1)
    return words.astype(f"<u{bits_allocated // 8}").tobytes()


def _common(
    *, sop_class: str, seed: int, rows: int, columns: int, bits: tuple[int, int, int], signed: bool
) -> FileDataset:
    bits_allocated, bits_stored, high_bit = bits
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = sop_class
    dataset.PatientName = "Phantom^Seeded"
    dataset.PatientID = f"SEED{seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(seed)])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(seed)])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", str(seed)])
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDate = "20260102"
    dataset.StudyTime = dataset.ContentTime = dataset.AcquisitionTime = "101112"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = 3
    dataset.AcquisitionNumber = 1
    dataset.Modality = "CT"
    dataset.Manufacturer = "Seeded Scanners"
    dataset.ManufacturerModelName = "Model 1"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.PatientPosition = "HFS"
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP = "120"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = rows
    dataset.Columns = columns
    dataset.BitsAllocated = bits_allocated
    dataset.BitsStored = bits_stored
    dataset.HighBit = high_bit
    dataset.PixelRepresentation = int(signed)
    return dataset


def _huffman_bits(words: NDArray, precision: int) -> str:
    """Differences to the left neighbour, each as a 5-bit category and its additional bits."""
    predicted = np.empty_like(words)
    predicted[:, 1:] = words[:, :-1]
    predicted[1:, 0] = words[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    bits = []
    for difference in ((words - predicted + 32767) % 65536 - 32767).ravel().tolist():
        category = abs(difference).bit_length() if difference != 32768 else 16
        bits.append(f"{category:05b}")
        if 0 < category < 16:
            value = difference if difference > 0 else difference + (1 << category) - 1
            bits.append(f"{value:0{category}b}")
    return "".join(bits)


def _encode_lossless_jpeg(dataset: Dataset, frame: bytes) -> bytes:
    """JPEG lossless, process 14, selection value 1, with one flat Huffman table."""
    rows, columns, precision = dataset.Rows, dataset.Columns, dataset.BitsStored
    words = np.frombuffer(frame, f"<u{dataset.BitsAllocated // 8}").reshape(rows, columns)
    bits = _huffman_bits(words.astype(np.int64), precision)
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    code_lengths = [0, 0, 0, 0, 17] + [0] * 11
    table = bytes([0, *code_lengths, *range(17)])
    segments = (
        (0xC3, struct.pack(">BHHBBBB", precision, rows, columns, 1, 1, 0x11, 0)),
        (0xC4, table),
        (0xDA, bytes([1, 1, 0, 1, 0, 0])),
    )
    header = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments
    )
    return b"\xff\xd8" + header + scan + b"\xff\xd9"


def _encode(dataset: Dataset, frame: bytes, transfer_syntax: str) -> bytes:
    if transfer_syntax == JPEGLosslessSV1:
        return _encode_lossless_jpeg(dataset, frame)
    return ENCODERS[UID(transfer_syntax)].encode(
        frame,
        rows=dataset.Rows,
        columns=dataset.Columns,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        pixel_representation=dataset.PixelRepresentation,
        photometric_interpretation="MONOCHROME2",
    )


def _set_pixels(dataset: FileDataset, frames: Sequence[bytes], transfer_syntax: str) -> None:
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    if transfer_syntax in (*ENCODERS, JPEGLosslessSV1):
        dataset.PixelData = encapsulate([_encode(dataset, f, transfer_syntax) for f in frames])
        dataset["PixelData"].VR = "OB"
        return
    data = b"".join(frames)
    if transfer_syntax == ExplicitVRBigEndian:
        data = np.frombuffer(data, f"<u{dataset.BitsAllocated // 8}").byteswap().tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW"


def _save(dataset: FileDataset, path: Path) -> None:
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())


def _positions(
    count: int, orientation: Sequence[float], spacing_mm: float, origin_mm: Sequence[float]
) -> NDArray:
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(origin_mm) + np.arange(count)[:, None] * spacing_mm * normal


def _decimal(value: float) -> str:
    return f"{value:.10g}"[:16]


@pytest.fixture
def transfer_syntaxes() -> Sequence[str]:
    """Every transfer syntax that is read."""
    return TRANSFER_SYNTAXES


@pytest.fixture(params=TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name[:24])
def transfer_syntax(request: pytest.FixtureRequest) -> str:
    """Each transfer syntax that is read, one a test."""
    return request.param


@pytest.fixture
def write_classic_ct(tmp_path: Path) -> Callable[..., SyntheticScan]:
    """Write a classic CT series; returns a :class:`SyntheticScan`.

    Options: folder, shape, seed, slope, intercept, bits_allocated, bits_stored, high_bit, signed,
    spacing_mm (slice, row, column), origin_mm, orientation (ImageOrientationPatient), positions_mm,
    stored (integers to store), transfer_syntax, padding (PixelPaddingValue), shuffle (file names
    in another order than positions), edit(dataset, index) called before each file is written.
    """

    def write(
        *,
        folder: Path | None = None,
        shape: tuple[int, int, int] = (5, 40, 36),
        seed: int = 0,
        slope: float = 1.0,
        intercept: float = -1024.0,
        bits_allocated: int = 16,
        bits_stored: int = 16,
        high_bit: int | None = None,
        signed: bool = True,
        spacing_mm: tuple[float, float, float] = (2.5, 0.8, 0.7),
        origin_mm: Sequence[float] = (-80.0, -90.0, -700.0),
        orientation: Sequence[float] = AXIAL,
        positions_mm: NDArray | None = None,
        stored: NDArray | None = None,
        transfer_syntax: str = ExplicitVRLittleEndian,
        padding: int | None = None,
        shuffle: bool = True,
        edit: Edit | None = None,
    ) -> SyntheticScan:
        folder = folder or tmp_path / f"classic{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        if stored is None:
            stored = synthetic_stored(
                shape, seed=seed, bits_stored=bits_stored, signed=signed, intercept=intercept
            )
        count, rows, columns = stored.shape
        high_bit = bits_stored - 1 if high_bit is None else high_bit
        if positions_mm is None:
            positions_mm = _positions(count, orientation, spacing_mm[0], origin_mm)
        order = np.random.default_rng(seed).permutation(count) if shuffle else np.arange(count)
        files: list[Path] = [Path()] * count
        for name, index in enumerate(order):
            dataset = _common(
                sop_class=CTImageStorage,
                seed=seed,
                rows=rows,
                columns=columns,
                bits=(bits_allocated, bits_stored, high_bit),
                signed=signed,
            )
            dataset.SOPInstanceUID = generate_uid(entropy_srcs=["image", str(seed), str(index)])
            dataset.InstanceNumber = int(index) + 1
            dataset.ImagePositionPatient = [_decimal(x) for x in positions_mm[index]]
            dataset.ImageOrientationPatient = [_decimal(x) for x in orientation]
            dataset.PixelSpacing = [_decimal(spacing_mm[1]), _decimal(spacing_mm[2])]
            dataset.SliceThickness = _decimal(spacing_mm[0])
            dataset.ConvolutionKernel = "STANDARD"
            dataset.ReconstructionDiameter = _decimal(columns * spacing_mm[2])
            dataset.GantryDetectorTilt = "0"
            dataset.Exposure = 100
            dataset.RescaleSlope = _decimal(slope)
            dataset.RescaleIntercept = _decimal(intercept)
            dataset.RescaleType = "HU"
            if padding is not None:
                dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
            frame = _pixel_bytes(
                stored[index],
                bits_allocated=bits_allocated,
                high_bit_shift=high_bit + 1 - bits_stored,
            )
            _set_pixels(dataset, [frame], transfer_syntax)
            if edit is not None:
                edit(dataset, int(index))
            path = folder / f"IM{name:04d}.dcm"
            _save(dataset, path)
            files[index] = path
        return SyntheticScan(
            folder=folder,
            files=files,
            stored=stored,
            positions_mm=positions_mm,
            slope=slope,
            intercept=intercept,
        )

    return write


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Change elements of a file without the checks of an ordinary writer.

    ``rewrite(path, PatientID="2", Modality=None, KVP=("DS", b"nan"))``: a value, None to delete, or
    a representation with bytes.
    """

    def change(path: Path, **values: Any) -> None:
        dataset = dcmread(path)
        previous = config.settings.writing_validation_mode
        config.settings.writing_validation_mode = config.IGNORE
        try:
            for keyword, value in values.items():
                _put(dataset, keyword, value)
            buffer = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dcmwrite(buffer, dataset, enforce_file_format=False)
            path.write_bytes(buffer.getvalue())
        finally:
            config.settings.writing_validation_mode = previous

    return change


def _put(dataset: Dataset, keyword: str, value: Any) -> None:
    if value is None:
        if keyword in dataset:
            delattr(dataset, keyword)
    elif isinstance(value, tuple):
        vr, content = value
        content += (b"\0" if vr in ("UI", "OB") else b" ") * (len(content) % 2)
        tag = Tag(keyword)
        dataset[tag] = RawDataElement(tag, vr, len(content), content, 0, False, True)
    else:
        setattr(dataset, keyword, value)


def _item(**values: Any) -> DicomSequence:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def _code(value: str, scheme: str, meaning: str) -> DicomSequence:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _enhanced_shared(spacing_mm: Sequence[float], slope: float, intercept: float) -> Dataset:
    """Functional groups that all frames share; complete enough for dciodvfy."""
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(
        PixelSpacing=[_decimal(spacing_mm[1]), _decimal(spacing_mm[2])],
        SliceThickness=_decimal(spacing_mm[0]),
    )
    shared.PixelValueTransformationSequence = _item(
        RescaleIntercept=_decimal(intercept), RescaleSlope=_decimal(slope), RescaleType="HU"
    )
    shared.FrameVOILUTSequence = _item(WindowCenter="40", WindowWidth="400")
    shared.FrameAnatomySequence = _item(
        AnatomicRegionSequence=_code("51185008", "SCT", "Chest"), FrameLaterality="U"
    )
    shared.CTImageFrameTypeSequence = _item(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    shared.IrradiationEventIdentificationSequence = _item(
        IrradiationEventUID=generate_uid(entropy_srcs=["irradiation"])
    )
    shared.CTAcquisitionTypeSequence = _item(
        AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO"
    )
    shared.CTAcquisitionDetailsSequence = _item(
        RotationDirection="CW",
        RevolutionTime=0.5,
        SingleCollimationWidth=0.6,
        TotalCollimationWidth=38.4,
        TableHeight=100.0,
        GantryDetectorTilt=0.0,
        DataCollectionDiameter=500.0,
    )
    shared.CTTableDynamicsSequence = _item(
        TableSpeed=40.0, TableFeedPerRotation=20.0, SpiralPitchFactor=0.6
    )
    shared.CTGeometrySequence = _item(
        DistanceSourceToDetector=1000.0, DistanceSourceToDataCollectionCenter=600.0
    )
    shared.CTReconstructionSequence = _item(
        ReconstructionAlgorithm="FILTER_BACK_PROJ",
        ConvolutionKernel="STANDARD",
        ConvolutionKernelGroup="SOFT_TISSUE",
        ReconstructionDiameter=350.0,
        ReconstructionPixelSpacing=[float(spacing_mm[1]), float(spacing_mm[2])],
        ReconstructionAngle=360.0,
        ImageFilter="NONE",
    )
    shared.CTExposureSequence = _item(
        ExposureModulationType="NONE",
        EstimatedDoseSaving=0.0,
        ExposureTimeInms=500.0,
        XRayTubeCurrentInmA=200.0,
        ExposureInmAs=100.0,
        CTDIvol=5.0,
    )
    shared.CTXRayDetailsSequence = _item(
        KVP=120.0, FocalSpots=1.0, FilterType="NONE", FilterMaterial="NONE"
    )
    return shared


def _enhanced_frame(index: int, position_mm: NDArray, orientation: Sequence[float]) -> Dataset:
    frame = Dataset()
    frame.PlanePositionSequence = _item(ImagePositionPatient=[_decimal(x) for x in position_mm])
    frame.PlaneOrientationSequence = _item(
        ImageOrientationPatient=[_decimal(x) for x in orientation]
    )
    frame.FrameContentSequence = _item(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime="20260102101112",
        FrameAcquisitionDateTime="20260102101112",
        FrameAcquisitionDuration=500.0,
        StackID="1",
        InStackPositionNumber=index + 1,
        DimensionIndexValues=[1, index + 1],
    )
    frame.CTPositionSequence = _item(
        TablePosition=float(position_mm[2]),
        DataCollectionCenterPatient=[0.0, 0.0, float(position_mm[2])],
        ReconstructionTargetCenterPatient=[0.0, 0.0, float(position_mm[2])],
    )
    return frame


def _describe_enhanced(dataset: FileDataset, count: int) -> None:
    dataset.NumberOfFrames = count
    dataset.InstanceNumber = 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.PixelPresentation = "MONOCHROME"
    dataset.VolumetricProperties = "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.ContentQualification = "PRODUCT"
    dataset.AcquisitionDateTime = "20260102101112"
    dataset.AcquisitionDuration = 5.0
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.AcquisitionContextSequence = DicomSequence([])
    dimension_uid = generate_uid(entropy_srcs=["dimension"])
    dataset.DimensionOrganizationSequence = _item(DimensionOrganizationUID=dimension_uid)
    stack = Dataset()
    stack.DimensionIndexPointer = 0x00209056
    position = Dataset()
    position.DimensionIndexPointer = 0x00209057
    for item in (stack, position):
        item.FunctionalGroupPointer = 0x00209111
        item.DimensionOrganizationUID = dimension_uid
    dataset.DimensionIndexSequence = DicomSequence([stack, position])
    del dataset.KVP


@pytest.fixture
def write_enhanced_ct(tmp_path: Path) -> Callable[..., SyntheticScan]:
    """Write one Enhanced CT file; options as for ``write_classic_ct``, and:

    legacy: Legacy Converted Enhanced CT instead. rescales: one (slope, intercept) a frame, put in
    the per-frame groups. shuffle: frames stored in another order than positions.
    """

    def write(
        *,
        folder: Path | None = None,
        shape: tuple[int, int, int] = (5, 40, 36),
        seed: int = 0,
        slope: float = 1.0,
        intercept: float = -1024.0,
        bits_allocated: int = 16,
        bits_stored: int = 16,
        signed: bool = True,
        spacing_mm: tuple[float, float, float] = (2.5, 0.8, 0.7),
        origin_mm: Sequence[float] = (-80.0, -90.0, -700.0),
        orientation: Sequence[float] = AXIAL,
        positions_mm: NDArray | None = None,
        stored: NDArray | None = None,
        transfer_syntax: str = ExplicitVRLittleEndian,
        padding: int | None = None,
        legacy: bool = False,
        rescales: Sequence[tuple[float, float]] | None = None,
        shuffle: bool = False,
        edit: Edit | None = None,
    ) -> SyntheticScan:
        folder = folder or tmp_path / f"enhanced{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        if stored is None:
            stored = synthetic_stored(
                shape, seed=seed, bits_stored=bits_stored, signed=signed, intercept=intercept
            )
        count, rows, columns = stored.shape
        if positions_mm is None:
            positions_mm = _positions(count, orientation, spacing_mm[0], origin_mm)
        dataset = _common(
            sop_class=LegacyConvertedEnhancedCTImageStorage if legacy else EnhancedCTImageStorage,
            seed=seed,
            rows=rows,
            columns=columns,
            bits=(bits_allocated, bits_stored, bits_stored - 1),
            signed=signed,
        )
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=["enhanced", str(seed)])
        _describe_enhanced(dataset, count)
        if padding is not None:
            dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
        shared = _enhanced_shared(spacing_mm, slope, intercept)
        if legacy:
            del shared.CTReconstructionSequence, shared.CTExposureSequence
            shared.UnassignedSharedConvertedAttributesSequence = _item(ConvolutionKernel="STANDARD")
        order = np.random.default_rng(seed).permutation(count) if shuffle else np.arange(count)
        items = [_enhanced_frame(int(i), positions_mm[i], orientation) for i in order]
        if rescales is not None:
            del shared.PixelValueTransformationSequence
            for item, i in zip(items, order, strict=True):
                item.PixelValueTransformationSequence = _item(
                    RescaleSlope=_decimal(rescales[i][0]),
                    RescaleIntercept=_decimal(rescales[i][1]),
                    RescaleType="HU",
                )
        dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
        dataset.PerFrameFunctionalGroupsSequence = DicomSequence(items)
        frames = [
            _pixel_bytes(stored[i], bits_allocated=bits_allocated, high_bit_shift=0) for i in order
        ]
        _set_pixels(dataset, frames, transfer_syntax)
        if edit is not None:
            edit(dataset, 0)
        path = folder / "enhanced.dcm"
        _save(dataset, path)
        return SyntheticScan(
            folder=folder,
            files=[path],
            stored=stored,
            positions_mm=positions_mm,
            slope=slope,
            intercept=intercept,
        )

    return write
