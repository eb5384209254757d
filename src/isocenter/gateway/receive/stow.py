"""STOW-RS into the intake: bounded bodies, and an answer for each part."""

from __future__ import annotations

import asyncio
import hmac
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, BinaryIO

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from isocenter.core.errors import SettingRefused
from isocenter.core.multipart import (
    BodyRefused,
    MultipartParser,
    boundary_of,
    parameters_of,
)
from isocenter.gateway.configuration.configuration import MEBIBYTE, WebKeys, secret_of
from isocenter.gateway.receive.intake import Intake, NotTaken, Taken

_FAILURE = {"out_of_resources": 0xA700, "does_not_match": 0xA900, "not_understood": 0xC000}
DICOM_JSON = "application/dicom+json"


class _Part:
    """One part on its way into the spool; what goes wrong with it is kept for the answer."""

    def __init__(self, request: _Request, content_type: str) -> None:
        self._request = request
        self._left = request.keys.largest_instance_mib * MEBIBYTE
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        media_type, _ = parameters_of(content_type)
        if media_type not in ("application/dicom", ""):
            self._fail(NotTaken("a part is not application/dicom", "not_understood"))
            return
        try:
            self._path = self._stack.enter_context(request.intake.part())
            self._file = self._stack.enter_context(self._path.open("wb"))
        except NotTaken as error:
            self._fail(error)
        except OSError:
            self._fail(NotTaken("the gateway cannot write to its disk", "out_of_resources"))

    def write(self, piece: bytes) -> None:
        if self._file is None:
            return
        self._left -= len(piece)
        if self._left < 0:
            self._fail(NotTaken("a part is too large", "not_understood"))
            return
        try:
            self._file.write(piece)
        except OSError:
            self._fail(NotTaken("the gateway cannot write to its disk", "out_of_resources"))

    def end(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
            self._request.took(
                self._request.intake.take(
                    self._path, source=self._request.source, study_uid=self._request.study_uid
                )
            )
        except NotTaken as error:
            self._fail(error)
        except OSError:
            self._fail(NotTaken("the gateway cannot write to its disk", "out_of_resources"))
        finally:
            self.close()

    def _fail(self, error: NotTaken) -> None:
        self._request.failed(error)
        self.close()

    def close(self) -> None:
        """Remove what was not taken."""
        self._file = None
        with ExitStack() as stack:
            stack.push(self._stack.pop_all())


class _Request:
    """What became of the parts of one request so far."""

    def __init__(self, keys: WebKeys, intake: Intake, *, source: str, study_uid: str) -> None:
        self.keys = keys
        self.intake = intake
        self.source = source
        self.study_uid = study_uid
        self.stored: list[Taken] = []
        self.refused: list[NotTaken] = []
        self._open: _Part | None = None

    def start(self, content_type: str) -> _Part:
        self._open = _Part(self, content_type)
        return self._open

    def took(self, taken: Taken) -> None:
        self.stored.append(taken)

    def failed(self, error: NotTaken) -> None:
        self.refused.append(error)

    def close(self) -> None:
        """Forget a part that never ended."""
        if self._open is not None:
            self._open.close()

    @property
    def status(self) -> int:
        if not self.refused:
            return 200 if self.stored else 400
        if self.stored:
            return 202
        waiting = all(each.refusal == "out_of_resources" for each in self.refused)
        return 503 if waiting else 409

    def document(self) -> dict[str, Any]:
        """Store Instances Response, PS3.18 Annex I."""
        stored = [_reference(each.facts.sop_class_uid, each.facts.sop_uid) for each in self.stored]
        failed = [
            _reference(each.facts.sop_class_uid, each.facts.sop_uid) | _reason(each)
            for each in self.refused
            if each.facts is not None
        ]
        others = [_reason(each) for each in self.refused if each.facts is None]
        named = {"00081199": stored, "00081198": failed, "0008119A": others}
        return {tag: {"vr": "SQ", "Value": items} for tag, items in named.items() if items}


def _reference(sop_class_uid: str, sop_uid: str) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [sop_uid]},
    }


def _reason(error: NotTaken) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [_FAILURE[error.refusal]]}}


def stow_application(keys: WebKeys, intake: Intake, *, token: str = "") -> Any:
    """The web application: POST /studies and /studies/{study}.

    Args:
        token: that callers must send; empty asks for none.
    """
    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, title="Isocenter")

    async def store(request: Request, study: str = "") -> Response:
        if token and not _is_allowed(request.headers.get("authorization", ""), token):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        try:
            boundary = boundary_of(request.headers.get("content-type", ""))
        except BodyRefused as error:
            return JSONResponse({"message": str(error)}, status_code=415)
        if _declared(request.headers.get("content-length")) > keys.largest_body_mib * MEBIBYTE:
            return JSONResponse({"message": "the body is too large"}, status_code=413)
        caller = request.client.host if request.client else "unknown"
        took = _Request(keys, intake, source=f"STOW-RS {caller}", study_uid=study)
        return await _answer(request, took, boundary)

    application.post("/studies", response_model=None)(store)
    application.post("/studies/{study}", response_model=None)(store)
    return application


async def _answer(request: Request, took: _Request, boundary: str) -> Response:
    """Take the body, and say what became of each part, also where the body broke off."""
    status = 0
    try:
        await _read(request.receive, took, boundary)
    except BodyRefused:
        status = 400
    except _TooLarge:
        status = 413
    except (TimeoutError, ConnectionError):
        status = 408
    finally:
        took.close()
    return JSONResponse(
        took.document(),
        status_code=status or took.status,
        media_type=DICOM_JSON,
        headers={"Retry-After": "60"} if took.status == 503 else None,
    )


class _TooLarge(Exception):
    """A body that went on beyond its limit."""


async def _read(receive: Callable[[], Awaitable[Any]], took: _Request, boundary: str) -> None:
    """Feed the body to the parser as it arrives; files are written in a thread."""
    parser = MultipartParser(boundary, took.start, most_parts=took.keys.most_parts)
    left = took.keys.largest_body_mib * MEBIBYTE
    more = True
    while more:
        message = await asyncio.wait_for(receive(), took.keys.slowest_s)
        if message["type"] == "http.disconnect":
            raise ConnectionError
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        left -= len(piece)
        if left < 0:
            raise _TooLarge
        await asyncio.to_thread(parser.feed, piece)
    if not parser.is_whole:
        raise BodyRefused("the body ends before its last boundary")


def _is_allowed(authorization: str, token: str) -> bool:
    kind, _, given = authorization.partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())


def _declared(length: str | None) -> int:
    return int(length) if length is not None and length.isdecimal() else 0


_BACKLOG = 128


class WebServer(AbstractContextManager["WebServer"]):
    """Serves an application in a thread until it is closed.

    Attributes:
        port: where it listens.
    """

    def __init__(self, application: Any, *, host: str, port: int) -> None:
        """Start to listen.

        Raises:
            SettingRefused: the address cannot be listened at.
        """
        import uvicorn

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(_BACKLOG)  # who comes before the server has started waits
        except OSError as error:
            self._socket.close()
            raise SettingRefused(
                f"web.host and web.port cannot be listened at ({error.strerror}); is another "
                "program there?"
            ) from error
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_keep_alive=5,
                timeout_graceful_shutdown=5,
                limit_concurrency=64,
                server_header=False,
                ws="none",
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="STOW-RS receiver", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop to listen; requests that go on get some seconds to end."""
        self._server.should_exit = True
        self._thread.join(10.0)
        self._socket.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def start_web(keys: WebKeys, intake: Intake) -> WebServer:
    """Listen for STOW-RS.

    Raises:
        SettingRefused: the address cannot be listened at, or the token is not set.
    """
    application = stow_application(keys, intake, token=secret_of(keys.token_env))
    return WebServer(application, host=keys.host, port=keys.port)
