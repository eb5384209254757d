"""One odd input: how it is made, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Expect(StrEnum):
    """What `isocenter enhance` must do.

    REFUSED: refuse in words. ACCEPTED: enhance every slice. NOTED: enhance, and say in a note what
    was left out or assumed. EITHER: refuse in words, or enhance without losing a slice unsaid.
    """

    REFUSED = "refused"
    ACCEPTED = "accepted"
    NOTED = "noted"
    EITHER = "either"


Build = Callable[[Path], "Path | str"]
"""Fills an empty folder and returns what is given to the command, the folder or something in it."""


@dataclass(frozen=True, kw_only=True)
class OddInput:
    """One odd input.

    Attributes:
        kind: of the table.
        name: unique within its kind.
        build: makes it.
        expect: what must come of it.
        slices: how many the result has where it is accepted; None where that is not counted.
        arguments: more of the command line.
        output: name of the result beside which nothing may be left.
        commands: which commands it is given to.
        seconds, memory_gb: more than this is not handled.
    """

    kind: str
    name: str
    build: Build
    expect: Expect
    slices: int | None = None
    arguments: tuple[str, ...] = ()
    output: str = "result"
    commands: tuple[str, ...] = ("series", "enhance")
    seconds: float = 20.0
    memory_gb: float = 1.5
