"""Which pixels are blacked out in which images, as a person wrote it down.

A TOML file holds tables ``[[rule]]``. Keys other than ``boxes`` say which images a rule is for, by
the values of their header; ``boxes`` are lists of first row, first column, row behind the last and
column behind the last. No box says that a person looked and found that nothing is burned in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.errors import SettingRefused
from isocenter.dicom.deidentify.pixels import Box

MATCHED = (
    "SOPClassUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ConversionType",
    "ImageType",
    "Rows",
    "Columns",
)
"""Attributes that a rule may name."""

_MOST_RULES = 10_000


@dataclass(frozen=True, kw_only=True)
class PixelRule:
    """What is blacked out in images whose attributes have these values.

    Attributes:
        wanted: text by keyword, several values joined by a backslash; compared without case.
        boxes: may be none.
    """

    wanted: tuple[tuple[str, str], ...]
    boxes: tuple[Box, ...]

    def fits(self, text_of: Callable[[str], str]) -> bool:
        """Whether an image has all the values."""
        return all(text_of(name).casefold() == text.casefold() for name, text in self.wanted)


def rule_for(rules: Sequence[PixelRule], text_of: Callable[[str], str]) -> PixelRule | None:
    """The first rule that fits, None where none does."""
    return next((rule for rule in rules if rule.fits(text_of)), None)


def read_pixel_rules(path: Path) -> tuple[PixelRule, ...]:
    """The rules of a file, in their order.

    Raises:
        SettingRefused: no such file, no TOML, or a rule that cannot be meant.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingRefused(f"the file of pixel rules is not TOML: {error}") from error
    except (OSError, ValueError) as error:
        raise SettingRefused("the file of pixel rules cannot be read as text") from error
    rules = content.get("rule")
    if set(content) != {"rule"} or not isinstance(rules, list) or len(rules) > _MOST_RULES:
        raise SettingRefused("a file of pixel rules holds tables [[rule]] and nothing else")
    return tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1))


def _rule(number: int, content: Any) -> PixelRule:
    if not isinstance(content, dict) or "boxes" not in content or len(content) < 2:
        raise SettingRefused(
            f"pixel rule {number} needs boxes, which may be none, and at least one of "
            f"{', '.join(MATCHED)}"
        )
    strange = sorted(set(content) - {*MATCHED, "boxes"})
    if strange:
        raise SettingRefused(f"pixel rule {number} names what no rule may; known: {MATCHED}")
    wanted = tuple((name, str(content[name])) for name in MATCHED if name in content)
    return PixelRule(wanted=wanted, boxes=_boxes(number, content["boxes"]))


def _boxes(number: int, content: Any) -> tuple[Box, ...]:
    if not isinstance(content, list) or not all(map(_is_box, content)):
        raise SettingRefused(
            f"a box of pixel rule {number} is four whole numbers: first row, first column, row "
            "behind the last, column behind the last"
        )
    return tuple(Box(row=a, column=b, end_row=c, end_column=d) for a, b, c, d in content)


def _is_box(content: Any) -> bool:
    if not isinstance(content, list) or len(content) != 4:
        return False
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in content):
        return False
    return content[0] < content[2] and content[1] < content[3]
