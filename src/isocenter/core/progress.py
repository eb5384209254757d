"""How long work tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """Told in words what happens, a line at a time; work whose pieces differ has no one count."""

    def __call__(self, line: str, /) -> None: ...


def say_nothing(line: str, /) -> None:
    """Tells nobody."""


class Progress(Protocol):
    """Called with (0, total) before the first piece of work and after every piece."""

    def __call__(self, done: int, total: int, /) -> None: ...


def silent(done: int, total: int, /) -> None:
    """The progress that tells nobody."""
