"""Slices become pictures with the right gray, the right place and the right letters."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isocenter.core.volume import Geometry
from isocenter.tasks.report.pictures import Scale, box_around, panel, png, sides

GRAY = Scale(label="all", low=-10, high=245, unit="HU")


def decoded(uri: str) -> np.ndarray:
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    return np.asarray(picture.convert("RGB"))


def test_values_become_gray_between_the_limits_of_the_scale() -> None:
    picture = decoded(png(np.array([[-500.0, -10, 90, 245, 9000]]), GRAY))
    assert picture[0, :, 0].tolist() == [0, 0, 100, 255, 255]


def test_a_legend_names_its_unit_and_the_sign_of_a_difference() -> None:
    even = Scale(label="change", low=-70, high=70, unit="HU", colors="diverging")
    assert even.ticks == ("−70", "0", "+70 HU")
    assert Scale(label="share", low=0, high=0.5, unit="").ticks == ("0.00", "0.25", "0.50")


def test_a_panel_describes_itself_for_those_who_do_not_see_it() -> None:
    shown = panel("Before", np.zeros((2, 2)), GRAY, where="Slice 3")
    assert shown.description == "Slice 3, before, all: -10 to 245 HU"


def test_a_box_holds_all_that_is_marked_and_a_margin_within_the_slice() -> None:
    mask = np.zeros((20, 30), bool)
    mask[8:10, 1:12] = True
    rows, columns = box_around(mask, margin_mm=4, spacing_mm=(2.0, 1.0))
    assert (rows, columns) == (slice(6, 12), slice(0, 16))
    assert box_around(~mask & mask, margin_mm=4, spacing_mm=(1, 1)) == (slice(0, 20), slice(0, 30))


@pytest.mark.parametrize(
    ("row", "column", "letters"),
    [
        ((0, 1, 0), (1, 0, 0), ("R", "L", "A", "P")),  # axial, head first, supine
        ((0, -1, 0), (-1, 0, 0), ("L", "R", "P", "A")),  # axial, prone
        ((0, 0, -1), (1, 0, 0), ("R", "L", "H", "F")),  # coronal
    ],
)
def test_sides_are_named_from_the_geometry(row: Any, column: Any, letters: Any) -> None:
    geometry = Geometry(
        shape=(1, 2, 2), spacing_mm=(1, 1, 1), row_direction=row, column_direction=column
    )
    assert sides(geometry) == letters
