"""A process that forks one child for every job, under limits, and outlives none of its owners.

It is forked before the first thread of the gateway starts, holds nothing, and does nothing else:
what a job breaks is broken in the child. When the gateway ends, however it ends, the host sees the
end of its pipe, ends its children and itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

Work = Callable[[dict[str, Any]], dict[str, Any]]
_PIECE = 2**16
_MOST_ANSWER = 2**24
_LOOK_S = 0.02
_PARENT_DEATH_SIGNAL = 1  # of prctl


@dataclass(frozen=True, kw_only=True)
class WorkLimits:
    """What one job may cost.

    Attributes:
        memory_bytes: address space.
        seconds: by the clock.
    """

    memory_bytes: int
    seconds: float


@dataclass
class _Child:
    pid: int
    request: int
    pipe: int
    ends_at: float
    answer: bytes = b""
    was_late: bool = False


@dataclass
class _Lines:
    """Lines out of a pipe."""

    pipe: int
    kept: bytes = b""

    def read(self) -> list[bytes] | None:
        """Whole lines that have come; None at the end of the pipe."""
        piece = os.read(self.pipe, _PIECE)
        if not piece:
            return None
        *lines, self.kept = (self.kept + piece).split(b"\n")
        return lines


class HostEnded(RuntimeError):
    """The host is gone; nothing can be run any more."""


class Host:
    """Runs requests in children of a process of its own; threads may share it."""

    def __init__(self, work: Work, limits: WorkLimits, *, preload: Sequence[str] = ()) -> None:
        """Fork the host; call this before any thread is started.

        Args:
            work: what a child does with a request; both are of JSON's types.
            limits: of each child.
            preload: modules that the host imports, so that children need not.
        """
        theirs, ours = os.pipe()
        answers, their_answers = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ours)
            os.close(answers)
            _live(work, limits, preload, theirs, their_answers)
        os.close(theirs)
        os.close(their_answers)
        self._requests, self._answers = ours, answers
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._next = 0
        self._reader: threading.Thread | None = None
        self._is_closed = False

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run a request and wait for its answer.

        Returns:
            What the work gave; where the child ended without, ``{"outcome": "crashed", ...}``.

        Raises:
            HostEnded: the host is gone.
        """
        with self._lock:
            if self._is_closed:
                raise HostEnded("the process that runs jobs is closed")
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="host", daemon=True)
                self._reader.start()
            self._next += 1
            number = self._next
            future = self._waiting[number] = Future()
            line = json.dumps({"number": number, "request": dict(request)}).encode() + b"\n"
            try:
                _write_all(self._requests, line)
            except OSError:
                raise HostEnded("the process that runs jobs is gone") from None
        return future.result()

    def _read(self) -> None:
        lines = _Lines(self._answers)
        while True:
            try:
                found = lines.read()
            except OSError:
                found = None
            if found is None:
                break
            for line in found:
                answer = json.loads(line)
                with self._lock:
                    future = self._waiting.pop(answer["number"])
                future.set_result(answer["answer"])
        with self._lock:
            left, self._waiting = dict(self._waiting), {}
        for future in left.values():
            future.set_exception(HostEnded("the process that runs jobs is gone"))

    def close(self) -> None:
        """End the host and what it runs."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if was_closed:
            return
        os.close(self._requests)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        if self._reader is not None:
            self._reader.join(5.0)
        os.close(self._answers)


def _write_all(pipe: int, content: bytes) -> None:
    while content:
        content = content[os.write(pipe, content) :]


def _live(
    work: Work, limits: WorkLimits, preload: Sequence[str], requests: int, answers: int
) -> None:
    """The life of the host; never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for name in preload:
            with suppress(ImportError):
                import_module(name)
        _Serving(work, limits, _Lines(requests), answers).serve()
    finally:
        os._exit(0)


@dataclass
class _Serving:
    work: Work
    limits: WorkLimits
    requests: _Lines
    answers: int
    children: dict[int, _Child] = field(default_factory=dict)

    def serve(self) -> None:
        while True:
            pipes = [self.requests.pipe, *(each.pipe for each in self.children.values())]
            ready, _, _ = select.select(pipes, [], [], _LOOK_S if self.children else None)
            if self.requests.pipe in ready:
                lines = self.requests.read()
                if lines is None:
                    break
                for line in lines:
                    self._begin(json.loads(line))
            for child in list(self.children.values()):
                self._look_after(child, child.pipe in ready)
        for child in self.children.values():
            _end(child.pid)

    def _begin(self, message: dict[str, Any]) -> None:
        pipe, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_a_child(self.work, self.limits, message["request"], theirs)
        os.close(theirs)
        self.children[pid] = _Child(
            pid=pid,
            request=message["number"],
            pipe=pipe,
            ends_at=time.monotonic() + self.limits.seconds,
        )

    def _look_after(self, child: _Child, has_said: bool) -> None:
        if has_said and len(child.answer) <= _MOST_ANSWER:
            child.answer += os.read(child.pipe, _PIECE)
        if time.monotonic() > child.ends_at and not child.was_late:
            child.was_late = True
            _end(child.pid)
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            while piece := os.read(child.pipe, _PIECE):
                child.answer += piece
            os.close(child.pipe)
            del self.children[pid]
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what it may have left running
            answer = {"number": child.request, "answer": _answer(child, status, self.limits)}
            _write_all(self.answers, json.dumps(answer).encode() + b"\n")


def _answer(child: _Child, status: int, limits: WorkLimits) -> dict[str, Any]:
    if child.was_late:
        return _crashed("too_slow", f"it took longer than {limits.seconds:g} s and was ended")
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return _crashed("crashed", f"its process was ended by {name}")
    try:
        answer = json.loads(child.answer)
    except ValueError:
        return _crashed("crashed", "its process ended without an answer")
    return answer if isinstance(answer, dict) else _crashed("crashed", "it gave no answer")


def _crashed(reason: str, message: str) -> dict[str, Any]:
    return {"outcome": "crashed", "reason": reason, "message": message}


def _end(pid: int) -> None:
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def _be_a_child(work: Work, limits: WorkLimits, request: dict[str, Any], pipe: int) -> None:
    """The life of a child; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        _die_with_parent()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes,) * 2)
        _write_all(pipe, json.dumps(work(request)).encode())
        code = 0
    finally:
        os._exit(code)


def _die_with_parent() -> None:
    """End when the host ends, also where it is killed; Linux alone can do that."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
