"""One call of the program: what it was asked to tell beside its work, and how it ends.

With ``--json`` standard output gets one document, however the command ends; whatever else would
be printed there, by us or by a library, goes to standard error.
"""

from __future__ import annotations

import io
import json
import math
import os
import secrets
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from isocenter.cli.answer import Answer
from isocenter.cli.event_log import LEVELS, EventLog
from isocenter.cli.outcome import UNEXPECTED, Outcome, done, outcome_of, stopped
from isocenter.cli.output import complain
from isocenter.core.version import __version__

SCHEMA_VERSION = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Stopwatch:
    """Seconds since the program was called, and of the steps of its work.

    "prepare" ends when the number of slices is known, "work" when the last is done.
    """

    began: float = field(default_factory=time.monotonic)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    marks: dict[str, float] = field(default_factory=dict)

    def tell(self, done: int, total: int) -> bool:
        """Take how far the work is; True where that ends a step."""
        step = "prepare" if not self.marks else "work" if done >= total else ""
        if not step or step in self.marks:
            return False
        self.marks[step] = time.monotonic()
        return True

    def timings(self) -> dict[str, Any]:
        """When it began, seconds in all, and those of each step that was reached."""
        now = time.monotonic()
        last = "finish" if "work" in self.marks else "work"
        ends = [*self.marks.items(), (last, now)] if self.marks else []
        begins = [self.began, *(end for _, end in ends)]
        steps = {
            name: round(end - begin, 3) for (name, end), begin in zip(ends, begins, strict=False)
        }
        started = self.began_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"started": started, "seconds": round(now - self.began, 3), "steps": steps}


class Session:
    """What one call of the program was asked to tell, and what it has to tell so far.

    Attributes:
        command: that was understood, None before.
        debug: whether tracebacks are shown.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        own = _before_rest(arguments)
        self.command: str | None = None
        self.debug = False
        # Of several processes that share a training, the first one tells.
        is_first = os.environ.get("RANK", "0") == "0"
        self._wants_json = is_first and any(each.partition("=")[0] == "--json" for each in own)
        self._log_path = _value_of("--log", own) if is_first else None
        self._run = secrets.token_hex(8)
        self._log = EventLog(None, run=self._run)
        self._watch = Stopwatch()
        self._num_slices: int | None = None

    def run(
        self,
        work: Callable[[], Any],
        *,
        show_usage: Callable[[click.ClickException], None],
    ) -> int:
        """Do the work and tell how it ended; the exit code.

        Args:
            work: gives an :class:`Answer`, or an exit code where there is none to give.
            show_usage: prints what is wrong with a command line.
        """
        with _stdout_aside(self._wants_json) as stdout:
            try:
                outcome = self._outcome(work, show_usage)
            except BaseException as late:  # a signal while the end is being told
                outcome = outcome_of(late, show_usage=show_usage)
            with _deaf():
                return self._end(outcome, stdout)

    def tell_progress(self, done: int, total: int) -> None:
        """Take how far the work is."""
        self._num_slices = total
        if self._watch.tell(done, total):
            event = "work_done" if "work" in self._watch.marks else "work_began"
            self._log.write(event, command=self.command, counts={"slices": total})

    def _outcome(
        self, work: Callable[[], Any], show_usage: Callable[[click.ClickException], None]
    ) -> Outcome:
        try:
            self._log = EventLog(self._log_path, run=self._run)
            self._log.write("started", isocenter_version=__version__)
            answer = work()
            if isinstance(answer, int):
                return stopped(answer) if answer else done(None)
            if answer is not None and not self._wants_json:
                answer.show()
            sys.stdout.flush()
            return done(answer)
        except BrokenPipeError as error:
            # Nobody reads on, so nothing is said; nor is it when the program flushes at its end.
            with open(os.devnull, "wb") as nowhere, suppress(OSError, ValueError):
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            return replace(outcome_of(error, show_usage=show_usage), message="")
        except BaseException as error:
            if self.debug and not isinstance(error, click.ClickException | SystemExit):
                traceback.print_exc()
            return outcome_of(error, show_usage=show_usage)

    def _end(self, outcome: Outcome, stdout: TextIO) -> int:
        if outcome.message and not outcome.shown:
            complain(outcome.message)
        timings = self._watch.timings()
        self._log_end(outcome, timings)
        if self._wants_json:
            document = self._document(outcome, timings)
            if not _written(json.dumps(_plain(document), indent=2, allow_nan=False), stdout):
                return UNEXPECTED
        return outcome.exit_code

    def _log_end(self, outcome: Outcome, timings: Mapping[str, Any]) -> None:
        answer = outcome.answer
        self._log.write(
            "ended",
            level=LEVELS[outcome.name],
            command=self.command,
            outcome=outcome.name,
            reason=outcome.reason,
            exit_code=outcome.exit_code,
            counts=self._counts(answer),
            num_notes=len(answer.notes) if answer else 0,
            num_warnings=len(answer.warnings) if answer else 0,
            seconds=timings["seconds"],
            steps=timings["steps"],
            error=outcome.error or None,
        )
        if self._log.is_broken:
            complain("The log could not be written to its end; the disk may be full.")
        self._log.close()

    def _counts(self, answer: Answer | None) -> dict[str, Mapping[str, int]]:
        """What was read and made; of work that came to no end, what it had begun with."""
        if answer is None:
            begun = {} if self._num_slices is None else {"slices": self._num_slices}
            return {"in": begun, "out": {}}
        return {"in": answer.counts_in, "out": answer.counts_out}

    def _document(self, outcome: Outcome, timings: Mapping[str, Any]) -> dict[str, Any]:
        answer = outcome.answer
        return {
            "schema_version": SCHEMA_VERSION,
            "isocenter_version": __version__,
            "run": self._run,
            "command": self.command,
            "outcome": outcome.name,
            "reason": outcome.reason,
            "exit_code": outcome.exit_code,
            "message": outcome.message,
            "notes": list(answer.notes) if answer else [],
            "warnings": list(answer.warnings) if answer else [],
            "counts": self._counts(answer),
            "made": list(answer.made) if answer else [],
            "timings": timings,
            "result": answer.result if answer else None,
        }


def _before_rest(arguments: Sequence[str]) -> list[str]:
    """The arguments up to a lone "--", behind which nothing is an option."""
    own = list(arguments)
    return own[: own.index("--")] if "--" in own else own


def _value_of(option: str, arguments: Sequence[str]) -> Path | None:
    """The last value of an option, read before the command line is understood."""
    found = None
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            found = argument.partition("=")[2]
        elif argument == option and index + 1 < len(arguments):
            found = arguments[index + 1]
    return Path(found).expanduser() if found else None


def _plain(value: Any) -> Any:
    """What JSON can hold: paths as text, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return str(value)


def _written(text: str, stdout: TextIO) -> bool:
    try:
        stdout.write(text + "\n")
        stdout.flush()
    except OSError as error:
        with suppress(OSError):
            complain(f"standard output cannot be written: {error.strerror}")
        return False
    return True


@contextmanager
def _stdout_aside(wanted: bool) -> Iterator[TextIO]:
    """While it is open all that is printed goes to standard error; gives the true output."""
    if not wanted:
        yield sys.stdout
        return
    kept = _duplicate_of_stdout()
    stdout = sys.stdout if kept is None else os.fdopen(kept, "w", encoding="ascii")
    try:
        with redirect_stdout(sys.stderr):
            yield stdout
    finally:
        if kept is not None:
            with suppress(OSError):
                os.dup2(stdout.fileno(), 1)
            with suppress(OSError):  # a pipe that nobody reads
                stdout.close()


def _duplicate_of_stdout() -> int | None:
    """A descriptor of standard output, which itself now leads to standard error.

    None where output is no descriptor of the process, as within a test.
    """
    try:
        if sys.stdout.fileno() != 1:
            return None
        sys.stdout.flush()
        kept = os.dup(1)
    except (OSError, ValueError, AttributeError, io.UnsupportedOperation):
        return None
    try:
        os.dup2(2, 1)
    except OSError:  # standard error is closed
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
    return kept


@contextmanager
def _deaf() -> Iterator[None]:
    """No signal stops the last words."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
