"""Whole values for a viewer inside a page: packed without loss, unpacked by ``viewer.js``.

A plane holds 16-bit numbers. Each is foretold from its neighbors at the left, above and between
(the median rule of JPEG-LS), what is left is folded to small positive numbers, split into high and
low bytes and deflated. Inflating checks itself (Adler-32), so a damaged page shows no wrong value.

Sources: Weinberger, Seroussi, Sapiro, IEEE Trans. Image Process. 9:1309, 2000; RFC 1950.
"""

from __future__ import annotations

import base64
import json
import zlib
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.volume import Geometry, Vector
from isocenter.tasks.report.colors import palette
from isocenter.tasks.report.content import Plane, Viewer
from isocenter.tasks.report.pictures import OPPOSITE, letter

SCRIPT = "viewer.js"
RING_MM = 8.0
HINT = "Point at the picture or touch it for its values; click it to use the wheel and the keys."
_LOWEST, _HIGHEST = -32768, 32767
# Deflate finds no more in noise, and trying takes five times as long.
_EFFORT = 6


def script() -> str:
    """The program that shows what was packed."""
    text = resources.files("isocenter.tasks.report").joinpath(SCRIPT).read_text(encoding="utf-8")
    assert "</script" not in text  # it would end the element that it stands in
    return text


def stored(values: NDArray, *, step: float) -> NDArray:
    """Values in whole steps, int16; what lies beyond is clipped."""
    return np.clip(np.rint(values / step), _LOWEST, _HIGHEST).astype(np.int16)


def packed(numbers: NDArray, *, step: float) -> Plane:
    """A (row, column) image of int16 as text; see the head of this file."""
    whole = numbers.astype(np.int32)
    residual = (whole - _foretold(whole)).astype(np.int16).astype(np.int32)  # wraps
    folded = ((residual << 1) ^ (residual >> 15)) & 0xFFFF
    content = (folded >> 8).astype(np.uint8).tobytes() + (folded & 0xFF).astype(np.uint8).tobytes()
    return Plane(data=base64.b64encode(zlib.compress(content, _EFFORT)).decode(), step=step)


def _foretold(whole: NDArray) -> NDArray:
    left, up, corner = (np.zeros_like(whole) for _ in range(3))
    left[:, 1:] = whole[:, :-1]
    up[1:] = whole[:-1]
    corner[1:, 1:] = whole[:-1, :-1]
    return np.clip(left + up - corner, np.minimum(left, up), np.maximum(left, up))


def settings_of(viewer: Viewer) -> dict[str, Any]:
    """What the script is told beside the planes, ready for JSON."""
    names = {"gray", *(layer.palette for layer in viewer.layers if layer.palette)}
    return {
        "unit": viewer.unit,
        "start": viewer.start,
        "hint": HINT,
        "ring_mm": RING_MM,
        "palettes": {
            name: base64.b64encode(palette(name).tobytes()).decode() for name in sorted(names)
        },
        "layers": [
            {
                "key": layer.key,
                "letter": layer.letter,
                "name": layer.name,
                "of": layer.of,
                "mark": layer.mark,
                "colors": layer.palette,
                "low": layer.low,
                "high": layer.high,
                "caption": layer.caption,
                "sign": layer.sign,
                "digits": layer.digits,
            }
            for layer in viewer.layers
        ],
        "windows": [
            {"name": window.name, "low": window.limits[0], "high": window.limits[1]}
            for window in viewer.windows
        ],
        "stacks": [
            {
                "name": stack.name,
                "focus": stack.focus,
                "start": stack.start,
                "frames": [
                    {
                        "heading": frame.heading,
                        "shape": frame.shape,
                        "spacing": frame.spacing_mm,
                        "sides": frame.sides,
                        "lines": frame.lines,
                        "steps": {key: plane.step for key, plane in frame.planes.items()},
                    }
                    for frame in stack.frames
                ],
            }
            for stack in viewer.stacks
        ],
    }


def settings_text(viewer: Viewer) -> str:
    """The same as JSON that may stand in a page: nothing in it can end an element."""
    text = json.dumps(settings_of(viewer), ensure_ascii=False, allow_nan=False)
    for sign, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(sign, escaped)
    return text


def plane_name(normal: Vector) -> str:
    """Name of a plane across a direction."""
    return {"H": "Axial", "F": "Axial", "A": "Coronal", "P": "Coronal"}.get(
        letter(normal), "Sagittal"
    )


def is_upside_down(geometry: Geometry) -> bool:
    """Whether slices stacked from top to bottom must be turned for the head or front to be up."""
    return letter(geometry.slice_direction) in "HA"


def reformat_sides(geometry: Geometry) -> tuple[str, str, str, str]:
    """Letters of a picture across the rows, slices from top to bottom, turned where it must be."""
    right, bottom = letter(geometry.column_direction), letter(geometry.slice_direction)
    if is_upside_down(geometry):
        bottom = OPPOSITE[bottom]
    return OPPOSITE[right], right, OPPOSITE[bottom], bottom
