"""An archive by DICOMweb: store, read back, count. Bounded in time and size, whatever it does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Literal

import httpx

from isocenter.core.errors import UnreadableInput
from isocenter.core.multipart import BodyRefused, MultipartParser, boundary_of
from isocenter.dicom.reading.instance_facts import instance_facts
from isocenter.gateway.configuration.configuration import MEBIBYTE, Archive
from isocenter.gateway.deliver.answers import Answer, of_stow

Seen = Literal["same", "other", "absent", "unknown"]
"""What an archive has under a UID: our pixels, others, nothing; or it did not tell."""

_MOST_ANSWER = 16 * MEBIBYTE
_DEADLINE_OVER_SILENCE = 4.0
_PIECE = 2**16


@dataclass(frozen=True, kw_only=True)
class Sendable:
    """One result.

    Attributes:
        file: in the spool.
        sop_class_uid, sop_uid, series_uid, study_uid: of it.
        transfer_syntax, pixel_digest, num_bytes: of it.
    """

    file: Path
    sop_class_uid: str
    sop_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax: str
    pixel_digest: str
    num_bytes: int


class _TooLong(Exception):
    """An answer that goes on beyond its limits."""


class WebArchive:
    """Speaks to one archive; for one thread."""

    def __init__(self, archive: Archive) -> None:
        """Prepare; nothing is sent.

        Raises:
            SettingRefused: a secret is not set.
        """
        secret = archive.secret()
        headers = {"Authorization": f"Bearer {secret}"} if archive.token_env else {}
        is_plain = archive.url.startswith("http://")
        verify: str | bool = str(archive.authorities) if archive.authorities else not is_plain
        self._root = archive.url.rstrip("/")
        self._silence_s = archive.timeout_s
        self._client = httpx.Client(
            auth=(archive.user, secret) if archive.user else None,
            headers=headers,
            timeout=httpx.Timeout(archive.timeout_s),
            follow_redirects=False,
            verify=verify,
            trust_env=False,
        )

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    def send(self, results: Sequence[Sendable]) -> dict[str, Answer]:
        """Store results in one request; says what the archive answered of each."""
        boundary = token_hex(24)
        uids = [each.sop_uid for each in results]
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            "Content-Length": str(_body_length(results, boundary)),
        }
        try:
            with self._answer("POST", "/studies", headers, content=_body(results, boundary)) as (
                response,
                pieces,
            ):
                body: bytes | None = None
                try:
                    body = b"".join(pieces)
                except (httpx.HTTPError, _TooLong):
                    body = None
                return of_stow(response.status_code, body, uids)
        except (httpx.HTTPError, _TooLong, OSError) as error:
            said = Answer(kind="transient", message=_in_words(error))
            return dict.fromkeys(uids, said)

    def look(self, result: Sendable, target: Path) -> Seen:
        """What the archive has under the UID of a result.

        Args:
            target: a file to write to, removed by whoever calls.
        """
        seen = self._look(result, target, result.transfer_syntax)
        return seen or self._look(result, target, "*") or "unknown"

    def _look(self, result: Sendable, target: Path, syntax: str) -> Seen | None:
        """None where the archive does not give this transfer syntax."""
        path = f"/studies/{result.study_uid}/series/{result.series_uid}/instances/{result.sop_uid}"
        kind = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
        most = 4 * result.num_bytes + MEBIBYTE
        try:
            with self._answer("GET", path, {"Accept": kind}, most=most) as (response, pieces):
                if response.status_code in (404, 410):
                    return "absent"
                if response.status_code == 406 and syntax != "*":
                    return None
                if response.status_code not in (200, 206):
                    return "unknown"
                if not _first_part(response, pieces, target):
                    return "unknown"
        except (httpx.HTTPError, _TooLong, BodyRefused, OSError):
            return "unknown"
        return _compared(result, target)

    def count(self, study_uid: str) -> int | None:
        """How many instances of a study the archive has; None where it does not say."""
        path = f"/studies?StudyInstanceUID={study_uid}&includefield=00201208"
        try:
            with self._answer("GET", path, {"Accept": "application/dicom+json"}) as (
                response,
                pieces,
            ):
                if response.status_code == 204:
                    return 0
                if response.status_code != 200:
                    return None
                return _count_in(b"".join(pieces))
        except (httpx.HTTPError, _TooLong, OSError):
            return None

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        content: Iterator[bytes] | None = None,
        most: int = _MOST_ANSWER,
    ) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
        """An answer, and its body as it comes, within limits of time and size."""
        ends_at = time.monotonic() + _DEADLINE_OVER_SILENCE * self._silence_s
        with self._client.stream(
            method, self._root + path, headers=headers, content=content
        ) as response:
            yield response, _bounded(response, ends_at, most)


def _bounded(response: httpx.Response, ends_at: float, most: int) -> Iterator[bytes]:
    for piece in response.iter_bytes(_PIECE):
        most -= len(piece)
        if most < 0 or time.monotonic() > ends_at:
            raise _TooLong
        yield piece


def _head(boundary: str) -> bytes:
    return f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()


def _body(results: Sequence[Sendable], boundary: str) -> Iterator[bytes]:
    for each in results:
        yield _head(boundary)
        with each.file.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _body_length(results: Sequence[Sendable], boundary: str) -> int:
    of_parts = sum(len(_head(boundary)) + each.file.stat().st_size + 2 for each in results)
    return of_parts + len(boundary) + 6


class _ToFile:
    """Writes the first part to a file, and counts the others."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.num_whole = 0

    def write(self, piece: bytes) -> None:
        if not self.num_whole:
            self._file.write(piece)

    def end(self) -> None:
        self.num_whole += 1


def _first_part(response: httpx.Response, pieces: Iterator[bytes], target: Path) -> bool:
    """Write the object of an answer to a file; whether it came whole."""
    content_type = response.headers.get("content-type", "")
    with target.open("wb") as file:
        if content_type.split(";")[0].strip().lower() == "application/dicom":
            for piece in pieces:
                file.write(piece)
            return True
        sink = _ToFile(file)
        parser = MultipartParser(boundary_of(content_type), lambda _: sink, most_parts=16)
        for piece in pieces:
            parser.feed(piece)
        return sink.num_whole > 0


def _compared(result: Sendable, target: Path) -> Seen:
    try:
        facts = instance_facts(target)
    except UnreadableInput:
        return "unknown"
    if facts.sop_uid != result.sop_uid:
        return "unknown"
    return "same" if facts.pixel_digest == result.pixel_digest else "other"


def _count_in(body: bytes) -> int | None:
    """Number of Study Related Instances out of a QIDO-RS answer."""
    try:
        found = json.loads(body)
        if found == []:
            return 0
        return int(found[0]["00201208"]["Value"][0])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None


def _in_words(error: Exception) -> str:
    """Why there was no answer; the text of the error may hold the address with its user."""
    if isinstance(error, httpx.TimeoutException | _TooLong):
        return "it did not answer in time"
    if isinstance(error, httpx.ConnectError):
        return "it cannot be reached"
    return "the connection broke"
