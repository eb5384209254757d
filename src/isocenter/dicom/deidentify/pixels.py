"""Change the pixels of an object without changing what they show: boxes, unused bits, comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.errors import UnreadableInput, UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.decode import COMPRESSED_SYNTAXES
from isocenter.dicom.decoding.parsing import PixelElement, open_stream
from isocenter.dicom.decoding.pixels import PixelFormat, decode_frame, locate_frames
from isocenter.dicom.decoding.scanning import UNDEFINED_LENGTH
from isocenter.dicom.deidentify.opening import OpenedObject

MOST_BYTES = 2**31
_PIXEL_DATA = 0x7FE00010
_BITS = (8, 16, 32)
# Comments, EXIF and XMP, IPTC: markers of a JPEG stream that hold words and no picture.
_JPEG_WORDS = frozenset((0xFE, 0xE1, 0xED))
_JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_JPEG_ENDS = frozenset((0xDA, 0xD9))
_JPEG2000_ENDS = frozenset((0x90, 0xD9))
_JPEG2000_COMMENT = 0x64


@dataclass(frozen=True, kw_only=True)
class Box:
    """Pixels to be blacked out, the first ones included and the last ones not."""

    row: int
    column: int
    end_row: int
    end_column: int


def cleaned_pixels(
    opened: OpenedObject,
    boxes: Sequence[Box] = (),
    *,
    clear_unused_bits: bool = False,
    what: str = "the file",
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[OpenedObject, bytes]:
    """The object with native pixels, and these pixels, cleaned.

    Args:
        opened: an image.
        boxes: set to the value that shows as black, in every frame.
        clear_unused_bits: make bits outside the stored ones zero, or those of the sign; overlays
            of old lie there. Of uncompressed pixels only.
        what: how messages name the file.
        limits: what decoding may cost.

    Raises:
        UnsuitableScan: pixels that this cannot change: compressed color, other than 8, 16 or 32
            bits, or subsampled color; or a box reaches out of the image.
        UnreadableInput: the pixels are damaged.
    """
    if opened.pixels is None or opened.pixels.tag != _PIXEL_DATA:
        raise _cannot(what)
    if clear_unused_bits and opened.pixels.length == UNDEFINED_LENGTH:
        raise _cannot(what)
    words = _planes(opened, what, limits)
    rows, columns = words.shape[2:4]
    if any(box.end_row > rows or box.end_column > columns for box in boxes):
        raise _cannot(what)
    for box in boxes:
        words[..., box.row : box.end_row, box.column : box.end_column, :] = _darkest(opened)
    if clear_unused_bits:
        words = _without_unused_bits(words, _format(opened, what))
    return _as_stored(opened, words)


def _without_unused_bits(words: NDArray, layout: PixelFormat) -> NDArray:
    unsigned = np.dtype(f"u{layout.bits_allocated // 8}")
    low = layout.high_bit + 1 - layout.bits_stored
    return layout.to_stored(words).view(unsigned) << unsigned.type(low)


def _number(opened: OpenedObject, keyword: str, default: int = 0) -> int:
    text = opened.text(keyword)
    return int(text) if text.lstrip("-").isdecimal() else default


def _cannot(what: str) -> UnsuitableScan:
    return UnsuitableScan(
        f"the pixels of {what} cannot be cleaned as they are stored; store them uncompressed "
        "first, in 8, 16 or 32 bits",
        reason="bit_depth",
    )


def _format(opened: OpenedObject, what: str) -> PixelFormat:
    bits = _number(opened, "BitsAllocated")
    stored = _number(opened, "BitsStored", bits)
    high_bit = _number(opened, "HighBit", stored - 1)
    if bits not in _BITS or not 1 <= stored <= high_bit + 1 <= bits:
        raise _cannot(what)
    return PixelFormat(
        rows=_number(opened, "Rows"),
        columns=_number(opened, "Columns"),
        num_frames=max(1, _number(opened, "NumberOfFrames", 1)),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=high_bit,
        signed=opened.text("PixelRepresentation") == "1",
        transfer_syntax=opened.transfer_syntax,
    )


def _planes(opened: OpenedObject, what: str, limits: Limits) -> NDArray:
    """All pixels as (frame, plane, row, column, sample) of unsigned words, to be changed."""
    layout = _format(opened, what)
    samples = _number(opened, "SamplesPerPixel", 1)
    shape = (layout.num_frames, 1, layout.rows, layout.columns, samples)
    if opened.text("PlanarConfiguration") == "1" and samples > 1:
        shape = (layout.num_frames, samples, layout.rows, layout.columns, 1)
    num_bytes = int(np.prod(shape, dtype=object)) * layout.bits_allocated // 8
    is_subsampled = "_422" in opened.text("PhotometricInterpretation")
    if is_subsampled or not 0 < num_bytes <= MOST_BYTES:
        raise _cannot(what)
    assert opened.pixels is not None
    if opened.pixels.length == UNDEFINED_LENGTH:
        return _decoded(opened, layout, samples, what, limits).reshape(shape)
    stream, _ = open_stream(opened.path, limits)
    with stream:
        stream.seek(opened.pixels.value)
        content = stream.read(min(opened.pixels.length, num_bytes))
    if len(content) < num_bytes:
        raise UnreadableInput(f"{what} is truncated: pixels are missing; copy or export it again")
    words = np.frombuffer(content, _words(opened)).astype(f"u{layout.bits_allocated // 8}")
    return words.reshape(shape)


def _words(opened: OpenedObject) -> np.dtype:
    order = "<" if opened.little_endian else ">"
    return np.dtype(f"{order}u{_number(opened, 'BitsAllocated') // 8}")


def _decoded(
    opened: OpenedObject, layout: PixelFormat, samples: int, what: str, limits: Limits
) -> NDArray:
    """Compressed gray pixels as they would be stored uncompressed."""
    if samples != 1 or opened.transfer_syntax not in COMPRESSED_SYNTAXES:
        raise _cannot(what)
    layout.check(limits)
    assert opened.pixels is not None
    element = PixelElement(
        offset=opened.pixels.value,
        num_bytes=opened.pixels.length,
        vr=opened.pixels.vr,
        little_endian=True,
        frame_table=opened.dataset.get("ExtendedOffsetTable") or b"",
    )
    stream, _ = open_stream(opened.path, limits)
    frames = []
    with stream:
        places = locate_frames(stream, element, layout, what=what)
        for number in range(layout.num_frames):
            raw = places.read(stream, number)
            frames.append(decode_frame(raw, layout, element, what=what, limits=limits))
    unsigned = np.dtype(f"u{layout.bits_allocated // 8}")
    low = layout.high_bit + 1 - layout.bits_stored
    return np.stack(frames).view(unsigned) << unsigned.type(low)


def _darkest(opened: OpenedObject) -> int:
    """The word that shows as black; MONOCHROME1 shows the largest number as black."""
    bits = _number(opened, "BitsStored")
    low = _number(opened, "HighBit", bits - 1) + 1 - bits
    signed = opened.text("PixelRepresentation") == "1"
    if opened.text("PhotometricInterpretation") == "MONOCHROME1":
        return ((1 << (bits - signed)) - 1) << low
    if not signed:
        return 0
    allocated = _number(opened, "BitsAllocated")
    return (-(1 << (bits - 1)) << low) % (1 << allocated)


def _as_stored(opened: OpenedObject, words: NDArray) -> tuple[OpenedObject, bytes]:
    content = words.astype(_words(opened)).tobytes()
    content += b"\0" * (len(content) % 2)
    assert opened.pixels is not None
    if opened.pixels.length != UNDEFINED_LENGTH:
        return opened, content
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in opened.dataset:
            delattr(opened.dataset, keyword)
    native = replace(opened.pixels, vr="OW", length=len(content))
    syntax = ExplicitVRLittleEndian
    return replace(opened, implicit=False, transfer_syntax=syntax, pixels=native), content


def without_words(fragment: bytes) -> bytes:
    """A fragment of compressed pixels with zeros for comments, EXIF, XMP and IPTC.

    Only what stands before the first scan or tile is looked at; other bytes stay as they are.
    """
    if fragment[:2] == b"\xff\xd8":
        return _blanked(fragment, _JPEG_WORDS, ends=_JPEG_ENDS)
    if fragment[:4] == b"\xff\x4f\xff\x51":
        return _blanked(fragment, frozenset((_JPEG2000_COMMENT,)), ends=_JPEG2000_ENDS)
    return fragment


def _blanked(stream: bytes, words: frozenset[int], *, ends: frozenset[int]) -> bytes:
    changed = bytearray(stream)
    place = 2
    while place + 4 <= len(stream) and stream[place] == 0xFF:
        marker = stream[place + 1]
        if marker in ends:
            break
        if marker == 0xFF or marker in _JPEG_WITHOUT_LENGTH:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(stream[place + 2 : place + 4], "big")
        end = min(place + 2 + length, len(stream))
        if marker in words:
            start = place + (6 if words == {_JPEG2000_COMMENT} else 4)
            changed[start:end] = bytes(max(0, end - start))
        place += 2 + length
    return bytes(changed)
