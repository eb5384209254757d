"""Read an object of unknown origin whole, but for its pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.core.errors import UnreadableInput, UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import open_stream, refusing, registered_name
from isocenter.dicom.decoding.scanning import (
    UNDEFINED_LENGTH,
    Element,
    Header,
    Stream,
    file_meta,
    malformed,
    scan_header,
)
from isocenter.dicom.reading.identity import is_uid

_OVERLAYS = range(0x6000, 0x6020, 2)


class _EveryTag(frozenset[int]):
    """Every tag there is, private ones too."""

    def __contains__(self, tag: object) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class OpenedObject:
    """An object, and where its pixels are.

    Attributes:
        dataset: all elements in front of the pixels; File Meta Information is left behind.
        implicit, little_endian: how the data set is encoded.
        transfer_syntax: of a file that is written from it; never the deflated one.
        pixels: Pixel Data, Float or Double Float Pixel Data; None where there are none.
    """

    path: Path
    dataset: Dataset
    implicit: bool
    little_endian: bool
    transfer_syntax: str
    pixels: Element | None

    def text(self, keyword: str) -> str:
        """A value of the top level as text, several joined by a backslash; "" where there is none.

        What cannot be interpreted counts as absent.
        """
        try:
            value = self.dataset.get(keyword)
        except Exception:
            return ""
        if value is None:
            return ""
        several = not isinstance(value, str) and hasattr(value, "__iter__")
        is_name = type(value).__name__ == "PersonName"
        parts = [str(one) for one in value] if several and not is_name else [str(value)]
        return "\\".join(part.strip(" \0") for part in parts)

    @property
    def has_embedded_overlay(self) -> bool:
        """Whether an overlay plane has no data of its own: it lies in unused bits of the pixels."""
        rows, data = 0x0010, 0x3000
        planes = [tag.group for tag in list(self.dataset.keys()) if tag.group in _OVERLAYS]
        return any(
            (group, rows) in self.dataset and (group, data) not in self.dataset for group in planes
        )


def open_object(
    path: Path,
    *,
    private: bool = False,
    what: str = "the file",
    limits: Limits = DEFAULT_LIMITS,
) -> OpenedObject:
    """Read all elements in front of the pixels.

    Args:
        path: a DICOM file.
        private: read private elements of the top level too; those in public sequences always are.
        what: how messages name the file.
        limits: what it may cost.

    Raises:
        UnreadableInput: not DICOM, damaged, truncated or beyond the limits, or no object of its
            own: SOP Class or Instance, Study or Series Instance UID is missing or no UID.
        UnsuitableScan: the transfer syntax is not known.
    """
    with refusing(f"{what} cannot be read as DICOM; it is damaged, truncated or of another kind"):
        stream, syntax = open_stream(path, limits)
        with stream:
            header, dataset = _read(stream, private, limits)
            if header.pixels is not None:
                _check_pixels(stream, header.pixels, header)
        opened = OpenedObject(
            path=path,
            dataset=dataset,
            implicit=header.implicit,
            little_endian=header.little_endian,
            transfer_syntax=_written_syntax(syntax, header),
            pixels=header.pixels,
        )
        _check_identity(opened, what)
        is_image = registered_name(opened.text("SOPClassUID")).endswith("Image Storage")
        if opened.pixels is None and (is_image or "BitsAllocated" in dataset):
            raise UnreadableInput(
                f"{what} is an image without pixels; it is truncated: copy or export it again"
            )
        return opened


def _read(stream: Stream, private: bool, limits: Limits) -> tuple[Header, Dataset]:
    stream.seek(0)
    meta = file_meta(stream)  # type: ignore[arg-type]
    header = scan_header(
        stream,
        start=meta.end,
        transfer_syntax=meta.transfer_syntax,
        limits=limits,
        tags=_EveryTag() if private else None,
    )
    parts = []
    for element in header.elements:
        assert element.end is not None
        stream.seek(element.start)
        parts.append(stream.read(element.end - element.start))
    dataset = read_dataset(io.BytesIO(b"".join(parts)), header.implicit, header.little_endian)
    return header, dataset


def _written_syntax(syntax: str, header: Header) -> str:
    """What the data set is encoded in; the file meta is believed on compressed pixels alone."""
    is_compressed = header.pixels is not None and header.pixels.length == UNDEFINED_LENGTH
    if is_compressed:
        if not registered_name(syntax) or not UID(syntax).is_compressed:
            raise UnsuitableScan(
                "compressed pixels of an unknown transfer syntax; store them in a standard one",
                reason="transfer_syntax",
            )
        if syntax != DeflatedExplicitVRLittleEndian:
            return syntax
    if header.implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if header.little_endian else ExplicitVRBigEndian


def _check_pixels(stream: Stream, pixels: Element, header: Header) -> None:
    """See that the pixels end within the file.

    Raises:
        UnreadableInput: they do not.
    """
    for _ in pieces_of(stream, pixels, little_endian=header.little_endian):
        pass


def pieces_of(stream: Stream, pixels: Element, *, little_endian: bool) -> Iterator[tuple[int, int]]:
    """Offset and number of bytes of what holds pixels: the value, or each fragment of it.

    The first of several fragments is the Basic Offset Table.

    Raises:
        UnreadableInput: a piece ends behind the file, or the delimiter is missing.
    """
    size = _size_of(stream)
    if pixels.length != UNDEFINED_LENGTH:
        if pixels.value + pixels.length > size:
            raise malformed()
        yield pixels.value, pixels.length
        return
    place = pixels.value
    while True:
        stream.seek(place)
        head = stream.read(8)
        tag = head[:4] if little_endian else head[1::-1] + head[3:1:-1]
        length = int.from_bytes(head[4:], "little" if little_endian else "big")
        if len(head) < 8 or tag not in (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"):
            raise malformed()
        if tag == b"\xfe\xff\xdd\xe0":
            return
        place += 8
        if place + length > size:
            raise malformed()
        yield place, length
        place += length


def _size_of(stream: Stream) -> int:
    return stream.seek(0, io.SEEK_END)


def _check_identity(opened: OpenedObject, what: str) -> None:
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not is_uid(opened.text(keyword)):
            raise UnreadableInput(
                f"{what} has no {keyword} that is a UID, so it cannot be told from others; export "
                "it again",
                reason="identity",
            )
