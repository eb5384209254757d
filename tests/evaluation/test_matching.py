from __future__ import annotations

from dataclasses import replace

import pytest

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry
from isocenter.evaluation.matching import matched_slices

GRID = Geometry(shape=(6, 20, 30), spacing_mm=(2.0, 0.7, 0.8), origin_mm=(-100.0, -80.0, 40.0))


def test_the_same_grid_matches_slice_by_slice() -> None:
    assert matched_slices(GRID, GRID) == [(index, index) for index in range(6)]


def test_a_part_is_matched_by_position_not_by_number() -> None:
    part = replace(GRID, shape=(3, 20, 30), origin_mm=(-100.0, -80.0, 44.0))
    assert matched_slices(GRID, part) == [(2, 0), (3, 1), (4, 2)]
    assert matched_slices(part, GRID) == [(0, 2), (1, 3), (2, 4)]


def test_every_other_slice_is_matched_to_its_own() -> None:
    sparse = replace(GRID, shape=(3, 20, 30), spacing_mm=(4.0, 0.7, 0.8))
    assert matched_slices(GRID, sparse) == [(0, 0), (2, 1), (4, 2)]


def test_a_series_stored_from_the_other_end_is_matched() -> None:
    other_way = replace(GRID, origin_mm=(-100.0, -80.0, 50.0), slice_direction=(0.0, 0.0, -1.0))
    assert matched_slices(GRID, other_way) == [(index, 5 - index) for index in range(6)]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"shape": (6, 20, 31)}, "matrix"),
        ({"spacing_mm": (2.0, 0.7, 0.81)}, "pixel_spacing"),
        ({"origin_mm": (-99.0, -80.0, 40.0)}, "position"),
        ({"origin_mm": (-100.0, -80.0, 41.0)}, "position"),
        ({"column_direction": (0.0, 1.0, 0.0), "row_direction": (1.0, 0.0, 0.0)}, "orientation"),
    ],
)
def test_another_grid_is_refused_in_words(changed: dict, reason: str) -> None:
    with pytest.raises(UnsuitableScan, match="Accepted are two series on the same grid") as refusal:
        matched_slices(GRID, replace(GRID, **changed))
    assert refusal.value.reason == reason


def test_rounding_in_headers_is_forgiven() -> None:
    rounded = replace(GRID, spacing_mm=(2.0001, 0.70001, 0.8), origin_mm=(-100.01, -80.0, 40.01))
    assert len(matched_slices(GRID, rounded)) == 6
