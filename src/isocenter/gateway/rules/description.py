"""Descriptions of series, as rules have them: a few tests of DICOM keywords, each said in words.

``Modality = "CT"`` asks for a value, a list for one of several; a table holds ``is``, ``has`` (a
word or a piece of the text), ``at_least``, ``at_most`` or ``given`` (true or false). Letters are
compared without case; of several values one must fit. ``num_images`` is what a series has of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import SettingRefused
from isocenter.dicom.reading.instance_facts import DESCRIBING

NUM_IMAGES = "num_images"
KEYWORDS = (*DESCRIBING, NUM_IMAGES)
TESTS = ("is", "has", "at_least", "at_most", "given")


@dataclass(frozen=True, kw_only=True)
class Series:
    """What is known of one series of a study.

    Attributes:
        number: place in the study, from 1, for people.
        series_uid: its UID.
        described: texts by keyword; where instances differ, each different text once, with a
            backslash between.
        num_images: instances.
    """

    number: int
    series_uid: str
    described: Mapping[str, str]
    num_images: int

    def text(self, keyword: str) -> str:
        """What it says of a keyword, "" for nothing."""
        return str(self.num_images) if keyword == NUM_IMAGES else self.described.get(keyword, "")


@dataclass(frozen=True, kw_only=True)
class Test:
    """One test of one keyword."""

    keyword: str
    kind: str
    wanted: Any

    def fits(self, series: Series) -> bool:
        """Whether a series passes."""
        text = series.text(self.keyword)
        if self.kind == "given":
            return bool(text) == self.wanted
        values = [value.strip().casefold() for value in text.split("\\") if value.strip()]
        if self.kind == "is":
            return bool({str(each).casefold() for each in self.wanted} & set(values))
        if self.kind == "has":
            return any(str(each).casefold() in text.casefold() for each in self.wanted)
        numbers = [number for value in values if (number := _number(value)) is not None]
        if self.kind == "at_least":
            return bool(numbers) and max(numbers) >= self.wanted
        return bool(numbers) and min(numbers) <= self.wanted

    def in_words(self, series: Series) -> str:
        """Such as "Modality is MR, wanted CT"."""
        text = series.text(self.keyword)
        found = f"is {text}" if text else "is not given"
        return f"{self.keyword} {found}, wanted {self.wanted_in_words()}"

    def wanted_in_words(self) -> str:
        """Such as "CT or MR"."""
        if self.kind == "given":
            return "any value" if self.wanted else "none"
        if self.kind in ("at_least", "at_most"):
            return f"{self.kind.replace('_', ' ')} {self.wanted:g}"
        either = " or ".join(map(str, self.wanted))
        return f"one with {either}" if self.kind == "has" else either


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a series must be."""

    tests: tuple[Test, ...]

    def failed(self, series: Series) -> tuple[Test, ...]:
        """The tests that a series does not pass; none where it fits."""
        return tuple(test for test in self.tests if not test.fits(series))


def description_of(table: Any, where: str) -> Description:
    """Read a description out of the configuration.

    Raises:
        SettingRefused: naming the key, what arrived and what is accepted.
    """
    if not isinstance(table, Mapping) or not table:
        raise SettingRefused(
            f'{where} must be a table such as {{ Modality = "CT" }}, got {table!r}'
        )
    tests: list[Test] = []
    for keyword, wanted in table.items():
        if keyword not in KEYWORDS:
            near = difflib.get_close_matches(keyword, KEYWORDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYWORDS)}"
            raise SettingRefused(f"{where}.{keyword}: rules do not know this keyword; {hint}")
        tests += _tests(keyword, wanted, f"{where}.{keyword}")
    return Description(tests=tuple(tests))


def _tests(keyword: str, wanted: Any, where: str) -> Sequence[Test]:
    table = wanted if isinstance(wanted, Mapping) else {"is": wanted}
    for kind in table:
        if kind not in TESTS:
            raise SettingRefused(
                f"{where}.{kind}: there is no such test; there are {', '.join(TESTS)}"
            )
    return [
        Test(keyword=keyword, kind=kind, wanted=_wanted(kind, value, f"{where}.{kind}"))
        for kind, value in table.items()
    ]


def _wanted(kind: str, value: Any, where: str) -> Any:
    if kind == "given":
        if not isinstance(value, bool):
            raise SettingRefused(f"{where} must be true or false, got {value!r}")
        return value
    if kind in ("at_least", "at_most"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingRefused(f"{where} must be a number, got {value!r}")
        return float(value)
    values = value if isinstance(value, list) else [value]
    if not values or any(
        isinstance(each, bool) or not isinstance(each, str | int | float) for each in values
    ):
        raise SettingRefused(f"{where} must be a text or a list of texts, got {value!r}")
    return tuple(values)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
