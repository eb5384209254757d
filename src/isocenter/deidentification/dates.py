"""Dates moved by whole days; the time of day stays, so a study may run past midnight."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_DATE_TIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{0,6}(?:\.\d{1,6})?)([+-]\d{4})?")
_MIDDLE = 15, 6
"""Day and month that stand for a whole month and a whole year while it is moved."""

_FORMS = (
    "{y}{m}{d}",
    "{y}-{m}-{d}",
    "{y}/{m}/{d}",
    "{y}.{m}.{d}",
    "{d}.{m}.{y}",
    "{d}/{m}/{y}",
    "{d}-{m}-{y}",
    "{m}/{d}/{y}",
    "{m}-{d}-{y}",
)


def shifted_date(text: str, days: int) -> str | None:
    """A DA value some days later, YYYYMMDD; None where it is no date."""
    match = _DATE.fullmatch(text.strip())
    moved = None if match is None else _moved(*map(int, match.groups()), days=days)
    return None if moved is None else moved.strftime("%Y%m%d").zfill(8)


def shifted_date_time(text: str, days: int) -> str | None:
    """A DT value some days later, as precise as it was; None where it is none."""
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None or (match[4] and match[3] is None):
        return None
    day, month = int(match[3] or _MIDDLE[0]), int(match[2] or _MIDDLE[1])
    moved = _moved(int(match[1]), month, day, days=days)
    if moved is None:
        return None
    digits = moved.strftime("%Y%m%d").zfill(8)
    precise = digits[: 8 if match[3] else 6 if match[2] else 4]
    return precise + match[4] + (match[5] or "")


def _moved(year: int, month: int, day: int, *, days: int) -> date | None:
    try:
        return date(year, month, day) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None


def forms_of(text: str) -> list[str]:
    """How people write the day of a DA or DT value; none where it names no day."""
    match = _DATE.match(text.strip())
    if match is None:
        return []
    year, month, day = match.groups()
    return [form.format(y=year, m=month, d=day) for form in _FORMS]


def capped_age(text: str, oldest_years: int) -> str | None:
    """An AS value; above an age one year more than that, None where it is no age."""
    match = re.fullmatch(r"(\d{3})([DWMY])", text.strip())
    if match is None:
        return None
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[match[2]]
    return f"{oldest_years + 1:03}Y" if int(years) > oldest_years else match[0]
