"""Read tables of a TOML file into frozen dataclasses; what does not fit is refused in words.

A field made by :func:`key` is a key: its type, its limits and what it
means stand beside each other. A field without a default must be given.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from isocenter.core.errors import SettingRefused
from isocenter.tasks.settings import SettingFacts, facts_of

T = TypeVar("T")
REQUIRED: Any = MISSING

_KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def key(default: Any = REQUIRED, **facts: Any) -> Any:
    """A key of the file; ``facts`` are those of :class:`isocenter.tasks.settings.SettingFacts`."""
    metadata = {"facts": SettingFacts(**facts)}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def read_table(kind: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """One table as a dataclass.

    Args:
        kind: the dataclass; its fields are keys, tables or arrays of tables.
        table: as ``tomllib`` gives it.
        where: dotted name of the table, for refusals.

    Raises:
        SettingRefused: naming the key, what arrived and what is accepted.
    """
    if not isinstance(table, Mapping):
        raise SettingRefused(f"{where} must be a table, got {_shown(table)}")
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise _unknown(_dotted(where, name), name, known)
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, each in known.items():
        if name in table:
            values[name] = _value(hints[name], table[name], _dotted(where, name), _facts(each))
        elif each.default is MISSING and each.default_factory is MISSING:
            raise SettingRefused(f"{_dotted(where, name)} is missing: {_facts(each).help}")
    try:
        return kind(**values)
    except SettingRefused as error:
        raise SettingRefused(_dotted(where, str(error))) from None


def all_keys(kind: type[Any], before: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every key below a dataclass by its dotted name, tables themselves left out."""
    hints = get_type_hints(kind)
    for each in fields(kind):
        name = _dotted(before, each.name)
        inner = _table_kind(hints[each.name])
        if inner is None:
            yield name, each
        else:
            yield from all_keys(inner, name)


def _facts(each: Field[Any]) -> SettingFacts:
    return facts_of(each) if "facts" in each.metadata else SettingFacts(help="a table of that name")


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _unknown(dotted: str, name: str, known: Mapping[str, Any]) -> SettingRefused:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return SettingRefused(f"{dotted}: there is no such key; {hint}")


def _plain(hint: Any) -> Any:
    """A hint without "or None"."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _table_kind(hint: Any) -> type[Any] | None:
    """The dataclass that a table, or each of an array of tables, becomes; None for a value."""
    hint = _plain(hint)
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    return hint if is_dataclass(hint) and isinstance(hint, type) else None


def _value(hint: Any, value: Any, where: str, facts: SettingFacts) -> Any:
    hint = _plain(hint)
    inner = _table_kind(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise SettingRefused(f"{where} must be a list, got {_shown(value)}")
        (one, _) = get_args(hint)
        return tuple(
            read_table(inner, each, f"{where}[{index}]")
            if inner
            else _single(one, each, f"{where}[{index}]", facts)
            for index, each in enumerate(value)
        )
    if inner is not None:
        return read_table(inner, value, where)
    if get_origin(hint) in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise SettingRefused(f"{where} must be a table, got {_shown(value)}")
        return dict(value)
    return _single(hint, value, where, facts)


def _single(kind: Any, value: Any, where: str, facts: SettingFacts) -> Any:
    if kind is Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise SettingRefused(f"{where} must name a file or folder, got {_shown(value)}")
        return Path(value).expanduser()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise SettingRefused(f"{where} must be {_KINDS[kind]}, got {_shown(value)}")
    if facts.choices and value not in facts.choices:
        raise SettingRefused(
            f"{where} must be one of {', '.join(facts.choices)}, got {_shown(value)}"
        )
    _check_limits(value, where, facts)
    return value


def _check_limits(value: Any, where: str, facts: SettingFacts) -> None:
    if isinstance(value, str | bool):
        return
    low, high = facts.at_least, facts.at_most
    if (low is not None and value < low) or (high is not None and value > high):
        limits = [f"at least {low:g}" if low is not None else ""]
        limits.append(f"at most {high:g}" if high is not None else "")
        accepted = " and ".join(filter(None, limits))
        raise SettingRefused(f"{where} must be {accepted}, got {value:g}")


def _shown(value: Any) -> str:
    """What arrived, short."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
