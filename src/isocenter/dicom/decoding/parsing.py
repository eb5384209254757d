"""Parse one DICOM file of unknown origin: bounded reads, no warnings, every failure in words.

Headers are read by pydicom, which trusts what a file declares. Here a file may declare anything:
values longer than the file, deflated bombs, deep or endless sequences.
"""

from __future__ import annotations

import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import config, dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.core.errors import IsocenterError, UnreadableInput

MAX_ELEMENT_BYTES = 64 * 2**20
MAX_INFLATED_BYTES = 512 * 2**20
MAX_READS = 6_000_000  # an Enhanced CT of 2,000 frames needs about 500,000
UNDEFINED_LENGTH = 0xFFFFFFFF

_quiet_lock = threading.RLock()


@contextmanager
def refusing(message: str) -> Iterator[None]:
    """Run code that may fail in any way on a damaged file; end in ``UnreadableInput(message)``.

    The cause is dropped on purpose: its text may quote the header.
    """
    try:
        with _quiet_lock, _quiet_pydicom():
            yield
    except IsocenterError:
        raise
    except OSError as error:
        reason = f": {error.strerror}" if error.strerror else ""
        raise UnreadableInput(message + reason) from None
    except Exception:
        raise UnreadableInput(message) from None


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
    """No warnings and no log entries, which would quote the header; and no strictness."""
    logger = logging.getLogger("pydicom")
    previous = config.settings.reading_validation_mode, logger.level
    config.settings.reading_validation_mode = config.IGNORE
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = previous[0]
        logger.setLevel(previous[1])


def registered_name(uid: str) -> str:
    """The standard's name of a UID, "" for others; never text from a file."""
    name = UID(uid, validation_mode=config.IGNORE).name
    return "" if name == uid else name


class BoundedReader:
    """The part of a binary file that pydicom uses, with limits on size and number of reads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self._reads_left = MAX_READS
        file.seek(0)

    def read(self, count: int = -1) -> bytes:
        self._reads_left -= 1
        left = max(0, self.size - self._file.tell())
        count = left if count is None or count < 0 else min(count, left)
        if count > MAX_ELEMENT_BYTES or self._reads_left < 0:
            raise UnreadableInput("a header is larger than any real one; the file may be damaged")
        return self._file.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, kw_only=True)
class PixelElement:
    """Where the value of Pixel Data lies.

    Attributes:
        offset: of the value, in the stream of :func:`open_stream`.
        num_bytes: declared length; ``UNDEFINED_LENGTH`` for encapsulated data.
        vr: "OB", "OW", or "" where the encoding does not say.
        frame_table: Extended Offset Table, empty where there is none.
    """

    offset: int
    num_bytes: int
    vr: str
    little_endian: bool
    frame_table: bytes = b""


@dataclass(frozen=True, kw_only=True)
class ParsedFile:
    """A header and where its pixels are; ``dataset`` has no Pixel Data."""

    dataset: FileDataset
    transfer_syntax: str
    pixels: PixelElement | None


def looks_like_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM does, with or without the 128 bytes of preamble.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or _starts_without_preamble(start)


def _starts_without_preamble(start: bytes) -> bool:
    if len(start) < 8:
        return False
    group, element = struct.unpack("<HH", start[:4])
    return group in (2, 8) and element <= 0x0018 and (start[4:6].isalpha() or start[6:8] == b"\0\0")


def open_stream(path: Path) -> tuple[BinaryIO, str]:
    """Open a file for reading, inflated where it is deflated; with its transfer syntax or "".

    Raises:
        UnreadableInput: deflated data are damaged or grow beyond ``MAX_INFLATED_BYTES``.
    """
    file = path.open("rb")
    try:
        transfer_syntax, dataset_start = _file_meta(file)
        if transfer_syntax != DeflatedExplicitVRLittleEndian:
            file.seek(0)
            return file, transfer_syntax
        file.seek(dataset_start)
        inflated = _inflate(file)
    except BaseException:
        file.close()
        raise
    file.close()
    return inflated, transfer_syntax


def _file_meta(file: BinaryIO) -> tuple[str, int]:
    """Transfer syntax and the place where the data set starts."""
    start = file.read(132)
    if start[128:] != b"DICM":
        file.seek(0)
    transfer_syntax = ""
    while len(head := file.read(8)) == 8:
        group, element, vr, length = struct.unpack("<HH2sH", head)
        if group != 2:
            return transfer_syntax, file.tell() - 8
        if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
            length = int.from_bytes(file.read(4), "little")
        value = file.read(min(length, 1024))
        file.seek(length - len(value), io.SEEK_CUR)
        if element == 0x0010:
            transfer_syntax = value.rstrip(b"\0 ").decode("ascii", "replace")
    return transfer_syntax, file.tell()


def _inflate(file: BinaryIO) -> BinaryIO:
    """The rest of a file, inflated, behind a new file meta that says Explicit VR Little Endian."""
    uid = ExplicitVRLittleEndian.encode() + b"\0"
    result = io.BytesIO()
    result.write(b"\0" * 128 + b"DICM")
    result.write(struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(uid)) + uid)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while (chunk := file.read(2**16)) and not inflater.eof:
        while chunk:
            result.write(inflater.decompress(chunk, 2**20))
            chunk = inflater.unconsumed_tail
            if result.tell() > MAX_INFLATED_BYTES:
                raise UnreadableInput(
                    f"a deflated file grows beyond {MAX_INFLATED_BYTES // 2**20} MiB; "
                    "store it uncompressed first, for example with dcmconv +te"
                )
    result.write(inflater.flush())
    result.seek(0)
    return result


def parse_file(
    path: Path, *, keywords: Sequence[str] | None = None, what: str = "the file"
) -> ParsedFile:
    """Read a header, all of it or only some elements of its top level.

    Args:
        path: any file.
        keywords: DICOM keywords to keep; sequences among them are kept whole.
        what: how messages name the file.

    Raises:
        UnreadableInput: not DICOM, damaged or unreadable.
    """
    with refusing(f"{what} cannot be read as DICOM; it is damaged, truncated or of another kind"):
        stream, transfer_syntax = open_stream(path)
        with stream:
            reader = BoundedReader(stream)
            dataset = dcmread(
                cast(BinaryIO, reader),
                stop_before_pixels=True,
                force=True,
                specific_tags=list(keywords) if keywords else None,
            )
            dataset.buffer = None  # let go of the file, so that the header can be copied
            implicit, little_endian = dataset.original_encoding
            pixels = _pixel_element(stream, bool(implicit), bool(little_endian))
            table = dataset.get("ExtendedOffsetTable")
            if pixels is not None and isinstance(table, bytes):
                pixels = replace(pixels, frame_table=table)
            if not transfer_syntax:
                transfer_syntax = _guessed_syntax(bool(implicit), bool(little_endian))
            return ParsedFile(dataset=dataset, transfer_syntax=transfer_syntax, pixels=pixels)


def _guessed_syntax(implicit: bool, little_endian: bool) -> str:
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def _pixel_element(stream: BinaryIO, implicit: bool, little_endian: bool) -> PixelElement | None:
    """Pixel Data at the present place of the stream, None where something else is there."""
    head = stream.read(8)
    order = "<" if little_endian else ">"
    if len(head) < 8 or struct.unpack(order + "HH", head[:4]) != (0x7FE0, 0x0010):
        return None
    vr = "" if implicit else head[4:6].decode("ascii", "replace")
    length_bytes = head[4:8] if implicit else stream.read(4)
    if len(length_bytes) < 4:
        return None
    (num_bytes,) = struct.unpack(order + "L", length_bytes)
    return PixelElement(
        offset=stream.tell(), num_bytes=num_bytes, vr=vr, little_endian=little_endian
    )
