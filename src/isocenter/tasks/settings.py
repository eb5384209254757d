"""Settings of a task: a frozen dataclass whose fields say what they mean and what they take.

The same fields make the options of a command and the keywords of a Python call.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from isocenter.core.errors import SettingRefused


@dataclass(frozen=True, kw_only=True)
class SettingFacts:
    """What is known of one setting besides its type and default.

    Attributes:
        help: what it does, one sentence or two.
        metavar: what the help shows for the value, "" for the name of its type.
        at_least, at_most, above: limits of a number; ``above`` is not reached itself.
        choices: the texts it may be; empty takes any.
        parse: turns what a user writes into the value; None where the type says enough.
        advice: what to do where a value is refused, such as "leave it out".
    """

    help: str
    metavar: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[Any], Any] | None = None
    advice: str = ""


def setting(
    default: Any,
    *,
    help: str,
    metavar: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    choices: Sequence[str] = (),
    parse: Callable[[Any], Any] | None = None,
    advice: str = "",
) -> Any:
    """A field of a :class:`Settings` class; for its options see :class:`SettingFacts`."""
    facts = SettingFacts(
        help=help,
        metavar=metavar,
        at_least=at_least,
        at_most=at_most,
        above=above,
        choices=tuple(choices),
        parse=parse,
        advice=advice,
    )
    return field(default=default, metadata={"facts": facts})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every task's settings: everything that a user can set and that changes a pixel.

    Raises:
        SettingRefused: a value is of another type or outside its limits.
    """

    def __post_init__(self) -> None:
        kinds = type_of_settings(type(self))
        for each in fields(self):
            value = getattr(self, each.name)
            _check(each.name, value, kinds[each.name], facts_of(each))
            if kinds[each.name][0] is float and value is not None:
                # 3 and 3.0 are one setting, so they must give one record.
                object.__setattr__(self, each.name, float(value))


S = TypeVar("S", bound=Settings)


def facts_of(each: Field[Any]) -> SettingFacts:
    """What is known of a field that :func:`setting` made."""
    facts: SettingFacts = each.metadata["facts"]
    return facts


def help_of(kind: type[Settings], name: str) -> str:
    """What a setting does, as its declaration says it."""
    return next(facts_of(each).help for each in fields(kind) if each.name == name)


def type_of_settings(kind: type[Settings]) -> dict[str, tuple[type, bool]]:
    """Type of each setting, and whether it may be None."""
    return {name: _plain_type(hint) for name, hint in get_type_hints(kind).items()}


def _plain_type(hint: Any) -> tuple[type, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        (plain,) = (part for part in get_args(hint) if part is not type(None))
        return plain, True
    return hint, False


def settings_from(kind: type[S], values: Mapping[str, Any]) -> S:
    """Settings from what a user wrote.

    Raises:
        SettingRefused: an unknown name (the nearest is named), or a value that is not taken.
    """
    known = {each.name: facts_of(each) for each in fields(kind)}
    check_names(values, known)
    parsed = {}
    for name, value in values.items():
        parse = known[name].parse
        parsed[name] = value if parse is None else parse(value)
    return kind(**parsed)


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse the first name that is not known, and name the nearest that is.

    Raises:
        SettingRefused: there is an unknown name.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise SettingRefused(f"there is no setting {name}; {hint}")


def _check(name: str, value: Any, kind: tuple[type, bool], facts: SettingFacts) -> None:
    plain, may_be_none = kind
    if value is None and may_be_none:
        return
    if facts.choices and value not in facts.choices:
        raise SettingRefused(f"{name} must be one of {', '.join(facts.choices)}, got {value!r}")
    if plain in (int, float):
        if not _is_number(value, whole=plain is int) or not _within(value, facts):
            wanted = _limits_in_words(facts, whole=plain is int)
            advice = f"; {facts.advice}" if facts.advice else ""
            raise SettingRefused(f"{name} must be {wanted}, got {value}{advice}")
    elif not isinstance(value, plain):
        raise SettingRefused(f"{name} must be of type {plain.__name__}, got {value!r}")


def _is_number(value: Any, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    return math.isfinite(value)


def _within(value: float, facts: SettingFacts) -> bool:
    return (
        (facts.at_least is None or value >= facts.at_least)
        and (facts.at_most is None or value <= facts.at_most)
        and (facts.above is None or value > facts.above)
    )


def _limits_in_words(facts: SettingFacts, *, whole: bool) -> str:
    low, high = facts.at_least, facts.at_most
    if not whole and low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    limits = [
        words
        for words, value in (
            (f"above {facts.above:g}" if facts.above is not None else "", facts.above),
            (f"of at least {low:g}" if low is not None else "", low),
            (f"at most {high:g}" if high is not None else "", high),
        )
        if value is not None
    ]
    kind = "a whole number" if whole else ("" if facts.above is not None else "a number")
    return " ".join(part for part in (kind, " and ".join(limits)) if part)
