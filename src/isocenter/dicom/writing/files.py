"""Files that are whole or absent: a name appears only when its content is on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import dcmwrite

from isocenter.core.errors import OutputRefused
from isocenter.dicom.writing.derived_header import file_meta


def save(dataset: Dataset, path: Path, *, product_version: str) -> None:
    """Write a whole object, Explicit VR Little Endian."""
    part = part_of(path)
    write_part(dataset, part, product_version=product_version)
    os.replace(part, path)


def part_of(path: Path) -> Path:
    """Where a file grows until it is whole; hidden, and no ".dcm" that a viewer would open."""
    return path.with_name(f".{path.stem}.part")


def write_part(dataset: Dataset, part: Path, *, product_version: str) -> None:
    """Write what is there of an object to the disk."""
    meta = file_meta(dataset, product_version)
    whole = FileDataset("", dataset, preamble=b"\0" * 128, file_meta=meta)
    with part.open("wb") as file:
        dcmwrite(file, whole, enforce_file_format=True)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def empty_place(folder: Path, pattern: str) -> Path:
    """The folder, if it exists and holds no file like ``pattern`` yet."""
    folder = Path(folder)
    if not folder.is_dir():
        raise OutputRefused("the folder to write a series into does not exist; create it first")
    if any(folder.glob(pattern)):
        raise OutputRefused("the folder holds a series already; name an empty one")
    return folder
