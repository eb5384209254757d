"""Change single settings of a tree of frozen dataclasses by their dotted names.

``with_settings(recipe, {"mean.steps": "500"})`` gives the recipe with 500 steps. Values come as
text from a command line or typed from a TOML file; what does not fit is refused in words.
"""

from __future__ import annotations

import difflib
import math
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from isocenter.core.errors import SettingRefused

Settings = TypeVar("Settings")

_MOST_NAMES = 12  # in a refusal


def with_settings(settings: Settings, assignments: Mapping[str, object]) -> Settings:
    """The same settings with some values replaced.

    Args:
        settings: a frozen dataclass whose fields are values or further such dataclasses.
        assignments: values by dotted name, such as "mean.steps". A value is of the field's type or
            text that says one: ``500``, ``1e-3``, ``true``, ``0.1,0.25`` for several.

    Raises:
        SettingRefused: no setting has that name, or the value is of another kind or out of range.
    """
    changes: dict[str, Any] = {}
    for name, value in assignments.items():
        read = _read(settings, name.strip(), value)
        *groups, last = name.strip().split(".")
        place = changes
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = read
    return _rebuilt(settings, changes, ", ".join(assignments))


def assignments_of(texts: Sequence[str], *, example: str = "mean.steps=500") -> dict[str, object]:
    """Split ``NAME=VALUE`` as a command line gives them.

    Args:
        texts: as they were given.
        example: one that makes sense there, for refusals.

    Raises:
        SettingRefused: a text without "=", or a name given twice.
    """
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise SettingRefused(
                f"a setting is given as NAME=VALUE, such as {example}; one was not"
            )
        if name in found:
            raise SettingRefused(f"the setting {name} is given twice; give it once")
        found[name] = value.strip()
    return found


def read_settings_file(path: Path) -> dict[str, object]:
    """Values by dotted name from a TOML file, whose tables are groups of settings.

    Raises:
        SettingRefused: there is no such file, or it is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # not there, no text, or no name at all
        raise SettingRefused(
            "the settings file cannot be read as text; name a TOML file"
        ) from error
    try:
        return dict(flat(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise SettingRefused(f"the settings file is not TOML: {error}") from error


def setting_names(settings: object, before: str = "") -> Iterator[str]:
    """The dotted names of all single values."""
    for one in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, one.name)
        if is_dataclass(value):
            yield from setting_names(value, f"{before}{one.name}.")
        else:
            yield before + one.name


def flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The single values of nested mappings by dotted name, such as ("mean.steps", 500)."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _read(settings: Any, name: str, value: object) -> Any:
    """The value of one setting, of its type."""
    part, path = settings, name.split(".")
    for place, step in enumerate(path):
        if not is_dataclass(part) or step not in {one.name for one in fields(part)}:
            raise _unknown(settings, name)
        if place < len(path) - 1:
            part = getattr(part, step)
    present = getattr(part, path[-1])
    if is_dataclass(present):
        inside = ", ".join(one.name for one in fields(present))
        raise SettingRefused(f"{name} is a group of settings; name one of it: {inside}")
    return _converted(typing.get_type_hints(type(part))[path[-1]], name, value)


def _rebuilt(part: Any, changes: Mapping[str, Any], names: str) -> Any:
    """All changes of a group at once, so that values that must fit each other can be changed."""
    values = {
        name: _rebuilt(getattr(part, name), value, names)
        if is_dataclass(getattr(part, name))
        else value
        for name, value in changes.items()
    }
    try:
        return replace(part, **values)
    except SettingRefused:
        raise
    except ValueError as error:
        raise SettingRefused(f"the settings {names} do not fit: {error}") from error


def _unknown(whole: object, name: str) -> SettingRefused:
    names = list(setting_names(whole))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    ends = [known for known in names if known.split(".")[-1] == name.split(".")[-1]]
    nearest = ends[:1] or near
    listed = ", ".join(names[:_MOST_NAMES])
    return SettingRefused(
        f"there is no such setting; the nearest is {nearest[0]}. There are {len(names)} "
        f"settings, among them {listed}"
    )


def _converted(kind: Any, name: str, value: object) -> Any:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None or value in ("none", ""):
            return None
        (kind,) = (one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is tuple:
        return _several(kind, name, value)
    accepted, convert = _SIMPLE[kind]
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise SettingRefused(f"{name} takes {accepted}, got {_shown(value)}") from error


def _several(kind: Any, name: str, value: object) -> tuple[Any, ...]:
    kinds = typing.get_args(kind)
    any_number = kinds[-1] is Ellipsis
    if isinstance(value, str):
        text = value.strip().strip("()[]").strip()
        value = [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        value = [value]
    if not any_number and len(value) != len(kinds):
        raise SettingRefused(
            f"{name} takes {len(kinds)} values, such as {name}={','.join(['…'] * len(kinds))}; "
            f"got {len(value)}"
        )
    each = [kinds[0]] * len(value) if any_number else kinds
    return tuple(_converted(one, name, part) for one, part in zip(each, value, strict=True))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return value == "true" if value in ("true", "false") else _refuse()


def _refuse() -> Any:
    raise TypeError


def _text(value: object) -> str:
    return value if isinstance(value, str) else _refuse()


_SIMPLE: dict[Any, tuple[str, Callable[[object], Any]]] = {
    int: ("a whole number", _whole),
    float: ("a number", _number),
    bool: ("true or false", _yes_or_no),
    str: ("text", _text),
}


def _shown(value: object) -> str:
    return repr(value)[:80]
