"""Parts of a multipart/related body of unknown origin, without holding any in memory.

The parser is fed pieces as they arrive and calls a sink; what it keeps is bounded by the length of
a boundary and of the heads of one part.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from isocenter.core.errors import InputRefused

MOST_HEAD_BYTES = 8192
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(r';\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_LINE = b"\r\n"


class BodyRefused(InputRefused):
    """A body that is no multipart body, or is beyond a limit."""


class Sink(Protocol):
    """Takes one part."""

    def write(self, piece: bytes, /) -> object:
        """Take some bytes."""
        ...

    def end(self) -> None:
        """The part is whole."""
        ...


def parameters_of(content_type: str) -> tuple[str, dict[str, str]]:
    """Media type in small letters, and its parameters."""
    media_type, _, rest = content_type.partition(";")
    found = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
        for name, quoted, plain in _PARAMETER.findall(";" + rest)
    }
    return media_type.strip().lower(), found


def boundary_of(content_type: str) -> str:
    """The boundary of multipart/related of application/dicom.

    Raises:
        BodyRefused: it is of another type, or its boundary is none.
    """
    media_type, parameters = parameters_of(content_type)
    kind = parameters.get("type", "application/dicom").lower()
    if media_type != "multipart/related" or kind != "application/dicom":
        raise BodyRefused('the body must be multipart/related; type="application/dicom"')
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise BodyRefused("the boundary is missing, or has characters that none may have")
    return boundary


class MultipartParser:
    """Feeds each part to a sink of its own.

    Attributes:
        is_whole: whether the closing boundary was seen.
    """

    def __init__(self, boundary: str, start: Callable[[str], Sink], *, most_parts: int) -> None:
        """Start a body.

        Args:
            boundary: without its dashes.
            start: gives a sink for a part of that content type.
            most_parts: more are refused.
        """
        self._mark = b"\r\n--" + boundary.encode("ascii")
        self._start = start
        self._left = most_parts
        self._kept = b"\r\n"  # the first boundary has no line before it
        self._sink: Sink | None = None
        self._step = self._preamble
        self.is_whole = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            BodyRefused: too many parts, or heads that are none.
        """
        self._kept += piece
        while self._step():
            pass

    def _preamble(self) -> bool:
        place = self._kept.find(self._mark)
        if place < 0:
            self._kept = self._kept[-len(self._mark) :]
            return False
        self._kept = self._kept[place + len(self._mark) :]
        self._step = self._after_mark
        return True

    def _after_mark(self) -> bool:
        if len(self._kept) < 2:
            return False
        if self._kept.startswith(b"--"):
            self.is_whole = True
            self._step = self._epilogue
            return True
        line, found, rest = self._kept.partition(_LINE)
        if not found:
            if len(self._kept) > MOST_HEAD_BYTES:
                raise BodyRefused("a boundary is followed by what may not follow it")
            return False
        if line.strip(b" \t"):
            raise BodyRefused("a boundary is followed by what may not follow it")
        self._kept = _LINE + rest  # a part may have no head at all
        self._step = self._head
        return True

    def _head(self) -> bool:
        head, found, rest = self._kept.partition(_LINE * 2)
        if not found or len(head) > MOST_HEAD_BYTES:
            if len(self._kept) > MOST_HEAD_BYTES:
                raise BodyRefused("the heads of a part are too long")
            return False
        self._left -= 1
        if self._left < 0:
            raise BodyRefused("the body has too many parts")
        self._sink = self._start(_content_type(head))
        self._kept = rest
        self._step = self._body
        return True

    def _body(self) -> bool:
        assert self._sink is not None
        place = self._kept.find(self._mark)
        if place < 0:
            sure = len(self._kept) - len(self._mark)
            if sure > 0:
                self._sink.write(self._kept[:sure])
                self._kept = self._kept[sure:]
            return False
        self._sink.write(self._kept[:place])
        self._sink.end()
        self._sink = None
        self._kept = self._kept[place + len(self._mark) :]
        self._step = self._after_mark
        return True

    def _epilogue(self) -> bool:
        self._kept = b""
        return False


def _content_type(head: bytes) -> str:
    for line in head.split(_LINE):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-type":
            return value.strip().decode("latin-1")
    return ""
