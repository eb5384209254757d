"""Refuse a name that is not known, with the nearest one that is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from isocenter.core.errors import SettingRefused

_LONGEST_SHOWN = 60


def unknown_name(what: str, given: object, known: Iterable[str], *, of: str = "") -> SettingRefused:
    """What to raise for a name that is not among the known ones; it is not repeated.

    Args:
        what: such as "class" or "condition".
        given: as it arrived.
        known: every accepted name, in the order in which they are listed.
        of: whose names they are, such as "brain_t1c".
    """
    names = list(known)
    whose = f"{of} has" if of else "there is"
    if not names:
        return SettingRefused(f"{whose} no {what}; leave it out")
    near = nearest(str(given), names)
    hint = f"; did you mean {near}?" if near else "."
    return SettingRefused(f"{whose} no such {what}{hint} Accepted: {', '.join(names)}")


def nearest(given: str, known: Iterable[str]) -> str:
    """The known name most like the given one, whatever its case; "" where none is."""
    by_folded = {name.casefold(): name for name in reversed(list(known))}
    near = difflib.get_close_matches(given.strip().casefold(), by_folded, n=1, cutoff=0.5)
    return by_folded[near[0]] if near else ""


def shown(value: object) -> str:
    """What arrived, short enough for a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
