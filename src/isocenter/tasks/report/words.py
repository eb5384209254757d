"""Numbers and names as people read them."""

from __future__ import annotations

import math
from typing import Any


def number(value: float | None, digits: int = 1) -> str:
    """A number for people; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign; zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def count(value: int) -> str:
    """A whole number in groups of three."""
    return f"{value:,}".replace(",", " ")


def title(text: str) -> str:
    """A name as a heading."""
    words = str(text).replace("_", " ")
    return words[:1].upper() + words[1:]


def in_words(value: Any) -> str:
    """A single value of a card or setting."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    return "–" if value is None else str(value)
