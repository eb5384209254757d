"""Dates move by whole days and stay as precise as they were."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.deidentification.dates import (
    capped_age,
    forms_of,
    shifted_date,
    shifted_date_time,
)


@settings(max_examples=30)
@given(
    day=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    days=st.integers(-3650, -30),
    other=st.integers(0, 5000),
)
def test_days_between_two_dates_stay(day: date, days: int, other: int) -> None:
    texts = [f"{one:%Y%m%d}" for one in (day, day + timedelta(days=other))]
    moved = [shifted_date(text, days) for text in texts]
    assert None not in moved
    first, second = (date.fromisoformat(str(one)) for one in moved)
    assert (second - first).days == other
    assert (first - day).days == days
    assert shifted_date_time(texts[0] + "101112.5-0500", days) == f"{moved[0]}101112.5-0500"


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240301", "20240131"),
        ("2024.03.01", "20240131"),
        (" 20240301 ", "20240131"),
        ("20240230", None),
        ("2024", None),
        ("", None),
        ("00010101", None),
        ("20240301-20240302", None),
    ],
)
def test_a_date_moves_or_is_none(text: str, moved: str | None) -> None:
    assert shifted_date(text, -30) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240301", "20240131"),
        ("202403", "202402"),
        ("2024", "2024"),
        ("20240301235959.999999+0100", "20240131235959.999999+0100"),
        ("20240301+0100", "20240131+0100"),
        ("yesterday", None),
        ("20241301", None),
    ],
)
def test_a_date_and_time_keeps_its_precision(text: str, moved: str | None) -> None:
    assert shifted_date_time(text, -30) == moved


def test_a_day_is_known_as_people_write_it() -> None:
    assert {"19610417", "17.04.1961", "04/17/1961", "1961-04-17"} <= set(forms_of("19610417"))
    assert forms_of("no day") == []


@pytest.mark.parametrize(
    ("age", "told"),
    [
        ("064Y", "064Y"),
        ("089Y", "089Y"),
        ("090Y", "090Y"),
        ("103Y", "090Y"),
        ("006M", "006M"),
        ("999M", "999M"),
        ("old", None),
    ],
)
def test_very_old_people_are_of_one_age(age: str, told: str | None) -> None:
    assert capped_age(age, 89) == told
