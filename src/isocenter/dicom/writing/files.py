"""DICOM files that are whole or absent: a name appears only when its content is on the disk."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from isocenter.core.errors import OutputRefused
from isocenter.core.files import appearing_whole
from isocenter.dicom.uids import IMPLEMENTATION_CLASS_UID


def save(dataset: Dataset, path: Path, *, product_version: str) -> None:
    """Write a whole object, Explicit VR Little Endian."""
    with appearing_whole(path) as part:
        write_part(dataset, part, product_version=product_version)


def write_part(dataset: Dataset, part: Path, *, product_version: str) -> None:
    """Write what is there of an object; it may not be on the disk yet."""
    meta = _file_meta(dataset, product_version)
    whole = FileDataset("", dataset, preamble=b"\0" * 128, file_meta=meta)
    with part.open("wb") as file:
        dcmwrite(file, whole, enforce_file_format=True)


def _file_meta(header: Dataset, product_version: str) -> FileMetaDataset:
    """File meta information that names this implementation."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"ISOCENTER_{product_version}"[:16]
    return meta


def series_uid_of(path: Path) -> str:
    """Series Instance UID of an object that :func:`save` wrote."""
    header = dcmread(path, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True)
    return str(header.SeriesInstanceUID)


def empty_place(folder: Path, pattern: str) -> Path:
    """The folder, if it exists and holds no file like ``pattern`` yet."""
    folder = Path(folder)
    if not folder.is_dir():
        raise OutputRefused("the folder to write a series into does not exist; create it first")
    if any(folder.glob(pattern)):
        raise OutputRefused("the folder holds a series already; name an empty one")
    return folder
