"""Decode compressed frames in one persistent worker process with limits on time and memory."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from isocenter.core import version
from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.worker import PLUGINS, read_message, write_message

CLOCK_OVER_PROCESSOR = 3.0
"""How much longer than its processor time a frame may take by the clock, on a busy machine."""
COMPRESSED_SYNTAXES = frozenset(PLUGINS)
_RLE = "1.2.840.10008.1.2.5"
_HUFFMAN_PREDICTED = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_RLE_HEADER_BYTES = 64
_RLE_MOST_GROWTH = 64  # two bytes stand for 128


class FrameDecoder:
    """A worker process that is started at the first frame and again after it had to be ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._memory_bytes = 0
        self._owner = 0

    def decode(
        self,
        frame: bytes,
        *,
        transfer_syntax: str,
        rows: int,
        columns: int,
        bits_allocated: int,
        bits_stored: int,
        signed: bool,
        what: str = "the image",
        limits: Limits = DEFAULT_LIMITS,
    ) -> NDArray:
        """One compressed frame as integers, (rows, columns).

        Raises:
            UnreadableInput: damaged data, another size than declared, a crash or a limit.
        """
        refusal = UnreadableInput(
            f"the compressed pixels of {what} cannot be decoded; they are damaged or truncated: "
            "export the series again, if possible uncompressed"
        )
        size = {"rows": rows, "columns": columns, "bits_allocated": bits_allocated}
        if len(frame) < least_frame_bytes(transfer_syntax, **size):
            raise refusal
        if not declares_size(frame, transfer_syntax, **size):
            raise refusal
        request = {
            "transfer_syntax": transfer_syntax,
            "rows": rows,
            "columns": columns,
            "bits_allocated": bits_allocated,
            "bits_stored": bits_stored,
            "pixel_representation": int(signed),
            "processor_seconds": limits.decoding_seconds,
        }
        with self._lock:
            answer = self._ask(request, frame, limits)
        if answer is None:
            raise refusal
        dtype, body = answer
        if len(body) != rows * columns * dtype.itemsize:
            raise refusal
        return np.frombuffer(body, dtype).reshape(rows, columns)

    def _ask(
        self, request: dict[str, object], frame: bytes, limits: Limits
    ) -> tuple[np.dtype, bytes] | None:
        process = self._running(limits.decoding_memory_bytes)
        clock_limit_s = CLOCK_OVER_PROCESSOR * limits.decoding_seconds
        watchdog = threading.Timer(clock_limit_s, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            write_message(cast(BinaryIO, process.stdin), request, frame)
            head, body = read_message(cast(BinaryIO, process.stdout))
            return (np.dtype(head["dtype"]), body) if head.get("ok") else None
        except (OSError, EOFError, ValueError, TypeError, KeyError):
            self._stop()
            return None
        except BaseException:  # interrupted in the middle of a message
            self._stop()
            raise
        finally:
            watchdog.cancel()

    def _running(self, memory_bytes: int) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # a fork must not share its parent's pipes
            self._process = None
        is_alive = self._process is not None and self._process.poll() is None
        if self._process is None or not is_alive or self._memory_bytes != memory_bytes:
            self._stop()
            self._process = _start_worker(memory_bytes)
            self._memory_bytes = memory_bytes
            self._owner = os.getpid()
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                cast(BinaryIO, pipe).close()
            except OSError:
                continue

    def close(self) -> None:
        """End the worker; the next frame starts another."""
        with self._lock:
            self._stop()


def _start_worker(memory_bytes: int) -> subprocess.Popen[bytes]:
    package_root = str(Path(version.__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "isocenter.dicom.decoding.worker", str(memory_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | threads | {"PYTHONPATH": search_path},
    )


def least_frame_bytes(transfer_syntax: str, *, rows: int, columns: int, bits_allocated: int) -> int:
    """Fewer bytes no frame of this size can have, where a syntax has such a bound; else 0."""
    if transfer_syntax == _RLE:
        num_bytes = rows * columns * (bits_allocated // 8)
        return _RLE_HEADER_BYTES + num_bytes // _RLE_MOST_GROWTH
    if transfer_syntax in _HUFFMAN_PREDICTED:  # one bit a pixel
        return rows * columns // 8
    return 0


def declares_size(
    frame: bytes, transfer_syntax: str, *, rows: int, columns: int, bits_allocated: int
) -> bool:
    """Whether a codestream says that it is one plane of this size; no decoder shall allocate more.

    RLE has no size of its own, but one segment for each byte of a pixel; the decoded length is
    bounded by the decoder.
    """
    if transfer_syntax == _RLE:
        return int.from_bytes(frame[:4], "little") == bits_allocated // 8
    if frame[:2] == b"\xff\xd8":
        return _jpeg_size(frame) == (rows, columns, 1)
    return _jpeg2000_size(frame) == (rows, columns, 1)


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of the first start-of-frame segment of JPEG or JPEG-LS."""
    place = 2
    while place + 10 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        is_frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if is_frame or marker == 0xF7:
            rows = int.from_bytes(frame[place + 5 : place + 7], "big")
            return rows, int.from_bytes(frame[place + 7 : place + 9], "big"), frame[place + 9]
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return None


def _jpeg2000_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of the SIZ segment, in a bare codestream or inside JP2 boxes."""
    start = frame[: 2**16].find(b"\xff\x4f\xff\x51")
    if start < 0 or len(frame) < start + 42:
        return None
    words = [int.from_bytes(frame[i : i + 4], "big") for i in range(start + 8, start + 24, 4)]
    components = int.from_bytes(frame[start + 40 : start + 42], "big")
    return words[1] - words[3], words[0] - words[2], components


frame_decoder = FrameDecoder()
"""Shared by all series of a process."""
atexit.register(frame_decoder.close)
