"""Palettes, made of a few anchor colors by equal steps of lightness."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

NUM_COLORS = 256
# Dark violet over blue and green to light yellow; lightness rises evenly.
_SEQUENTIAL = ("#1b0c3f", "#2a4b8c", "#1f8a85", "#7cbf4a", "#fbf3a0")
# Light yellow over orange to dark red, unlike any gray; lightness falls evenly.
_OVERLAY = ("#ffe95c", "#ffab1f", "#ee5a24", "#c4133a", "#8a0653")
_COLD, _WARM, _WHITE = ("#0b2a66", "#3f7fc0"), ("#c8553d", "#6b0f1a"), "#ffffff"

# Linear sRGB to XYZ over the white point D65 (IEC 61966-2-1).
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE_XYZ = _TO_XYZ.sum(axis=1)


@cache
def palette(name: str) -> NDArray:
    """256 colors, (color, 3) uint8: by name; read-only.

    "gray", "sequential", "diverging", or "overlay" for what lies over a gray image.
    """
    if name == "gray":
        colors = np.repeat(np.arange(NUM_COLORS, dtype=np.uint8)[:, None], 3, axis=1)
    elif name == "sequential":
        colors = _along(_SEQUENTIAL, NUM_COLORS)
    elif name == "overlay":
        colors = _along(_OVERLAY, NUM_COLORS)
    elif name == "diverging":
        half = NUM_COLORS // 2
        cold = _along((*_COLD, _WHITE), half)
        warm = _along((_WHITE, *_WARM), half)
        colors = np.concatenate([cold, warm])
    else:
        known = '"gray", "sequential", "diverging" or "overlay"'
        raise ValueError(f"a palette is {known}, got {name!r}")
    colors.flags.writeable = False
    return colors


def lab_of(colors: NDArray) -> NDArray:
    """CIE 1976 L*a*b* of sRGB colors, (..., 3) with values from 0 to 255.

    Source: CIE 15, Colorimetry; IEC 61966-2-1.
    """
    values = np.asarray(colors, float) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _TO_XYZ.T / _WHITE_XYZ
    x, y, z = np.moveaxis(
        np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _srgb_of(lab: NDArray) -> NDArray:
    """The reverse of :func:`lab_of`, clipped to what a screen shows, uint8."""
    y = (lab[..., 0] + 16) / 116
    xyz = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    ratio = np.where(xyz > 6 / 29, xyz**3, 3 * (6 / 29) ** 2 * (xyz - 4 / 29))
    linear = np.clip(ratio * _WHITE_XYZ @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    values = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)


def _along(anchors: tuple[str, ...], num_colors: int) -> NDArray:
    """Colors on the way through the anchors, by equal steps of lightness."""
    rgb = np.array([[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in anchors])
    lab = lab_of(rgb)
    place = lab[:, 0]
    if place[0] > place[-1]:
        return _along(anchors[::-1], num_colors)[::-1].copy()
    wanted = np.linspace(place[0], place[-1], num_colors)
    return _srgb_of(np.stack([np.interp(wanted, place, channel) for channel in lab.T], axis=-1))
