"""A digest of the pixels of a file of unknown origin, whatever its header says."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import open_stream, refusing
from isocenter.dicom.decoding.scanning import (
    UNDEFINED_LENGTH,
    Element,
    Stream,
    file_meta,
    scan_header,
)

_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"
_PIECE_BYTES = 2**20


class PixelDigest(NamedTuple):
    """SHA-256 over pixels as they are stored, and how they are.

    Attributes:
        sha256: of the value of native pixels, of the fragments of compressed ones one behind the
            other; of the whole data set where there are no pixels.
        transfer_syntax: "" where the file names none.
    """

    sha256: str
    transfer_syntax: str


def pixel_digest(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> PixelDigest:
    """Digest the pixels of a file; the header may differ, as archives change it.

    Raises:
        UnreadableInput: damaged, truncated or beyond the limits.
    """
    with refusing("the file cannot be read as DICOM; it is damaged, truncated or of another kind"):
        stream, syntax = open_stream(path, limits)
        with stream:
            stream.seek(0)
            start = file_meta(stream).end  # type: ignore[arg-type]
            header = scan_header(
                stream, start=start, transfer_syntax=syntax, limits=limits, tags=()
            )
            digest = hashlib.sha256()
            if header.pixels is None:
                _take(digest, stream, start, None)
            elif header.pixels.length == UNDEFINED_LENGTH:
                _take_fragments(digest, stream, header.pixels)
            else:
                _take(digest, stream, header.pixels.value, header.pixels.length)
            return PixelDigest(digest.hexdigest(), syntax)


def _take(digest: hashlib._Hash, stream: Stream, start: int, length: int | None) -> None:
    """Some bytes from a place on, or all."""
    stream.seek(start)
    left = length
    while left is None or left > 0:
        piece = stream.read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
        if not piece:
            if left is not None:
                raise _truncated()
            return
        digest.update(piece)
        left = None if left is None else left - len(piece)


def _take_fragments(digest: hashlib._Hash, stream: Stream, pixels: Element) -> None:
    """Every fragment but the table of offsets, which says nothing of pixels."""
    place, is_table = pixels.value, True
    while True:
        stream.seek(place)
        head = stream.read(8)
        if head[:4] == _SEQUENCE_END:
            return
        if len(head) < 8 or head[:4] != _ITEM:
            raise _truncated()
        length = int.from_bytes(head[4:], "little")
        if not is_table:
            _take(digest, stream, place + 8, length)
        place, is_table = place + 8 + length, False


def _truncated() -> UnreadableInput:
    return UnreadableInput("the pixels end before they must; the file is truncated: send it again")
