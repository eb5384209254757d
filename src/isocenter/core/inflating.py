"""Compressed bytes as a file that can be sought in, inflated only as far as somebody looks."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import in_bytes

RAW = -zlib.MAX_WBITS
"""Deflated data without any frame, as in DICOM."""
GZIP = 16 + zlib.MAX_WBITS
"""Gzip, of one or several members."""
MOST_GROWTH = 1040
"""Deflated data grow at most this often (1032 times, and a little for short ones)."""
_CHUNK_BYTES = 2**18


class InflatedStream(io.RawIOBase):
    """What compressed bytes hold, in memory as far as it was asked for.

    Reading raises :class:`UnreadableInput` where the bytes are damaged or grow beyond the limit.
    """

    def __init__(
        self,
        path: Path,
        *,
        form: int,
        offset: int = 0,
        most_bytes: int,
        start: bytes = b"",
        keep: bool = True,
        advice: str = "",
    ) -> None:
        """Inflate a file, which is open only while bytes are taken from it.

        Args:
            path: of the file.
            form: :data:`RAW` or :data:`GZIP`.
            offset: where in the file the compressed bytes begin.
            most_bytes: how far it may grow.
            start: bytes that stand before the inflated ones.
            keep: False forgets what was read, so that there is no way back.
            advice: what to do where it grows further.
        """
        self.file_size = path.stat().st_size
        self._path = path
        self._offset = offset
        self._form = form
        self._most_bytes = most_bytes
        self._keep = keep
        self._advice = advice
        self._inflater = zlib.decompressobj(form)
        self._waiting = b""
        self._content = bytearray(start)
        self._content_start = 0
        self._place = 0
        self._is_whole = False

    def inflate_to(self, place: int) -> int:
        """Inflate up to a place; how many bytes there are then, fewer only at the end."""
        while not self._is_whole and self._size < place:
            self._inflate_some()
        return self._size

    @property
    def _size(self) -> int:
        return self._content_start + len(self._content)

    def _inflate_some(self) -> None:
        compressed = self._waiting or self._next_chunk()
        if self._is_at_member_end():
            self._next_member(compressed)
            return
        room = self._most_bytes + 1 - self._size
        try:
            part = self._inflater.decompress(compressed, min(room, 4 * _CHUNK_BYTES))
        except zlib.error:
            raise UnreadableInput("compressed data are damaged; copy the file again") from None
        self._waiting = self._inflater.unconsumed_tail
        self._content += part
        if self._size > self._most_bytes:
            raise UnreadableInput(
                f"a compressed file grows beyond {in_bytes(self._most_bytes)}{self._advice}"
            )
        if self._is_at_member_end():
            self._waiting = self._inflater.unused_data
        elif not compressed and not part:
            self._end(cut_off=True)

    def _is_at_member_end(self) -> bool:
        return self._inflater.eof

    def _next_chunk(self) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read(_CHUNK_BYTES)
        self._offset += len(chunk)
        return chunk

    def _next_member(self, compressed: bytes) -> None:
        """Gzip files may be several, one behind the other; zeros may follow the last."""
        compressed = compressed.lstrip(b"\0") if self._form == GZIP else b""
        if not compressed:
            self._end(cut_off=False)
            return
        self._inflater = zlib.decompressobj(self._form)
        self._waiting = compressed

    def _end(self, *, cut_off: bool) -> None:
        if cut_off and self._form == GZIP:  # DICOM's readers take what there is
            raise UnreadableInput("the compressed file is truncated; copy it again")
        self._is_whole = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        end = self._most_bytes + 1 if size is None or size < 0 else self._place + size
        self.inflate_to(end)
        start = self._content_start
        part = bytes(self._content[self._place - start : end - start])
        self._place += len(part)
        if not self._keep:
            del self._content[: self._place - start]
            self._content_start = self._place
        return part

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place}.get(whence)
        if base is None:
            base = self.inflate_to(self._most_bytes + 1)
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place


def size_up_to(stream: BinaryIO | InflatedStream, place: int) -> int:
    """How many bytes a stream holds; of an inflated one no more is counted than up to a place."""
    if isinstance(stream, InflatedStream):
        return stream.inflate_to(place)
    return os.fstat(stream.fileno()).st_size
