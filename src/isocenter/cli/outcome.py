"""How a command ended, and the exit code that says so."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from isocenter.cli.answer import Answer
from isocenter.core.errors import IsocenterError
from isocenter.core.files import disk_error, refusal_in_words
from isocenter.core.reasons import reason_of

DONE, UNEXPECTED, REFUSED = 0, 1, 2
BY_SIGNAL = 128  # and the number of the signal, as shells do
EXIT_CODES = {
    DONE: "done",
    UNEXPECTED: "failed",
    REFUSED: "refused",
    BY_SIGNAL + signal.SIGHUP: "stopped",
    BY_SIGNAL + signal.SIGINT: "stopped",
    BY_SIGNAL + signal.SIGTERM: "stopped",
}
_SIGNALS = {
    BY_SIGNAL + signal.SIGHUP: "hung_up",
    BY_SIGNAL + signal.SIGINT: "interrupted",
    BY_SIGNAL + signal.SIGTERM: "terminated",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a command.

    Attributes:
        exit_code: one of :data:`EXIT_CODES`.
        reason: one of :mod:`isocenter.core.reasons`, or a rule of a task of one's own.
        message: for people, "" where all was done.
        answer: of a command that was done, None for ``--help`` and the like.
        error: kind and place of what was not expected; no word of it.
        shown: whether the message was printed already, or need not be.
    """

    exit_code: int
    reason: str
    message: str = ""
    answer: Answer | None = None
    error: str = ""
    shown: bool = False

    @property
    def name(self) -> str:
        """ "done", "refused", "failed" or "stopped"."""
        return EXIT_CODES.get(self.exit_code, "failed")


def done(answer: Answer | None) -> Outcome:
    """The end of a command that did what it was asked."""
    return Outcome(exit_code=DONE, reason=answer.reason if answer else "done", answer=answer)


def outcome_of(
    error: BaseException, *, show_usage: Callable[[click.ClickException], None]
) -> Outcome:
    """The end that an error means.

    Args:
        show_usage: prints what is wrong with a command line, in the manner of the other help.
    """
    if isinstance(error, click.ClickException):
        show_usage(error)
        message = error.format_message()
        return Outcome(exit_code=REFUSED, reason="usage", message=message, shown=True)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return stopped(BY_SIGNAL + signal.SIGINT)
    if isinstance(error, SystemExit):
        return stopped(error.code if isinstance(error.code, int) else UNEXPECTED)
    if isinstance(error, IsocenterError):
        words = ": ".join([*getattr(error, "__notes__", ()), str(error)])
        return Outcome(exit_code=REFUSED, reason=error.reason, message=words)
    return _failed(error)


def stopped(exit_code: int) -> Outcome:
    """The end by a signal, or by code of others that leaves the program."""
    if exit_code in _SIGNALS:
        # Who pressed Ctrl-C is there to read it; who sent another signal is not.
        is_read = exit_code == BY_SIGNAL + signal.SIGINT
        return Outcome(
            exit_code=exit_code,
            reason=_SIGNALS[exit_code],
            message="Stopped.",
            shown=not is_read,
        )
    return Outcome(exit_code=UNEXPECTED if exit_code else DONE, reason="unexpected")


def _failed(error: BaseException) -> Outcome:
    reason = reason_of(error)
    # A library's own message may quote a header, so only the kind and the place are shown.
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    if (cause := disk_error(error)) is not None and cause.errno:
        reason = reason_of(cause)
        message = f"The system refused: {refusal_in_words(cause)}."
    elif reason == "out_of_memory":
        message = "Memory did not suffice; close other programs, or give fewer slices at a time."
    else:
        message = (
            f"Unexpected {kind}. "
            "Run 'isocenter --debug ...' for the traceback, which may quote the scan's headers."
        )
    return Outcome(exit_code=UNEXPECTED, reason=reason, message=message, error=kind)
