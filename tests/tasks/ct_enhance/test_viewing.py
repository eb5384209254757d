"""What is kept to be seen: the right slices, rows, windows and places, packed as they stream by."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isocenter.core.volume import Geometry
from isocenter.image.ct_regions import DENSE, LUNG, SOFT_TISSUES
from isocenter.tasks.ct_enhance.enhanced_slice import EnhancedSlice
from isocenter.tasks.ct_enhance.viewing import (
    ViewKeeper,
    Views,
    reformat_rows,
    viewer_of,
    windows_for,
)
from isocenter.tasks.report.viewer import packed, settings_of

GEOMETRY = Geometry(shape=(10, 40, 30), spacing_mm=(5.0, 0.8, 1.2))


def piece(index: int) -> EnhancedSlice:
    """Values say the slice, row and column that they come from."""
    row, column = np.indices(GEOMETRY.shape[1:])
    before = (1000 * index + 20 * row + column % 20).astype(np.float32)
    return EnhancedSlice(
        index=index,
        before_hu=before,
        image_hu=before + 1,
        half_width_hu=np.full(before.shape, 7.25, np.float32),
        valid=np.ones(before.shape, bool),
    )


def kept(geometry: Geometry = GEOMETRY) -> Views:
    keeper = ViewKeeper(geometry, (2, 5, 8), body_rows=(10, 30))
    for index in range(geometry.shape[0]):
        body = np.zeros(geometry.shape[1:], bool)
        body[10:31, 8:20] = True
        keeper.take(piece(index), body)
    return keeper.views()


def region(kind: Any, before_hu: float = 0.0, num_voxels: int = 1000) -> Any:
    return SimpleNamespace(kind=kind, before_hu=before_hu, num_voxels=num_voxels)


def test_windows_fit_what_was_found() -> None:
    soft, bright, _ = SOFT_TISSUES
    assert [each.name for each in windows_for([])] == ["Soft tissue"]
    found = windows_for(
        [region(LUNG), region(soft, 47.0, 10), region(bright, 104.0), region(DENSE)]
    )
    assert [(each.name, each.center) for each in found] == [
        ("Soft tissue", 40),
        ("Narrow", 100.0),
        ("Lung", -600),
        ("Bone", 500),
    ]


def test_reformats_go_through_the_middle_of_the_patient() -> None:
    assert reformat_rows(GEOMETRY, (10, 30)) == (17, 20, 22)
    assert reformat_rows(replace(GEOMETRY, shape=(7, 40, 30)), (10, 30)) == ()
    assert reformat_rows(replace(GEOMETRY, shape=(8, 1, 30)), None) == (0,)


@pytest.mark.parametrize("towards_head", [True, False])
def test_a_reformat_has_its_head_up_and_knows_where_the_slices_lie(towards_head: bool) -> None:
    direction = (0.0, 0.0, 1.0 if towards_head else -1.0)
    geometry = replace(GEOMETRY, slice_direction=direction)
    viewer = viewer_of(kept(geometry), geometry, [], interval="90 % interval")
    assert viewer is not None
    axial, coronal = viewer.stacks
    assert [stack.name for stack in viewer.stacks] == ["Axial", "Coronal"]
    frame = coronal.frames[0]
    assert frame.shape == (10, 30)
    assert frame.spacing_mm == (5.0, 1.2)
    assert frame.sides == ("R", "L", "H", "F")
    assert frame.lines == ((7.0, 4.0, 1.0) if towards_head else (2.0, 5.0, 8.0))
    row = np.stack([piece(index).before_hu[17] for index in range(10)])
    wanted = row[::-1] if towards_head else row
    assert frame.planes["before"] == packed(wanted.astype(np.int16), step=1.0)
    assert [frame.heading for frame in axial.frames] == [
        *("Slice 3 of 10", "Slice 6 of 10", "Slice 9 of 10")
    ]


def test_scales_of_color_are_the_same_in_every_report_and_models_work_is_marked() -> None:
    viewer = viewer_of(kept(), GEOMETRY, [], interval="90 % interval (measured: 88 %)")
    assert viewer is not None
    layers = {layer["key"]: layer for layer in settings_of(viewer)["layers"]}
    assert (layers["difference"]["low"], layers["difference"]["high"]) == (-100, 100)
    assert (layers["uncertainty"]["low"], layers["uncertainty"]["high"]) == (0, 75)
    assert "measured: 88 %" in layers["uncertainty"]["caption"]
    marked = [key for key, layer in layers.items() if "SYNTHETIC" in layer["mark"]]
    assert marked == ["after", "difference", "uncertainty"]
    panels = [panel for row in viewer.instead[0].rows for panel in row]
    assert [panel.title for panel in panels if panel.mark] == ["After", "Difference", "Uncertainty"]


def test_on_paper_there_are_a_few_slices_and_a_reformat() -> None:
    viewer = viewer_of(kept(), GEOMETRY, [], interval="90 % interval")
    assert viewer is not None
    headings = [each.heading for each in viewer.instead]
    assert headings == [
        *("Slice 3 of 10", "Slice 6 of 10", "Slice 9 of 10"),
        "Coronal, row 21 of 40",
    ]
    assert viewer.instead[-1].aspect == pytest.approx(30 * 1.2 / (10 * 5))
    assert viewer.instead[-1].sides == ("R", "L", "H", "F")


def test_the_first_view_shows_the_patient_in_all_slices() -> None:
    views = kept()
    rows, columns = views.box
    assert (rows.start, rows.stop) == (0, 40)  # a margin of 15 rows
    assert (columns.start, columns.stop) == (0, 30)
    assert views.frame_near(0) == 0
    assert views.frame_near(6) == 1


def test_no_viewer_without_a_slice() -> None:
    views = ViewKeeper(GEOMETRY, ()).views()
    assert viewer_of(views, GEOMETRY, [], interval="") is None
