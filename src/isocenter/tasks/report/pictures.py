"""Slices as PNG data URIs, at the scan's resolution, for pages that stand alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from isocenter.core.volume import Geometry
from isocenter.tasks.report.colors import NUM_COLORS, palette
from isocenter.tasks.report.content import Panel, Pictures

Box = tuple[slice, slice]
OPPOSITE = dict(zip("LRAPHF", "RLPAFH", strict=True))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values become colors.

    Attributes:
        label: what is shown, in words.
        low, high: values of the first and last color.
        unit: of the values, "" for none.
        colors: "gray", "sequential" or "diverging".
    """

    label: str
    low: float
    high: float
    unit: str
    colors: str = "gray"

    @classmethod
    def window(cls, label: str, *, center: float, width: float, unit: str) -> Scale:
        """A display window as radiologists name it."""
        return cls(label=label, low=center - width / 2, high=center + width / 2, unit=unit)

    @property
    def digits(self) -> int:
        """Decimals that tell the ends apart."""
        return max(0, 1 - int(np.floor(np.log10(self.high - self.low))))

    def text(self, value: float) -> str:
        """A value as the legend writes it."""
        return f"{value:.{self.digits}f}".replace("-", "−")

    @property
    def ticks(self) -> tuple[str, str, str]:
        """Values at the start, middle and end, in words, the last with the unit."""
        values = (self.low, (self.low + self.high) / 2, self.high)
        start, middle, end = (self.text(value) for value in values)
        sign = "+" if self.low == -self.high else ""
        return start, middle, f"{sign}{end} {self.unit}".rstrip()


def panel(title: str, image: NDArray, scale: Scale, *, where: str, mark: str = "") -> Panel:
    """One (row, column) image with its legend; ``where`` begins its description."""
    return Panel(
        title=title,
        label=scale.label,
        picture=png(image, scale),
        bar=_bar(scale),
        ticks=scale.ticks,
        description=f"{where}, {title.lower()}, {scale.label}: "
        f"{scale.low:.{scale.digits}f} to {scale.high:.{scale.digits}f} {scale.unit}".rstrip(),
        mark=mark,
    )


def pictures(
    heading: str,
    rows: Sequence[Sequence[Panel]],
    box: Box,
    geometry: Geometry,
) -> Pictures:
    """Rows of panels that show the same box of one slice."""
    height, width = (
        (side.stop - side.start) * step
        for side, step in zip(box, geometry.spacing_mm[1:], strict=True)
    )
    return Pictures(
        heading=heading,
        rows=tuple(tuple(row) for row in rows),
        aspect=width / height,
        sides=sides(geometry),
    )


def sides(geometry: Geometry) -> tuple[str, str, str, str]:
    """Letters for left, right, top and bottom of the picture: R, L, A, P, H or F."""
    right = letter(geometry.column_direction)
    bottom = letter(geometry.row_direction)
    return OPPOSITE[right], right, OPPOSITE[bottom], bottom


def letter(direction: tuple[float, float, float]) -> str:
    """The side of the patient that a direction leads to, as nearly as one letter can say."""
    axis = int(np.argmax(np.abs(direction)))
    return ("LR", "PA", "HF")[axis][int(direction[axis] < 0)]


def whole(shape: tuple[int, ...]) -> Box:
    """The box of a whole slice."""
    return slice(0, shape[0]), slice(0, shape[1])


def box_around(mask: NDArray, *, margin_mm: float, spacing_mm: tuple[float, ...]) -> Box:
    """The box of all that is True, and a margin; the whole slice where nothing is."""
    if not mask.any():
        return whole(mask.shape)
    rows, columns = (
        _extent(places, round(margin_mm / step), size)
        for places, step, size in zip(np.nonzero(mask), spacing_mm, mask.shape, strict=True)
    )
    return rows, columns


def _extent(places: NDArray, margin: int, size: int) -> slice:
    return slice(max(0, int(places.min()) - margin), min(size, int(places.max()) + 1 + margin))


def png(image: NDArray, scale: Scale) -> str:
    """A (row, column) image as the data URI of an 8-bit PNG with the scale's palette."""
    from PIL import Image

    share = (np.asarray(image, float) - scale.low) / (scale.high - scale.low)
    levels = np.clip(share * (NUM_COLORS - 1), 0, NUM_COLORS - 1)
    picture = Image.fromarray(np.rint(levels).astype(np.uint8))
    if scale.colors != "gray":
        picture.putpalette(palette(scale.colors).tobytes())
    stream = io.BytesIO()
    # Noise does not shrink further, and trying takes ten times as long.
    picture.save(stream, format="PNG", compress_level=4)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


@cache
def _bar(scale: Scale) -> str:
    return png(np.linspace(scale.low, scale.high, NUM_COLORS)[None, :], scale)
