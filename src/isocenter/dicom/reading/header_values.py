"""Values of a header as plain Python: absent is None, impossible is refused."""

from __future__ import annotations

import math
import re
from typing import Any

from pydicom.dataset import Dataset

from isocenter.core.errors import UnreadableInput

Values = dict[str, Any]

THICKNESS_MM = 1e-3, 1e4
"""No slice is thinner or thicker, scouts among them."""


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
