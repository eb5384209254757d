"""Diffusion-weighted studies of a simple head as classic MR files, b-values as makers keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SHAPE = (4, 40, 40)
SPACING_MM = (5.0, 4.0, 4.0)
TISSUE, FLUID, INFARCT = 750.0, 3000.0, 400.0
Edit = Callable[[FileDataset, int], None]


def head_of(shape: tuple[int, int, int] = SHAPE) -> NDArray:
    """A disc that fills most of each slice: bool."""
    _, rows, columns = shape
    row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return np.broadcast_to(row**2 + column**2 < 0.75**2, shape).copy()


def infarct_of(shape: tuple[int, int, int] = SHAPE) -> NDArray:
    """A block in the middle slices, inside the head: bool."""
    marked = np.zeros(shape, bool)
    marked[1:3, shape[1] // 2 : shape[1] // 2 + 5, shape[2] // 4 + 2 : shape[2] // 4 + 7] = True
    return marked


def adc_of(shape: tuple[int, int, int] = SHAPE, *, with_infarct: bool = True) -> NDArray:
    """ADC in µm²/s: tissue with fluid in the middle, and an infarct; 0 outside."""
    adc = np.where(head_of(shape), TISSUE, 0.0)
    middle = shape[1] // 2
    adc[:, middle - 8 : middle - 3, middle - 3 : middle + 3] = FLUID
    if with_infarct:
        adc[infarct_of(shape)] = INFARCT
    return adc


def signal_of(
    b_value: float,
    shape: tuple[int, int, int] = SHAPE,
    *,
    with_infarct: bool = True,
    noise: float = 0.0,
    seed: int = 0,
) -> NDArray:
    """Magnitudes of a b-value, 20 000 in tissue at b = 0."""
    adc = adc_of(shape, with_infarct=with_infarct)
    clean = np.where(adc > 0, 20_000.0, 0.0) * np.exp(-b_value * 1e-6 * adc)
    rng = np.random.default_rng((seed, int(b_value)))
    real, imaginary = rng.normal(0, noise, (2, *shape)) if noise else np.zeros((2, *shape))
    return np.hypot(clean + real, imaginary)


@dataclass(kw_only=True)
class Weighting:
    """One series, or part of one.

    Attributes:
        b_value: what is measured.
        stated: how the header says it, as :func:`state_b_value` knows it; "none" for not at all.
        values: (slice, row, column); None takes those of the simple head.
        series: name that decides the Series Instance UID and the number.
        image_type: of all images.
        direction: of the gradient.
        edit: called with each image before it is written.
    """

    b_value: float
    stated: str = "standard"
    values: NDArray | None = None
    series: int = 1
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE")
    direction: Sequence[float] | None = None
    description: str = "ep2d_diff"
    edit: Edit | None = None
    options: dict[str, Any] = field(default_factory=dict)


def state_b_value(dataset: Dataset, b_value: float, how: str) -> None:
    """Write a b-value where a maker keeps it."""
    if how == "standard":
        dataset.DiffusionBValue = float(b_value)
    elif how == "siemens":
        block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", int(b_value))
    elif how in ("ge", "ge offset"):
        offset = 1_000_000_000 if how == "ge offset" else 0
        block = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(0x39, "IS", [int(b_value) + offset, 8, 0, 0])
    elif how == "philips":
        block = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
        block.add_new(0x03, "FL", float(b_value))
    elif how == "united":
        block = dataset.private_block(0x0065, "Image Private Header", create=True)
        block.add_new(0x09, "FD", float(b_value))
    else:
        assert how == "none"


def write_weighting(
    folder: Path,
    weighting: Weighting,
    *,
    patient: str = "SEED1",
    study: str = "1",
    frame: str = "1",
    spacing_mm: Sequence[float] = SPACING_MM,
    origin_mm: Sequence[float] = (-78.0, -78.0, 20.0),
    echo_time_ms: float = 90.0,
    body_part: str = "BRAIN",
    slices: Sequence[int] | None = None,
    noise: float = 0.0,
) -> list[Path]:
    """Write the images of one b-value; returns their files in slice order.

    Args:
        slices: which are written; None writes all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = weighting.values
    if values is None:
        values = signal_of(weighting.b_value, noise=noise)
    paths = []
    for index in range(len(values)) if slices is None else slices:
        dataset = _image(np.clip(np.rint(values[index]), 0, 65535).astype("<u2"))
        name = f"{weighting.series}-{weighting.b_value:g}-{weighting.direction}-{index}-{folder}"
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientID = patient
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", study])
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", frame])
        dataset.SeriesInstanceUID = generate_uid(
            entropy_srcs=["series", study, str(weighting.series)]
        )
        dataset.SeriesNumber = weighting.series
        dataset.InstanceNumber = index + 1
        dataset.SeriesDescription = weighting.description
        dataset.ImageType = list(weighting.image_type)
        dataset.BodyPartExamined = body_part
        dataset.EchoTime = f"{echo_time_ms:g}"
        dataset.PixelSpacing = [f"{spacing_mm[1]:g}", f"{spacing_mm[2]:g}"]
        dataset.SliceThickness = f"{spacing_mm[0]:g}"
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        position = (origin_mm[0], origin_mm[1], origin_mm[2] + index * spacing_mm[0])
        dataset.ImagePositionPatient = [f"{one:g}" for one in position]
        state_b_value(dataset, weighting.b_value, weighting.stated)
        if weighting.direction is not None:
            dataset.DiffusionDirectionality = "DIRECTIONAL"
            dataset.DiffusionGradientOrientation = list(weighting.direction)
        if weighting.edit is not None:
            weighting.edit(dataset, index)
        path = folder / f"{dataset.SOPInstanceUID[-24:]}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _image(pixels: NDArray) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = MRImageStorage
    dataset.PatientName = "Phantom^Seeded"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.AcquisitionDate = dataset.ContentDate = "20260102"
    dataset.StudyTime = dataset.AcquisitionTime = dataset.ContentTime = "101112"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.Modality = "MR"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Seeded Scanners", "Model 1"
    dataset.DeviceSerialNumber = dataset.SoftwareVersions = "1"
    dataset.PatientPosition = "HFS"
    dataset.ScanningSequence, dataset.SequenceVariant = "EP", "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime, dataset.EchoTrainLength = "5000", "1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def write_study(
    folder: Path,
    b_values: Sequence[float] = (0.0, 1000.0),
    *,
    stated: str = "standard",
    **options: Any,
) -> Path:
    """One series of several b-values of the simple head; returns the folder."""
    for b_value in b_values:
        write_weighting(folder, Weighting(b_value=b_value, stated=stated), **options)
    return folder
