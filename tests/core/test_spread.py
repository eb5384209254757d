"""Few places among many: even, rising, without repeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.spread import spread_evenly


@given(st.integers(0, 500), st.integers(1, 60), st.booleans())
def test_places_rise_without_repeats_and_stay_inside(count: int, wanted: int, ends: bool) -> None:
    places = spread_evenly(count, wanted, with_ends=ends)
    assert len(places) == min(count, wanted)
    assert list(places) == sorted(set(places))
    assert all(0 <= place < count for place in places)


@pytest.mark.parametrize(("ends", "places"), [(False, (1, 5, 8)), (True, (0, 4, 9))])
def test_ends_are_taken_where_asked_for(ends: bool, places: tuple[int, ...]) -> None:
    assert spread_evenly(10, 3, with_ends=ends) == places
