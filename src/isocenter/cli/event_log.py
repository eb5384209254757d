"""The log of ``--log FILE``: lines of JSON that name no patient, scan or place.

A line holds when, what, a code out of :mod:`isocenter.core.reasons`, counts and seconds, never
text that came from a scan, from its path or from a message. Each is appended by one write, so
several commands may share a file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isocenter.core.errors import OutputRefused

LEVELS = {"done": "info", "refused": "warning", "stopped": "warning", "failed": "error"}


class EventLog:
    """Appends one line an event; without a file it keeps nothing.

    Args:
        path: a new file, which nobody else may read, or one to go on with.
        run: tells the lines of one command from those of others.

    Raises:
        OutputRefused: the file cannot be opened.
    """

    def __init__(self, path: Path | None, *, run: str) -> None:
        self._run = run
        self._is_broken = False
        self._file = None if path is None else _opened(path)

    def write(self, event: str, *, level: str = "info", **facts: Any) -> None:
        """Append a line; a log that can no longer be written never stops the work."""
        if self._file is None or self._is_broken:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        known = {name: value for name, value in facts.items() if value is not None}
        line = {"time": now, "level": level, "event": event, "run": self._run} | known
        text = json.dumps(line, allow_nan=False) + "\n"
        try:
            os.write(self._file, text.encode("ascii"))
        except OSError:
            self._is_broken = True

    @property
    def is_broken(self) -> bool:
        """Whether a line could not be written."""
        return self._is_broken

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            with suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)
            self._file = None


def _opened(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a name of a file"
        raise OutputRefused(
            f"the log cannot be opened: {reason}; name a file in a folder that is there and that "
            "you may write to",
            reason="log_not_writable",
        ) from None
    _end_broken_line(file)
    return file


def _end_broken_line(file: int) -> None:
    """Begin on a line of our own where a killed process or a full disk left part of one."""
    with suppress(OSError):  # a pipe or a terminal has no end to look at
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
