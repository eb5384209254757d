"""Write an object with new File Meta Information, its pixels copied piece by piece."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from isocenter.core.files import disk_error
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.version import __version__
from isocenter.dicom.decoding.parsing import open_stream, refusing
from isocenter.dicom.decoding.scanning import UNDEFINED_LENGTH, Stream
from isocenter.dicom.deidentify.opening import OpenedObject, pieces_of
from isocenter.dicom.uids import IMPLEMENTATION_CLASS_UID

Change = Callable[[bytes], bytes]
"""What happens to a piece of pixels before it is written; as many bytes come back."""

_CHUNK_BYTES = 2**22
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0" + bytes(4)
_PIXEL_VRS = {0x7FE00008: ("OF",), 0x7FE00009: ("OD",), 0x7FE00010: ("OW", "OB")}


def write_object(
    opened: OpenedObject,
    file: BinaryIO,
    *,
    change: Change | None = None,
    pixels: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write an object as a DICOM file; what stood behind its pixels is left out.

    Args:
        opened: an object, whose data set may have been changed.
        file: opened for writing.
        change: of every fragment of compressed pixels, their offset table left out.
        pixels: native Pixel Data in place of those of the source.

    Raises:
        UnreadableInput: the pixels cannot be read, or no file can hold what the header says.
        OSError: the disk refuses.
    """
    try:
        with refusing("the header holds values that no DICOM file can hold; export it again"):
            _write_header(opened, file)
            if opened.pixels is None:
                return
            stream, _ = open_stream(opened.path, limits)
            with stream:
                _write_pixels(opened, stream, file, change, pixels)
    except ValueError as refusal:
        if (error := disk_error(refusal)) is not None:
            raise error from None
        raise


def _write_header(opened: OpenedObject, file: BinaryIO) -> None:
    dataset = opened.dataset
    dataset.file_meta = _file_meta(opened)
    dataset.preamble = bytes(128)
    dcmwrite(file, dataset, enforce_file_format=True)


def _file_meta(opened: OpenedObject) -> FileMetaDataset:
    """File meta information that names this implementation and nothing of the source."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(opened.text("SOPClassUID"))
    meta.MediaStorageSOPInstanceUID = UID(opened.text("SOPInstanceUID"))
    meta.TransferSyntaxUID = UID(opened.transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"ISOCENTER_{__version__}"[:16]
    return meta


def _write_pixels(
    opened: OpenedObject,
    stream: Stream,
    file: BinaryIO,
    change: Change | None,
    pixels: bytes | None,
) -> None:
    element = opened.pixels
    assert element is not None
    if pixels is not None:
        _write_native_head(opened, file, len(pixels))
        file.write(pixels)
        return
    pieces = pieces_of(stream, element, little_endian=opened.little_endian)
    if element.length != UNDEFINED_LENGTH:
        ((place, length),) = pieces
        _write_native_head(opened, file, length)
        _copy(stream, file, place, length)
        return
    tag = struct.pack("<HH", element.tag >> 16, element.tag & 0xFFFF)
    file.write(tag + b"OB\0\0" + struct.pack("<L", UNDEFINED_LENGTH))
    for number, (place, length) in enumerate(pieces):
        file.write(_ITEM + struct.pack("<L", length))
        if change is None or number == 0:
            _copy(stream, file, place, length)
        else:
            stream.seek(place)
            file.write(change(stream.read(length)))
    file.write(_SEQUENCE_END)


def _write_native_head(opened: OpenedObject, file: BinaryIO, length: int) -> None:
    element = opened.pixels
    assert element is not None
    order = "<" if opened.little_endian else ">"
    tag = struct.pack(f"{order}HH", element.tag >> 16, element.tag & 0xFFFF)
    size = struct.pack(f"{order}L", length)
    vrs = _PIXEL_VRS[element.tag]
    vr = element.vr if element.vr in vrs else vrs[0]
    file.write(tag + size if opened.implicit else tag + vr.encode() + b"\0\0" + size)


def _copy(stream: Stream, file: BinaryIO, place: int, length: int) -> None:
    stream.seek(place)
    while length > 0:
        part = stream.read(min(length, _CHUNK_BYTES))
        if not part:
            raise EOFError
        file.write(part)
        length -= len(part)
