"""The tables of PS3.15 Annex E as data, and what they ask for under some options."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from isocenter.core.errors import SettingRefused

EDITION = "2026c"
PRIVATE = "private"
_TAG_DIGITS = 8
_FIXED = ("X", "Z", "D", "U", "K", "C")
# A compound action by the type of the attribute: 3 or absent, 2, and 1 or unknown.
_BY_TYPE = {
    "X/Z": ("X", "Z", "Z"),
    "X/D": ("X", "D", "D"),
    "Z/D": ("Z", "Z", "D"),
    "X/Z/D": ("X", "Z", "D"),
    "X/Z/U*": ("X", "Z", "U"),
}
_NOT_WANTED_THERE = ("D", "Z")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table.

    Attributes:
        name: of the attribute or of the concept.
        basic: action of the profile: X, Z, D, U or a compound of them.
        options: action of each option that has one, K or C, by the column's name.
    """

    name: str
    basic: str
    options: Mapping[str, str]

    def action(self, columns: Iterable[str], attribute_type: str | None) -> str:
        """X, Z, D, U, K or C.

        Where several options speak of one attribute, that which cleans goes before that which
        keeps.

        Args:
            columns: of the options that hold.
            attribute_type: "1", "2" or "3" as the object's kind has it, "" where its kind has no
                such attribute, None where that is not known.
        """
        asked = {self.options[column] for column in columns if column in self.options}
        if asked:
            return "C" if "C" in asked else "K"
        if self.basic in _FIXED:
            is_misplaced = attribute_type == "" and self.basic in _NOT_WANTED_THERE
            return "X" if is_misplaced else self.basic
        optional, may_be_empty, must_be_there = _BY_TYPE[self.basic]
        if attribute_type in ("", "3"):
            return optional
        return may_be_empty if attribute_type == "2" else must_be_there


def _lines(name: str) -> list[str]:
    text = (resources.files(__package__) / "standard" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(_lines(name))


def _row(line: Mapping[str, str], *others: str) -> Row:
    known = ("name", "basic", *others)
    options = {column: action for column, action in line.items() if action and column not in known}
    return Row(name=line["name"], basic=line["basic"], options=options)


@cache
def attribute_rows() -> Mapping[str, Row]:
    """Table E.1-1 by tag, such as "00100010", "60xx3000" or "private"."""
    return {line["tag"]: _row(line, "tag") for line in _rows("attributes.csv")}


@cache
def content_rows() -> Mapping[tuple[str, str, str], Row]:
    """Table E.3.4-1 by code, coding scheme and value type."""
    return {
        (line["code"], line["scheme"], line["kind"]): _row(line, "code", "scheme", "kind")
        for line in _rows("content_items.csv")
    }


def row_of(tag: int) -> Row | None:
    """The row of a public attribute."""
    return attribute_rows().get(f"{tag:08X}")


@cache
def _iods() -> Mapping[str, str]:
    return {line["sop_class"]: line["iod"] for line in _rows("sop_classes.csv")}


@cache
def _types() -> tuple[Mapping[tuple[int, str], str], Mapping[tuple[int, int], str]]:
    """Types by tag and IOD, and by tag and the sequence that it is in."""
    at_top: dict[tuple[int, str], str] = {}
    nested: dict[tuple[int, int], str] = {}
    every = sorted(set(_iods().values()))
    for line in _rows("attribute_types.csv"):
        tag = int(line["tag"], 16)
        if line["parent"]:
            nested[tag, int(line["parent"], 16)] = line["type"]
            continue
        for iod in _named(line["iods"], every):
            at_top[tag, iod] = line["type"]
    return at_top, nested


def _named(scope: str, every: Iterable[str]) -> list[str]:
    if scope == "all":
        return list(every)
    if scope.startswith("all but "):
        left_out = set(scope.split()[2:])
        return [iod for iod in every if iod not in left_out]
    return scope.split()


def type_of(tag: int, sop_class: str, parents: tuple[int, ...]) -> str | None:
    """Type of an attribute: "1", "2", "3", "" where its kind of object has none, None if unknown.

    Conditional ones count as if the condition were met.
    """
    at_top, nested = _types()
    if parents:
        return nested.get((tag, parents[-1]))
    iod = _iods().get(sop_class)
    return None if iod is None else at_top.get((tag, iod), "")


@dataclass(frozen=True, kw_only=True)
class SafePrivate:
    """Private elements that may stay.

    Attributes:
        vrs: representation by creator, group and last two digits of the element.
    """

    vrs: Mapping[tuple[str, int, int], str]

    def vr(self, creator: str, tag: int) -> str | None:
        """How the element is represented, None where the list has it not."""
        return self.vrs.get((creator, tag >> 16, tag & 0xFF))

    def has_creator(self, creator: str, group: int) -> bool:
        """Whether any element of a creator in a group may stay."""
        return any((one, number) == (creator, group) for one, number, _ in self.vrs)


def safe_private(more: Iterable[Mapping[str, str]] = ()) -> SafePrivate:
    """Table E.3.10-1, and elements that a person adds.

    Args:
        more: rows of ``tag`` (such as "0019xx23"), ``creator`` and ``vr``.

    Raises:
        SettingRefused: a row is not of this form.
    """
    vrs = {}
    for line in (*_rows("safe_private.csv"), *more):
        tag, creator, vr = (line.get(name) or "" for name in ("tag", "creator", "vr"))
        digits = tag.replace("xx", "", 1)
        is_tag = len(tag) == _TAG_DIGITS and tag[4:6] == "xx" and _is_hexadecimal(digits)
        if not is_tag or not creator or not int(tag[:4], 16) % 2:
            raise SettingRefused(
                "a list of safe private elements has the columns tag, creator and vr, and tags of "
                "an odd group such as 0019xx23; a row is of another form"
            )
        vrs[creator, int(tag[:4], 16), int(tag[6:], 16)] = vr
    return SafePrivate(vrs=vrs)


def read_safe_private(path: Path) -> list[dict[str, str]]:
    """Rows of a person's own list, for :func:`safe_private`.

    Raises:
        SettingRefused: there is no such file, or it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SettingRefused("the list of safe private elements cannot be read as text") from error
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _is_hexadecimal(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)
