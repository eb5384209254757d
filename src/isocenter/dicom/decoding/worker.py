"""A small process that decodes compressed frames, so that a codec's crash harms nobody else.

Codecs are C libraries and their input may be hostile. Requests and answers are length-prefixed
JSON and bytes on standard input and output; nothing that the worker says is ever executed.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
from typing import Any, BinaryIO

PLUGINS = {
    "1.2.840.10008.1.2.4.50": "gdcm",
    "1.2.840.10008.1.2.4.51": "gdcm",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
    "1.2.840.10008.1.2.5": "pylibjpeg",
}
"""The one decoder used for each transfer syntax: the strict one, where there is a choice."""


def write_message(stream: BinaryIO, head: dict[str, Any], body: bytes = b"") -> None:
    """Send a JSON head and a body."""
    encoded = json.dumps(head).encode()
    stream.write(struct.pack("<QQ", len(encoded), len(body)) + encoded)
    stream.write(body)
    stream.flush()


def read_message(stream: BinaryIO, *, max_bytes: int = 2**31) -> tuple[dict[str, Any], bytes]:
    """Receive what :func:`write_message` sent.

    Raises:
        EOFError: the other side is gone or talks nonsense.
    """
    lengths = _read_exactly(stream, 16)
    head_bytes, body_bytes = struct.unpack("<QQ", lengths)
    if head_bytes > 2**16 or body_bytes > max_bytes:
        raise EOFError
    return json.loads(_read_exactly(stream, head_bytes)), _read_exactly(stream, body_bytes)


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def decode(request: dict[str, Any], frame: bytes) -> tuple[dict[str, Any], bytes]:
    """One frame to little-endian words of the size that the answer's head tells."""
    import numpy as np
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    syntax = request.pop("transfer_syntax")
    options: dict[str, Any] = request | {
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_keyword": "PixelData",
    }
    array, _ = get_decoder(syntax).as_array(
        encapsulate([frame]), index=0, raw=True, decoding_plugin=PLUGINS[syntax], **options
    )
    if array.shape != (request["rows"], request["columns"]) or array.dtype.kind not in "iu":
        raise ValueError("decoded to another shape")
    dtype = np.dtype(f"<{array.dtype.kind}{array.dtype.itemsize}")
    return {"ok": True, "dtype": dtype.str}, array.astype(dtype, copy=False).tobytes()


def limit_memory(memory_bytes: int) -> None:
    """No more address space than this, and no core files.

    Only on systems that have ``resource`` (not on Windows). Elsewhere the checks of size before a
    frame is decoded and the parent's clock remain.
    """
    _set_limits({"RLIMIT_AS": memory_bytes, "RLIMIT_CORE": 0})


def limit_processor(seconds: float) -> None:
    """End this process once it has used so much processor time from now on."""
    _set_limits({"RLIMIT_CPU": math.ceil(time.process_time() + seconds)})


def _set_limits(values: dict[str, int]) -> None:
    try:
        import resource
    except ImportError:
        return
    for name, value in values.items():
        limit = getattr(resource, name)
        _, hard = resource.getrlimit(limit)
        if hard == resource.RLIM_INFINITY or hard >= value:
            try:
                resource.setrlimit(limit, (value, hard))
            except (OSError, ValueError):
                continue


def main() -> None:
    """Answer requests until standard input closes."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # codecs print
    limit_memory(int(sys.argv[1]))
    while True:
        try:
            request, frame = read_message(sys.stdin.buffer)
        except EOFError:
            return
        limit_processor(request.pop("processor_seconds"))
        try:
            head, body = decode(request, frame)
        except Exception:
            head, body = {"ok": False}, b""
        write_message(answers, head, body)


if __name__ == "__main__":
    main()
