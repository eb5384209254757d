"""A software phantom as a classic CT series, marked as what it is, for demonstrations and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.version import __version__
from isocenter.core.volume import Volume
from isocenter.dicom.marking import PRODUCT, SYNTHESIZING_EQUIPMENT, code_item
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.files import empty_place, save, sync_folder

INTERCEPT_HU = -1024
PADDING = -2000
DESCRIPTION = "SYNTHETIC PHANTOM (software, no patient)"


def _now() -> datetime:
    return datetime.now().astimezone()


def write_phantom_scan(
    volume: Volume, folder: str | Path, *, clock: Callable[[], datetime] = _now
) -> list[Path]:
    """Write a volume in HU as CT images of an invented phantom; returns files in slice order.

    The same volume gives the same UIDs. Values are rounded to whole HU in [-32768 + 1024, 31743].

    Raises:
        ValueError: the volume is not in HU or holds values that are not finite.
        OutputRefused: the folder does not exist or holds a series already.
    """
    if volume.unit != "HU":
        raise ValueError(f"a CT series holds HU, this volume {volume.unit!r}; convert it first")
    if not np.all(np.isfinite(volume.array)):
        raise ValueError("the volume holds values that are not finite")
    folder = empty_place(Path(folder), "IM*.dcm")
    common = _common_header(volume, clock())
    paths = []
    for index in range(volume.geometry.shape[0]):
        dataset = _image(common, volume, index)
        path = folder / f"IM{index + 1:04d}.dcm"
        save(dataset, path, product_version=__version__)
        paths.append(path)
    sync_folder(folder)
    return paths


def _common_header(volume: Volume, made_at: datetime) -> Dataset:
    """What all slices share."""
    dataset = Dataset()
    _write_subject(dataset)
    _write_uids(dataset, volume)
    _write_times(dataset, made_at)
    _write_equipment(dataset)
    _write_acquisition(dataset, volume)
    _write_pixel_format(dataset, volume)
    return dataset


def _write_subject(dataset: Dataset) -> None:
    dataset.PatientName = "PHANTOM^ISOCENTER"
    dataset.PatientID = "SYN-PHANTOM"
    dataset.IssuerOfPatientID = "ISOCENTER"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.QualityControlSubject = "YES"
    dataset.ReferringPhysicianName = ""
    dataset.AccessionNumber = ""
    dataset.StudyID = "1"
    dataset.StudyDescription = DESCRIPTION
    dataset.SeriesDescription = DESCRIPTION
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1


def _write_uids(dataset: Dataset, volume: Volume) -> None:
    digest = hashlib.sha256(np.ascontiguousarray(volume.array, dtype="<f4").tobytes())
    digest.update(repr((volume.geometry, volume.acquisition)).encode())
    name = digest.hexdigest()
    dataset.SOPClassUID = CTImageStorage
    dataset.StudyInstanceUID = derived_uid("phantom study", name)
    dataset.SeriesInstanceUID = derived_uid("phantom series", name)
    dataset.FrameOfReferenceUID = derived_uid("phantom frame of reference", name)
    dataset.IrradiationEventUID = derived_uid("phantom irradiation", name)
    dataset.PositionReferenceIndicator = ""


def _write_times(dataset: Dataset, made_at: datetime) -> None:
    dataset.TimezoneOffsetFromUTC = made_at.strftime("%z") or "+0000"
    for name in ("Study", "Series", "Acquisition", "Content", "InstanceCreation"):
        setattr(dataset, f"{name}Date", made_at.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", made_at.strftime("%H%M%S.%f"))


def _write_equipment(dataset: Dataset) -> None:
    dataset.Modality = "CT"
    dataset.Manufacturer = PRODUCT
    dataset.ManufacturerModelName = "Software phantom scanner"
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = f"{PRODUCT} {__version__}"
    dataset.SyntheticData = "YES"
    dataset.ContentQualification = "RESEARCH"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.DerivationDescription = "Computed from a mathematical phantom; no patient was scanned."
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(SYNTHESIZING_EQUIPMENT)]
    item.Manufacturer = PRODUCT
    item.ManufacturerModelName = "Software phantom"
    item.SoftwareVersions = f"{PRODUCT} {__version__}"
    dataset.ContributingEquipmentSequence = [item]


def _write_acquisition(dataset: Dataset, volume: Volume) -> None:
    acquisition = volume.acquisition
    assert isinstance(acquisition, CtAcquisition)
    thickness_mm = acquisition.slice_thickness_mm or volume.geometry.spacing_mm[0]
    width_mm = volume.geometry.shape[2] * volume.geometry.spacing_mm[2]
    dataset.PatientPosition = "HFS"
    dataset.BodyPartExamined = acquisition.body_part or "CHEST"
    dataset.KVP = _decimal(acquisition.tube_voltage_kv)
    dataset.Exposure = None if acquisition.exposure_mas is None else round(acquisition.exposure_mas)
    dataset.ConvolutionKernel = acquisition.kernel or "PHANTOM"
    dataset.GantryDetectorTilt = _decimal(acquisition.gantry_tilt_deg or 0.0)
    dataset.ReconstructionDiameter = _decimal(acquisition.reconstruction_diameter_mm or width_mm)
    dataset.SliceThickness = _decimal(thickness_mm)
    dataset.SpacingBetweenSlices = _decimal(volume.geometry.spacing_mm[0])


def _write_pixel_format(dataset: Dataset, volume: Volume) -> None:
    geometry = volume.geometry
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = geometry.shape[1:]
    dataset.PixelSpacing = [_decimal(step) for step in geometry.spacing_mm[1:]]
    orientation = (*geometry.column_direction, *geometry.row_direction)
    dataset.ImageOrientationPatient = [_decimal(part) for part in orientation]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    if volume.valid is not None:
        dataset.add_new("PixelPaddingValue", "SS", PADDING)
    dataset.RescaleIntercept = INTERCEPT_HU
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.LossyImageCompression = "00"


def _image(common: Dataset, volume: Volume, index: int) -> Dataset:
    dataset = Dataset()
    dataset.update(common)
    dataset.SOPInstanceUID = derived_uid("phantom image", common.SeriesInstanceUID, str(index))
    dataset.InstanceNumber = index + 1
    position_mm = volume.geometry.position_mm(index)
    dataset.ImagePositionPatient = [_decimal(float(part)) for part in position_mm]
    dataset.SliceLocation = _decimal(float(position_mm @ volume.geometry.slice_direction))
    dataset.PixelData = _stored(volume, index).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _stored(volume: Volume, index: int) -> NDArray:
    stored = np.clip(np.rint(volume.array[index] - INTERCEPT_HU), -(2**15), 2**15 - 1)
    if volume.valid is not None:
        stored = np.where(volume.valid[index], stored, PADDING)
    return stored.astype("<i2")


def _decimal(value: float | None) -> str | None:
    return None if value is None else format_number_as_ds(float(value))
