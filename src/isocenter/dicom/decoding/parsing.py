"""Parse one DICOM file of unknown origin: bounded reads, no warnings, every failure in words.

Headers are read by pydicom, which trusts what a file declares. A file may declare anything: values
longer than the file, deflated bombs, deep or endless sequences. So pydicom is given only the bytes
of elements that are wanted, after ``scanning`` has walked through them within limits.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import threading
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pydicom import config, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.core.errors import IsocenterError, UnreadableInput
from isocenter.core.inflating import RAW, InflatedStream
from isocenter.core.limits import DEFAULT_LIMITS, Limits, in_bytes
from isocenter.dicom.decoding.scanning import (
    PIXEL_DATA,
    FileMeta,
    Header,
    Stream,
    file_meta,
    scan_header,
)

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


def open_stream(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[Stream, str]:
    """Open a file for reading, inflated where it is deflated; with its transfer syntax or "".

    Reading raises :class:`UnreadableInput` where deflated data are damaged or grow beyond
    ``limits``.

    Raises:
        UnreadableInput: the file is larger than ``limits`` allow.
    """
    stream, meta = _opened(path, limits)
    return stream, meta.transfer_syntax


def _opened(path: Path, limits: Limits) -> tuple[Stream, FileMeta]:
    """A stream, inflated where needed, and what its own file meta says."""
    file = path.open("rb")
    try:
        if os.fstat(file.fileno()).st_size > limits.file_bytes:
            raise UnreadableInput(
                f"a file is larger than {in_bytes(limits.file_bytes)} (limit file_bytes)"
            )
        meta = file_meta(file)
        if meta.transfer_syntax != DeflatedExplicitVRLittleEndian:
            return file, meta
    except BaseException:
        file.close()
        raise
    file.close()
    start = _explicit_meta()
    stream = InflatedStream(
        path,
        form=RAW,
        offset=meta.end,
        most_bytes=limits.inflated_bytes,
        start=start,
        advice="; store it uncompressed first, for example with dcmconv +te (limit inflated_bytes)",
    )
    return stream, replace(meta, end=len(start))


def _explicit_meta() -> bytes:
    """A new file meta that says Explicit VR Little Endian, to stand before inflated data."""
    uid = ExplicitVRLittleEndian.encode() + b"\0"
    head = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(uid))
    return b"\0" * 128 + b"DICM" + head + uid


def parse_file(
    path: Path,
    *,
    keywords: Sequence[str] | None = None,
    also: frozenset[int] = frozenset(),
    sop_classes: Collection[str] | None = None,
    what: str = "the file",
    limits: Limits = DEFAULT_LIMITS,
) -> ParsedFile:
    """Read a header, all of it or only some elements of its top level.

    Args:
        path: any file.
        keywords: DICOM keywords to keep; sequences among them are kept whole. Without them, all
            public elements.
        also: tags to keep beside those keywords, such as private ones.
        sop_classes: where given, of files of other kinds no more than group 0028 is read.
        what: how messages name the file.
        limits: what it may cost.

    Raises:
        UnreadableInput: not DICOM, damaged or unreadable, or beyond the limits.
    """
    with refusing(f"{what} cannot be read as DICOM; it is damaged, truncated or of another kind"):
        stream, meta = _opened(path, limits)
        with stream:
            header = scan_header(
                stream,
                start=meta.end,
                transfer_syntax=meta.transfer_syntax,
                limits=limits,
                tags=None if keywords is None else _tags(tuple(keywords)) | also,
                sop_classes=sop_classes,
            )
            dataset = dcmread(io.BytesIO(_bytes_of(stream, meta, header)), force=True)
        dataset.buffer = None  # let go of the bytes, so that the header can be copied
        return ParsedFile(
            dataset=dataset,
            transfer_syntax=meta.transfer_syntax or _guessed_syntax(header),
            pixels=_pixel_element(header, dataset),
        )


@cache
def _tags(keywords: tuple[str, ...]) -> frozenset[int]:
    tags = {tag_for_keyword(keyword) for keyword in ("SpecificCharacterSet", *keywords)}
    return frozenset(tag for tag in tags if tag is not None)


def _bytes_of(stream: Stream, meta: FileMeta, header: Header) -> bytes:
    """The file meta, and the elements that are wanted, one behind the other."""
    stream.seek(0)
    parts = [stream.read(meta.end)]
    for element in header.elements:
        assert element.end is not None
        stream.seek(element.start)
        parts.append(stream.read(element.end - element.start))
    return b"".join(parts)


def _guessed_syntax(header: Header) -> str:
    if header.implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if header.little_endian else ExplicitVRBigEndian


def _pixel_element(header: Header, dataset: Dataset) -> PixelElement | None:
    """Where Pixel Data is, None where there is none or they are numbers of another kind."""
    found = header.pixels
    if found is None or found.tag != PIXEL_DATA:
        return None
    table = dataset.get("ExtendedOffsetTable")
    return PixelElement(
        offset=found.value,
        num_bytes=found.length,
        vr=found.vr,
        little_endian=header.little_endian,
        frame_table=table if isinstance(table, bytes) else b"",
    )
