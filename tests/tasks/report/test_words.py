"""Numbers read well, and nothing is written as minus zero."""

from __future__ import annotations

import pytest

from isocenter.tasks.report.words import count, number, signed


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.0"), (-0.01, "0.0"), (1.25, "+1.2"), (-3.0, "−3.0")]
)
def test_zero_has_no_sign(value: float, text: str) -> None:
    assert signed(value) == text


def test_a_number_that_is_none_is_a_dash() -> None:
    assert [number(value) for value in (None, float("nan"), -1.26)] == ["–", "–", "−1.3"]


def test_long_counts_are_grouped() -> None:
    assert count(2_359_296) == "2 359 296"
