"""Curves lie where their values say, and the drawing is a well-formed picture."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import pytest

from isocenter.tasks.report.plots import HEIGHT, WIDTH, Curve, line_plot


def drawn(*curves: Curve, **options: Any) -> ElementTree.Element:
    svg = line_plot(
        list(curves), x_label="x (mm)", y_label="y <HU>", description="a & b", **options
    )
    return ElementTree.fromstring(svg)


def places(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    return [
        [
            (float(x), float(y))
            for x, y in (pair.split(",") for pair in line.get("points", "").split())
        ]
        for line in svg.iter("polyline")
    ]


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in svg.iter("text")]


def test_a_straight_line_is_drawn_straight_and_upwards() -> None:
    ((a, b, c),) = places(drawn(Curve(name="one", x=[0, 1, 2], y=[0, 5, 10], color="#123")))
    assert b == pytest.approx(((a[0] + c[0]) / 2, (a[1] + c[1]) / 2), abs=0.1)
    assert c[0] > a[0]
    assert c[1] < a[1]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in (a, b, c))


def test_axes_have_round_ticks_and_names_and_the_legend_every_series() -> None:
    curves = [
        Curve(name=name, x=[1, 8], y=[3, 18], color="#123", mark=mark)
        for name, mark in (("before", "circle"), ("after", "square"))
    ]
    words = texts(drawn(*curves, x_limits=(1, 8), whole_x=True))
    assert {"x (mm)", "y <HU>", "before", "after", "0", "5", "15"} <= set(words)
    assert not [word for word in words if word in ("1.5", "2.5")]


def test_what_is_no_number_is_left_out() -> None:
    (line,) = places(drawn(Curve(name="one", x=[0, 1, 2], y=[1, math.nan, 3], color="#123")))
    assert len(line) == 2


@pytest.mark.parametrize("y", [[], [math.nan], [0.0], [7.0]])
def test_hardly_any_points_still_give_axes(y: list[float]) -> None:
    svg = drawn(Curve(name="one", x=[3] * len(y), y=y, color="#123"), x_limits=(3, 3), whole_x=True)
    assert {"3", "x (mm)", "one"} <= set(texts(svg))
    assert "nan" not in ElementTree.tostring(svg, encoding="unicode")
