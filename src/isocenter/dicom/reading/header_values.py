"""Values of a header as plain Python: absent is None, impossible is refused."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from isocenter.core.errors import UnreadableInput

Values = dict[str, Any]

THICKNESS_MM = 1e-3, 1e4
"""No slice is thinner or thicker, scouts among them."""


_BLOCKS = range(0x10, 0x100)


@dataclass(frozen=True, kw_only=True)
class PrivateElement:
    """An element of a maker, which is found by the name of its block (PS3.5 7.8.1).

    Attributes:
        name: under which its value is kept; no keyword of the standard.
        group, element: its number, with the two digits of the block left out.
        creator: name of the block.
    """

    name: str
    group: int
    element: int
    creator: str


@cache
def private_tags(elements: tuple[PrivateElement, ...]) -> frozenset[int]:
    """Every tag under which elements, and the names of their blocks, may stand."""
    tags: set[int] = set()
    for one in elements:
        tags.update(one.group << 16 | block for block in _BLOCKS)
        tags.update(one.group << 16 | block << 8 | one.element for block in _BLOCKS)
    return frozenset(tags)


def private_values(dataset: Dataset, elements: Sequence[PrivateElement]) -> Values:
    """The elements of makers that a header holds; one that cannot be interpreted is left out."""
    found: Values = {}
    if not elements:
        return found
    blocks = {
        (tag.group, _lenient_value(dataset, tag)): tag.element
        for tag in dataset.keys()  # noqa: SIM118
        if tag.is_private and tag.element in _BLOCKS
    }
    for one in elements:
        block = blocks.get((one.group, one.creator))
        if block is None:
            continue
        value = _lenient_value(dataset, Tag(one.group, block << 8 | one.element))
        if value not in (None, ""):
            found[one.name] = value
    return found


def _lenient_value(dataset: Dataset, tag: BaseTag) -> Any:
    """An element's value, None where there is none or it cannot be interpreted."""
    try:
        value = dataset[tag].value
    except (KeyError, ValueError, TypeError, NotImplementedError, struct.error):
        return None
    return plain_text(value, 64) if tag.element in _BLOCKS else _without_type(value)


def _without_type(value: Any) -> Any:
    """A value whose representation nobody stated: one binary number, or else text."""
    if not isinstance(value, bytes):
        return value
    if len(value) in (4, 8) and not re.fullmatch(rb"[-+.\d eE\\\0A-Z]*", value):
        return struct.unpack("<f" if len(value) == 4 else "<d", value)[0]
    text = value.decode("ascii", "replace").strip(" \0")
    return text.split("\\") if "\\" in text else text


def present_values(dataset: Dataset, keywords: tuple[str, ...]) -> Values:
    """The elements among ``keywords`` that hold something."""
    found = ((keyword, dataset.get(keyword)) for keyword in keywords if keyword in dataset)
    return {keyword: value for keyword, value in found if value is not None and value != ""}


def plain_text(value: Any, max_length: int) -> str:
    """Printable ASCII of a header value, safe to show in a terminal or a log."""
    text = "" if value is None else str(value)
    return re.sub(r"[^\x20-\x7e]", "", text).strip()[:max_length]


def texts(value: Any) -> tuple[str, ...]:
    """One or several texts, safe to show."""
    if value is None:
        return ()
    parts = [value] if isinstance(value, str) else list(value)
    return tuple(plain_text(part, 64) for part in parts)


def integer(value: Any) -> int | None:
    """A whole number, or None where there is none."""
    if value is None or isinstance(value, bytes):
        return None
    return int(value)


def number(value: Any) -> float | None:
    """A finite number, or None where there is none."""
    if value is None:
        return None
    result = float(value)
    if not math.isfinite(result):
        raise UnreadableInput("a header holds a number that is not finite; the file is damaged")
    return result


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """So many finite numbers, or None where there are none."""
    if value is None or not len(value):
        return None
    results = tuple(float(part) for part in value)
    if len(results) != count or not all(math.isfinite(result) for result in results):
        raise UnreadableInput(
            "a header holds a position, direction or spacing that is not finite or of the wrong "
            "length; the file is damaged"
        )
    return results


def lenient_number(value: Any) -> float | None:
    """For facts that decide nothing: unusable is unknown."""
    try:
        return number(value)
    except (TypeError, ValueError, OverflowError):
        return None


def possible_thickness(value: Any) -> bool:
    """Whether a slice may be so thick; absent and 0 mean that it is not known."""
    try:
        thickness = 0.0 if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return thickness == 0 or THICKNESS_MM[0] <= thickness <= THICKNESS_MM[1]


def positive(value: Any) -> float | None:
    """A number above zero that decides nothing, else None."""
    result = lenient_number(value)
    return result if result is not None and result > 0 else None
