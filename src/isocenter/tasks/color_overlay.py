"""A map in color over the image that it is of, with a legend and a statement below."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from isocenter.core.outputs import MapOutput
from isocenter.tasks.report.colors import NUM_COLORS, palette

MOST_OPACITY = 0.8
"""Of the color where the map reaches the end of its window; anatomy stays visible below."""

_MIDDLE_GRAY = 96
_TEXT_COLOR = (230, 230, 230)
_LEAST_TEXT_PX, _MOST_TEXT_PX = 9, 16


@dataclass(frozen=True)
class ColorOverlay:
    """Draws slices of one series, all by the same scales, so that they can be compared.

    The color's opacity rises with the map's value: where it is 0 the image is as it was.

    Attributes:
        map: what is drawn; its window is that of the colors.
        gray_window: lowest and highest value of the image behind.
        columns: of every slice.
        statement: what a reader must see first.
    """

    map: MapOutput
    gray_window: tuple[float, float]
    columns: int
    statement: str

    def __call__(self, image: NDArray, values: NDArray) -> NDArray:
        """The picture of a slice, (row + rows of the legend, column, color) uint8."""
        gray = _share(image, self.gray_window) * 255
        picture = over_gray(gray, _share(values, self.map.window))
        return np.concatenate([picture, self.legend])

    @cached_property
    def legend(self) -> NDArray:
        """A bar of the colors over a middle gray, its numbers and the statement."""
        font = self._font
        line_px, margin = self._text_px + 4, self._text_px // 2
        texts = self._lines()
        bar_px = max(self._text_px, 8)
        height = 2 * margin + line_px * (len(texts) + 2) + bar_px
        strip = Image.new("RGB", (self.columns, height))
        draw = ImageDraw.Draw(strip)
        top = margin
        for text in self._title():
            draw.text((margin, top), text, _TEXT_COLOR, font)
            top += line_px
        width = max(self.columns - 2 * margin, 2)
        shares = np.broadcast_to(np.linspace(0, 1, width), (bar_px, width))
        bar = over_gray(np.full(shares.shape, float(_MIDDLE_GRAY)), shares)
        strip.paste(Image.fromarray(bar), (margin, top))
        top += bar_px + 2
        anchors = {0.0: "la", 0.5: "ma", 1.0: "ra"}
        if self.columns < 14 * self._text_px:
            del anchors[0.5]  # no room between the ends
        for share, anchor in anchors.items():
            place = (margin + share * (width - 1), top)
            draw.text(place, self._number(share), _TEXT_COLOR, font, anchor=anchor)
        top += line_px
        for text in texts[len(self._title()) :]:
            draw.text((margin, top), text, _TEXT_COLOR, font)
            top += line_px
        return np.asarray(strip)[: top + margin]

    def _lines(self) -> list[str]:
        return [*self._title(), *self._wrapped(self.statement)]

    def _title(self) -> list[str]:
        unit = f", {self.map.unit.name}" if self.map.unit.name else ""
        return self._wrapped(f"Color: {self.map.quantity.meaning}{unit}")

    def _wrapped(self, text: str) -> list[str]:
        letter_px = max(self._font.getlength("n"), 1.0)
        return textwrap.wrap(text, max(int((self.columns - self._text_px) / letter_px), 8))

    def _number(self, share: float) -> str:
        low, high = self.map.window
        ends = {0.0: "or less" if low > 0 else "", 1.0: "or more"}
        return f"{low + share * (high - low):g} {ends.get(share, '')}".strip()

    @property
    def _text_px(self) -> int:
        return int(np.clip(self.columns / 36, _LEAST_TEXT_PX, _MOST_TEXT_PX))

    @cached_property
    def _font(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(size=self._text_px)


def over_gray(gray: NDArray, share: NDArray) -> NDArray:
    """Colors over gray, (row, column, color) uint8.

    Args:
        gray: (row, column), 0 to 255.
        share: same shape, 0 to 1: place in the palette; the opacity rises with it.
    """
    colors = palette("overlay")[np.rint(share * (NUM_COLORS - 1)).astype(int)]
    opacity = (MOST_OPACITY * share)[..., None]
    return np.rint(gray[..., None] * (1 - opacity) + colors * opacity).astype(np.uint8)


def _share(values: NDArray, window: tuple[float, float]) -> NDArray:
    low, high = window
    return np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
