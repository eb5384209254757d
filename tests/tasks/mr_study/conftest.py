"""Studies of a head made of formulas, as DICOM and as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from tests.image.phantom_head import head

from isocenter.core.volume import Volume

TIMES: dict[str, dict[str, Any]] = {
    "T1": {"EchoTime": "10", "RepetitionTime": "500", "ScanningSequence": "SE"},
    "T2": {"EchoTime": "100", "RepetitionTime": "5000", "ScanningSequence": "SE"},
    "PD": {"EchoTime": "12", "RepetitionTime": "3000", "ScanningSequence": "SE"},
    "FLAIR": {
        "EchoTime": "120", "RepetitionTime": "9000", "InversionTime": "2500",
        "ScanningSequence": ["SE", "IR"],
    },
}  # fmt: skip

WriteMr = Callable[..., None]


@pytest.fixture
def write_mr() -> WriteMr:
    """Write one series: ``write(folder, contrast, number=..., volume=..., **elements)``."""

    def write(
        folder: Path,
        contrast: str,
        *,
        number: int = 1,
        volume: Volume | None = None,
        skip: int | None = None,
        tilt_mm: float = 0.0,
        **elements: Any,
    ) -> None:
        image = head(contrast) if volume is None else volume
        for index in range(image.array.shape[0]):
            if index != skip:
                dataset = _slice(image, index, contrast, number, tilt_mm, elements)
                place = folder / f"s{number}"
                place.mkdir(parents=True, exist_ok=True)
                dataset.save_as(place / f"{index:03}.dcm", enforce_file_format=True)

    return write


def _slice(
    image: Volume, index: int, contrast: str, number: int, tilt_mm: float, elements: dict[str, Any]
) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(number), str(index)])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(number)])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame"])
    dataset.SeriesNumber, dataset.InstanceNumber = number, index + 1
    dataset.PatientID, dataset.PatientName, dataset.StudyDate = "P1", "Phantom^Head", "20260105"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.SequenceVariant = "SK"
    position = image.geometry.position_mm(index) + np.array([0, index * tilt_mm, 0])
    dataset.ImagePositionPatient = [f"{one:.4f}" for one in position]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [f"{one:g}" for one in image.geometry.spacing_mm[1:]]
    dataset.SliceThickness = f"{image.geometry.spacing_mm[0]:g}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.array.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = image.array[index].astype("<u2").tobytes()
    for keyword, value in {**TIMES[contrast], **elements}.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def values() -> Callable[[str], np.ndarray]:
    """What :func:`write_mr` writes of a contrast."""
    return lambda contrast: head(contrast).array
