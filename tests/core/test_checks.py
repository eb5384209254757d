from __future__ import annotations

import math

import pytest

from isocenter.core.checks import (
    check_least,
    check_positive,
    check_range,
    check_share,
    check_sizes,
)


def test_what_is_accepted_passes() -> None:
    check_least("a", 0, 0)
    check_positive("a", 1e-9)
    check_share("a", 0)
    check_share("a", 1)
    check_range("a", (0.1, 1.0), most=1.0)
    check_range("a", (2.0, 2.0), may_be_one=True)
    check_sizes("a", (1, 2))


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_numbers_out_of_range_are_refused_with_what_arrived(value: float) -> None:
    for check in (check_positive, check_share):
        with pytest.raises(ValueError, match=f"^a .*got {value:g}"):
            check("a", value)
    with pytest.raises(ValueError, match=f"a is at least 0, got {value:g}"):
        check_least("a", value, 0)


@pytest.mark.parametrize(
    "ends", [(2.0, 1.0), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, 3.0), (math.nan, 1.0)]
)
def test_a_range_that_does_not_rise_within_its_bounds_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a is a rising range above 0 and up to 2, got"):
        check_range("a", ends, most=2.0)


@pytest.mark.parametrize("sizes", [(), (4, 0), (-1,)])
def test_sizes_are_at_least_one(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a are one or more whole numbers"):
        check_sizes("a", sizes)
