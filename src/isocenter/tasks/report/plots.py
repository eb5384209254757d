"""Curves as SVG inside a page: axes, ticks, a few series and their names, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

BEFORE_COLOR = "#8a94a0"
AFTER_COLOR = "#0b5cad"
REMOVED_COLOR = "#b25c00"

WIDTH, HEIGHT = 340, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 38
_NUM_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One series.

    Attributes:
        name: for the legend.
        x, y: the points in order; those that are not finite are left out.
        color: of line and marks, as CSS writes it.
        mark: "circle", "square" or "" for the line alone.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str
    mark: str = ""

    @property
    def points(self) -> list[tuple[float, float]]:
        """Those that can be drawn."""
        pairs = zip(self.x, self.y, strict=True)
        return [(float(x), float(y)) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """From values to places along one side of the drawing."""

    low: float
    high: float
    start: float
    end: float
    step: float

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]

    def text(self, value: float) -> str:
        digits = max(0, -math.floor(math.log10(self.step) + 1e-9))
        return f"{value:.{digits}f}".replace("-", "−")


def line_plot(
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    description: str,
    x_limits: tuple[float, float] | None = None,
    whole_x: bool = False,
) -> str:
    """A drawing of curves over a common axis, as an SVG element; y begins at zero.

    Args:
        curves: what to draw, first to last.
        x_label, y_label: what the axes show, with units.
        description: for those who do not see it.
        x_limits: of the axis; None begins at zero and ends with the last point.
        whole_x: put ticks on whole numbers only.
    """
    points = [point for curve in curves for point in curve.points]
    x_low, x_high = x_limits or (0.0, max((x for x, _ in points), default=1.0))
    across = _axis(x_low, x_high, _LEFT, WIDTH - _RIGHT, whole=whole_x)
    top = max((y for _, y in points), default=1.0)
    up = _axis(0.0, 1.06 * top if top > 0 else 1.0, HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">',
        *_frame(across, up, x_label, y_label),
        *(part for curve in curves for part in _drawn(curve, across, up)),
        *_legend(curves, across, up),
        "</svg>",
    ]
    return "".join(parts)


def _axis(low: float, high: float, start: float, end: float, *, whole: bool = False) -> _Axis:
    """An axis with ticks at 1, 2 or 5 times a power of ten."""
    if high <= low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / _NUM_STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * (1 - 1e-9))
    return _Axis(low=low, high=high, start=start, end=end, step=max(1.0, step) if whole else step)


def _frame(across: _Axis, up: _Axis, x_label: str, y_label: str) -> list[str]:
    parts = []
    for value in across.ticks:
        x = across.place(value)
        parts.append(_line(x, up.start, x, up.end, "grid"))
        parts.append(_text(x, up.start + 14, across.text(value), "middle"))
    for value in up.ticks:
        y = up.place(value)
        parts.append(_line(across.start, y, across.end, y, "grid"))
        parts.append(_text(across.start - 6, y + 3.5, up.text(value), "end"))
    parts.append(_line(across.start, up.start, across.end, up.start, "axis"))
    parts.append(_line(across.start, up.start, across.start, up.end, "axis"))
    middle = (up.start + up.end) / 2
    parts.append(_text((across.start + across.end) / 2, HEIGHT - 6, x_label, "middle", "name"))
    turned = f'transform="rotate(-90 11 {middle:.1f})"'
    parts.append(_text(11, middle, y_label, "middle", "name", turned))
    return parts


def _drawn(curve: Curve, across: _Axis, up: _Axis) -> list[str]:
    places = [(across.place(x), up.place(y)) for x, y in curve.points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline class="curve" stroke="{curve.color}" points="{line}"/>']
    return parts + [_mark(curve, x, y) for x, y in places if curve.mark]


def _mark(curve: Curve, x: float, y: float) -> str:
    if curve.mark == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{curve.color}"/>'
    return f'<rect x="{x - 2:.1f}" y="{y - 2:.1f}" width="4" height="4" fill="{curve.color}"/>'


def _legend(curves: Sequence[Curve], across: _Axis, up: _Axis) -> list[str]:
    """Names where the curves leave most room: at the right, above or below the middle."""
    height = 15 * len(curves)
    top = _TOP + 4 if _room_above(curves, across, up, height) else up.start - height - 4
    parts = []
    for number, curve in enumerate(curves):
        y = top + 15 * number + 7
        x = across.end - 12
        parts.append(
            f'<line x1="{x - 6:.1f}" y1="{y:.1f}" x2="{x + 10:.1f}" y2="{y:.1f}" class="curve" '
            f'stroke="{curve.color}"/>'
        )
        if curve.mark:
            parts.append(_mark(curve, x + 2, y))
        parts.append(_text(x - 12, y + 3.5, curve.name, "end"))
    return parts


def _room_above(curves: Sequence[Curve], across: _Axis, up: _Axis, height: float) -> bool:
    """Whether no curve passes through the right upper corner, or more pass through the lower."""
    middle = (across.start + across.end) / 2
    right = [up.place(y) for curve in curves for x, y in curve.points if across.place(x) >= middle]
    above = sum(y < _TOP + height + 8 for y in right)
    below = sum(y > up.start - height - 8 for y in right)
    return above <= below


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(
    x: float, y: float, text: str, anchor: str, kind: str = "tick", attributes: str = ""
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {attributes}>'
        f"{escape(text)}</text>"
    )
