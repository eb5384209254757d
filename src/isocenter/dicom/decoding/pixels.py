"""From the bytes of Pixel Data to stored values: layout, limits, bits and signs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.core.errors import UnreadableInput, UnsuitableScan
from isocenter.core.inflating import size_up_to
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.decode import COMPRESSED_SYNTAXES, frame_decoder, least_frame_bytes
from isocenter.dicom.decoding.parsing import PixelElement, registered_name
from isocenter.dicom.decoding.scanning import UNDEFINED_LENGTH, Stream

NATIVE_SYNTAXES = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    }
)
MAX_FRAGMENTS = 200_000
LEAST_ROWS_COLUMNS = 2

Span = tuple[int, int]
"""Offset and number of bytes in a stream."""


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How the pixels of a file are stored.

    Attributes:
        high_bit: the highest of the stored bits, counted from 0.
        padding: smallest and largest stored value that means "no measurement"; None if unnamed.
    """

    rows: int
    columns: int
    num_frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    transfer_syntax: str
    padding: tuple[int, int] | None = None

    @property
    def frame_bytes(self) -> int:
        """Length of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest value that can be stored."""
        if self.signed:
            half = 1 << (self.bits_stored - 1)
            return -half, half - 1
        return 0, (1 << self.bits_stored) - 1

    @property
    def is_compressed(self) -> bool:
        return self.transfer_syntax in COMPRESSED_SYNTAXES

    def check(self, limits: Limits = DEFAULT_LIMITS) -> None:
        """Refuse what cannot be decoded, or not within the limits.

        Raises:
            UnreadableInput: impossible numbers.
            UnsuitableScan: a valid but unsupported transfer syntax or bit depth.
        """
        self._check_syntax()
        size_fits = min(self.rows, self.columns) >= LEAST_ROWS_COLUMNS
        size_fits = size_fits and self.rows * self.columns <= limits.frame_pixels
        if not (size_fits and 1 <= self.num_frames <= limits.frames):
            raise UnreadableInput(
                f"an image declares {self.num_frames} frames of {self.rows} x {self.columns} "
                f"pixels; 1 to {limits.frames} frames of at least {LEAST_ROWS_COLUMNS} rows and "
                f"columns and at most {limits.frame_pixels} pixels are accepted (limits frames and "
                "frame_pixels); the file may be damaged"
            )
        bits_fit = 1 <= self.bits_stored <= self.high_bit + 1 <= self.bits_allocated
        if self.bits_allocated not in (8, 16, 32) or not bits_fit:
            raise UnsuitableScan(
                f"pixels of {self.bits_allocated} bits with {self.bits_stored} stored up to bit "
                f"{self.high_bit} cannot be read; 8, 16 and 32 bits are accepted",
                reason="bit_depth",
            )

    def _check_syntax(self) -> None:
        if self.transfer_syntax in NATIVE_SYNTAXES or self.is_compressed:
            return
        name = registered_name(self.transfer_syntax)
        known = f" ({name})" if name else ""
        raise UnsuitableScan(
            f"the pixels are stored in a transfer syntax that cannot be decoded{known}; store them "
            "uncompressed first, for example with dcmdjpeg or gdcmconv --raw",
            reason="transfer_syntax",
        )

    def to_stored(self, words: NDArray) -> NDArray:
        """Words of any integer type to values: only the stored bits count, sign-extended."""
        shift = 0 if self.is_compressed else self.high_bit + 1 - self.bits_stored
        unused = self.bits_allocated - self.bits_stored
        unsigned = np.dtype(f"u{self.bits_allocated // 8}")
        signed = np.dtype(f"i{self.bits_allocated // 8}")
        raised = words.astype(unsigned) << unsigned.type(unused - shift)
        dtype = signed if self.signed else unsigned
        return raised.view(dtype) >> dtype.type(unused)


def wrapped_padding(
    value: int, limit: int | None, *, signed: bool, bits_allocated: int
) -> tuple[int, int]:
    """Padding value and range limit as stored values of the image's own sign.

    Scanners write the value as unsigned into signed images and the reverse; the bits agree.
    """
    ends = [value] if limit is None else [value, limit]
    modulus = 1 << bits_allocated
    wrapped = [end % modulus for end in ends]
    if signed:
        wrapped = [end - modulus if end >= modulus // 2 else end for end in wrapped]
    return min(wrapped), max(wrapped)


@dataclass(frozen=True, kw_only=True)
class PixelLayout:
    """Where each frame's bytes lie: for each frame, one or more spans to be joined."""

    frames: tuple[tuple[Span, ...], ...]

    def read(self, stream: Stream, frame_number: int) -> bytes:
        """The bytes of one frame, compressed or not."""
        parts = []
        for offset, count in self.frames[frame_number]:
            stream.seek(offset)
            parts.append(stream.read(count))
        return b"".join(parts)


def locate_frames(
    stream: Stream, pixels: PixelElement, pixel_format: PixelFormat, *, what: str
) -> PixelLayout:
    """Find every frame, and make sure that none is missing or cut off, without decoding any.

    Raises:
        UnreadableInput: truncated, or another length or encoding than declared.
    """
    if (pixels.num_bytes == UNDEFINED_LENGTH) != pixel_format.is_compressed:
        raise UnreadableInput(f"the pixels of {what} are not encoded as its header says")
    if pixel_format.is_compressed:
        layout = _locate_compressed(stream, pixels, pixel_format, what=what)
        _check_long_enough(layout, pixel_format, what)
        return layout
    needed = pixel_format.frame_bytes * pixel_format.num_frames
    size = size_up_to(stream, pixels.offset + needed)
    present = min(pixels.num_bytes, size - pixels.offset)
    if present < needed:
        raise UnreadableInput(
            f"{what} is truncated: {present} of {needed} bytes of pixels are there; copy or export "
            "the series again"
        )
    step = pixel_format.frame_bytes
    starts = range(pixels.offset, pixels.offset + needed, step)
    return PixelLayout(frames=tuple(((start, step),) for start in starts))


def _check_long_enough(layout: PixelLayout, pixel_format: PixelFormat, what: str) -> None:
    """Refuse frames of fewer bytes than the most even image of their size has."""
    least = least_frame_bytes(
        pixel_format.transfer_syntax,
        rows=pixel_format.rows,
        columns=pixel_format.columns,
        bits_allocated=pixel_format.bits_allocated,
    )
    present = min((sum(count for _, count in frame) for frame in layout.frames), default=0)
    if present < least:
        raise UnreadableInput(
            f"{what} is truncated: a compressed frame has {present} bytes, one of its size has at "
            f"least {least}; copy or export the series again"
        )


def _locate_compressed(
    stream: Stream, pixels: PixelElement, pixel_format: PixelFormat, *, what: str
) -> PixelLayout:
    stream.seek(pixels.offset)
    table, fragments = _fragments(stream, size_up_to(stream, 0), what)
    count = pixel_format.num_frames
    if count == 1 and fragments:
        return PixelLayout(frames=(tuple(fragments),))
    if len(fragments) == count:
        return PixelLayout(frames=tuple((fragment,) for fragment in fragments))
    starts = _offsets(pixels.frame_table, 8) or _offsets(table, 4)
    if len(starts) != count or not fragments:
        raise UnreadableInput(
            f"{what} holds {len(fragments)} pieces of compressed pixels for {count} frames and no "
            "table of their places; it may be truncated"
        )
    base = fragments[0][0] - 8
    return PixelLayout(frames=_grouped(fragments, [base + start for start in starts], what))


def _fragments(stream: Stream, size: int, what: str) -> tuple[bytes, list[Span]]:
    """The basic offset table and the spans of all fragments."""
    items: list[Span] = []
    while len(head := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        start = stream.tell()
        if (group, element) != (0xFFFE, 0xE000) or start + length > size:
            raise UnreadableInput(
                f"the compressed pixels of {what} are damaged or truncated: export the series again"
            )
        items.append((start, length))
        if len(items) > MAX_FRAGMENTS:
            raise UnreadableInput(f"{what} holds too many pieces of compressed pixels")
        stream.seek(length, 1)
    if not items:
        raise UnreadableInput(f"{what} holds no compressed pixels; it may be truncated")
    stream.seek(items[0][0])
    return stream.read(min(items[0][1], 8 * MAX_FRAGMENTS)), items[1:]


def _offsets(table: bytes, width: int) -> list[int]:
    """Offsets of the frames from the first fragment's item tag."""
    return np.frombuffer(table[: len(table) // width * width], f"<u{width}").tolist()


def _grouped(fragments: list[Span], starts: list[int], what: str) -> tuple[tuple[Span, ...], ...]:
    frames: list[list[Span]] = []
    waiting = iter(starts)
    upcoming = next(waiting, None)
    for offset, count in fragments:
        if offset - 8 == upcoming:
            frames.append([])
            upcoming = next(waiting, None)
        if not frames:
            break
        frames[-1].append((offset, count))
    if len(frames) != len(starts):
        raise UnreadableInput(f"the table of frames of {what} does not fit its pixels")
    return tuple(tuple(frame) for frame in frames)


def decode_frame(
    raw: bytes,
    pixel_format: PixelFormat,
    pixels: PixelElement,
    *,
    what: str,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray:
    """Bytes of one frame to stored values, (row, column).

    Raises:
        UnreadableInput: the bytes are damaged or of another length.
    """
    if pixel_format.is_compressed:
        words = frame_decoder.decode(
            raw,
            transfer_syntax=pixel_format.transfer_syntax,
            rows=pixel_format.rows,
            columns=pixel_format.columns,
            bits_allocated=pixel_format.bits_allocated,
            bits_stored=pixel_format.bits_stored,
            signed=pixel_format.signed,
            what=what,
            limits=limits,
        )
        return pixel_format.to_stored(words)
    if len(raw) != pixel_format.frame_bytes:
        raise UnreadableInput(f"the pixels of {what} are truncated")
    order = "<" if pixels.little_endian else ">"
    words = np.frombuffer(raw, f"{order}u{pixel_format.bits_allocated // 8}")
    if order == ">" and pixel_format.bits_allocated == 8 and pixels.vr == "OW":
        words = words.view("u2").byteswap().view("u1")
    return pixel_format.to_stored(words.reshape(pixel_format.rows, pixel_format.columns))
