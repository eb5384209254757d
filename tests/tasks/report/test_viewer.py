"""What a viewer is given can be had back whole, and cannot break out of the page."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.volume import Geometry
from isocenter.tasks.report.content import Frame, Layer, Plane, Stack, Viewer, Window
from isocenter.tasks.report.viewer import (
    is_upside_down,
    packed,
    plane_name,
    reformat_sides,
    script,
    settings_of,
    settings_text,
    stored,
)


def unpacked(plane: Plane, shape: tuple[int, int]) -> NDArray:
    """The rule of the head of ``viewer.py``, number by number."""
    content = zlib.decompress(base64.b64decode(plane.data))
    high, low = content[: len(content) // 2], content[len(content) // 2 :]
    values = np.zeros(shape, np.int64)
    for place, coded in enumerate((a << 8) | b for a, b in zip(high, low, strict=True)):
        row, column = divmod(place, shape[1])
        left = values[row, column - 1] if column else 0
        up = values[row - 1, column] if row else 0
        corner = values[row - 1, column - 1] if row and column else 0
        foretold = sorted((left, up, left + up - corner))[1]
        residual = (coded >> 1) ^ -(coded & 1)
        values[row, column] = (foretold + residual + 32768) % 65536 - 32768
    return values


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (13, 7)])
def test_values_come_back_as_they_were(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for numbers in (
        rng.integers(-32768, 32768, shape),
        rng.integers(-3, 3, shape),
        np.full(shape, -32768),
        np.where(rng.random(shape) < 0.5, -32768, 32767),
    ):
        plane = packed(numbers.astype(np.int16), step=1.0)
        np.testing.assert_array_equal(unpacked(plane, shape), numbers)


def test_smooth_images_become_small_and_what_does_not_fit_is_clipped() -> None:
    row, column = np.indices((64, 64))
    smooth = stored(10.0 * row + 3 * column, step=0.5)
    assert smooth[2, 3] == 58
    assert len(packed(smooth, step=0.5).data) < smooth.nbytes / 10
    assert stored(np.array([-1e9, 1e9, 1.4]), step=1.0).tolist() == [-32768, 32767, 1]


def tiny_viewer(name: str = "Before") -> Viewer:
    plane = packed(np.zeros((2, 3), np.int16), step=1.0)
    frame = Frame(
        heading="Slice 1 of 1",
        shape=(2, 3),
        spacing_mm=(1.0, 2.0),
        sides=("R", "L", "A", "P"),
        planes={"before": plane},
    )
    return Viewer(
        unit="HU",
        layers=(Layer(key="before", letter="b", name=name, of=("before",)),),
        windows=(Window(name="All", center=0, width=100),),
        stacks=(Stack(name="Axial", frames=(frame,), focus=(0, 0, 2, 3)),),
        start="before",
        instead=(),
    )


def test_settings_are_json_that_cannot_end_its_element() -> None:
    viewer = tiny_viewer("</script><b>&")
    text = settings_text(viewer)
    assert "<" not in text
    assert json.loads(text) == json.loads(json.dumps(settings_of(viewer)))
    assert json.loads(text)["layers"][0]["name"] == "</script><b>&"
    assert json.loads(text)["windows"] == [{"name": "All", "low": -50.0, "high": 50.0}]


def test_the_script_asks_for_nothing_outside_the_page() -> None:
    text = script()
    for word in ("fetch(", "XMLHttpRequest", "import(", "eval(", "http:", "https:", "localStorage"):
        assert word not in text


@pytest.mark.parametrize(
    ("along", "down", "names", "turned", "sides"),
    [
        ((0, 0, 1), (0, 1, 0), ("Axial", "Coronal"), True, ("R", "L", "H", "F")),
        ((0, 0, -1), (0, 1, 0), ("Axial", "Coronal"), False, ("R", "L", "H", "F")),
        ((0, 1, 0), (0, 0, -1), ("Coronal", "Axial"), False, ("R", "L", "A", "P")),
    ],
)
def test_a_reformat_has_the_head_or_the_front_up(
    along: Any, down: Any, names: Any, turned: bool, sides: Any
) -> None:
    geometry = Geometry(
        shape=(4, 5, 6), spacing_mm=(1, 1, 1), slice_direction=along, row_direction=down
    )
    assert (plane_name(along), plane_name(down)) == names
    assert is_upside_down(geometry) == turned
    assert reformat_sides(geometry) == sides
