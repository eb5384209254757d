"""Invented objects full of identifiers, in every place that people leave them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

STUDY, SERIES, INSTANCE = "1.2.826.9.1", "1.2.826.9.2", "1.2.826.9.3"
FRAME = "1.2.826.9.4"
SOURCE_IMAGE = "1.2.826.9.5"

IDENTIFIERS: dict[str, str] = {
    "PatientName": "Okonkwo^Marieke^Antonia^Dr",
    "PatientID": "HOSP-4471882",
    "PatientBirthDate": "19610417",
    "OtherPatientNames": "Vandersloot^Marieke",
    "PatientAddress": "17 Quillfeather Lane, Midvale",
    "PatientTelephoneNumbers": "0555 730 1964",
    "AccessionNumber": "ACC9930417",
    "ReferringPhysicianName": "Threlkeld^Barnaby",
    "PerformingPhysicianName": "Ysgarwen^Petra",
    "OperatorsName": "Quimby^Rosalind",
    "InstitutionName": "Saint Elowen Hospital",
    "InstitutionAddress": "4 Harrowgate Square, Midvale",
    "StationName": "CTROOM-EAST-7",
    "DeviceSerialNumber": "SN-8831-XQ",
    "StudyID": "ST-55120",
    "RequestingPhysician": "Pemberwick^Otto",
}


def infused(**changes: Any) -> FileDataset:
    """A CT image of somebody, with their identity in every place that people leave it in."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "ELOWEN_PACS"
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"Marieke Okonkwo".ljust(128, b"\0"))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = INSTANCE, STUDY
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = SERIES, FRAME
    for keyword, value in IDENTIFIERS.items():
        setattr(dataset, keyword, value)
    dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = "F", "064Y", "71.5"
    dataset.Modality, dataset.BodyPartExamined = "CT", "CHEST"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Seeded Scanners", "Model 1"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20240229"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "235930"
    dataset.AcquisitionDateTime = "20240301000512.25+0100"
    dataset.StudyDescription = "CT thorax for Mrs Okonkwo, born 17.04.1961"
    dataset.SeriesDescription = "thin lung, Threlkeld wants 1.0 mm"
    dataset.ImageComments = "seen 2024-02-29 by Petra Ysgarwen, call 0555 730 1964"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber, dataset.SeriesNumber = 12, 3
    dataset.ImagePositionPatient = ["0", "0", "-12.5"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing, dataset.SliceThickness = ["0.7", "0.7"], "1.0"
    dataset.KVP, dataset.ConvolutionKernel = "120", "B31f"
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.ReferencedStudySequence = [_reference("1.2.826.9.77")]
    dataset.SourceImageSequence = [_reference(SOURCE_IMAGE)]
    dataset.RequestAttributesSequence = [_request()]
    dataset.OriginalAttributesSequence = [_original()]
    block = dataset.private_block(0x0009, "ELOWEN PRIVATE 1", create=True)
    block.add_new(0x01, "LO", "Okonkwo 4471882")
    _add_pixels(dataset)
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _add_pixels(dataset: Dataset) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = 8, 10
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    values = np.random.default_rng(1).integers(1, 4096, (8, 10))
    dataset.PixelData = values.astype("<u2").tobytes()


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
    return item


def _request() -> Dataset:
    item = Dataset()
    item.RequestedProcedureID = "RP-771-Q"
    item.ScheduledProcedureStepID = "SPS-118-Z"
    item.RequestedProcedureDescription = "thorax, Okonkwo"
    item.ReasonForTheRequestedProcedure = "nodule"
    return item


def _original() -> Dataset:
    item, before = Dataset(), Dataset()
    before.PatientName = "Okonkwo-Vandersloot^Marieke"
    before.PatientID = "OLD-4471"
    item.ModifiedAttributesSequence = DicomSequence([before])
    return item


def saved(dataset: FileDataset, path: Path) -> Path:
    """A file of an object, as it is."""
    dataset.file_meta.MediaStorageSOPClassUID = UID(str(dataset.SOPClassUID))
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(str(dataset.SOPInstanceUID))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        dcmwrite(file, dataset, enforce_file_format=True)
    return path
