"""All images of a run on one sheet, each over what it was to be."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from isocenter.modelpack.generator.wish import Box

CONTACT_SHEET_NAME = "contact_sheet.png"
MOST_TILES = 100
_TILE, _GAP, _TEXT_PX, _LINES = 192, 8, 12, 4
_LINE_PX = _TEXT_PX + 4
_HEADING_PX = 3 * _LINE_PX
_LIGHT, _BACKGROUND, _BOX_COLOR = (235, 235, 235), (16, 16, 16), (255, 190, 40)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture of a sheet.

    Attributes:
        picture: (rows, columns) or (rows, columns, 3), uint8.
        caption: below it.
        box: drawn as a thin frame, None for none.
    """

    picture: NDArray[np.uint8]
    caption: str
    box: Box | None = None


@dataclass
class ContactSheet:
    """Collects tiles, shrunk to their final size, and draws the sheet.

    Attributes:
        heading: above all.
        total: images in the run; those beyond :data:`MOST_TILES` are not shown, and it says so.
    """

    heading: str
    total: int
    _tiles: dict[int, Tile] = field(default_factory=dict)

    def add(self, number: int, tile: Tile) -> None:
        """Take the picture of an image; its number, from 1, gives the place."""
        if number <= MOST_TILES:
            self._tiles[number] = Tile(
                picture=_shrunk(tile.picture), caption=tile.caption, box=tile.box
            )

    def drawn(self) -> Image.Image:
        """The sheet."""
        tiles = [self._tiles[number] for number in sorted(self._tiles)]
        heading = self.heading
        if self.total > len(tiles):
            heading += f" The first {len(tiles)} of {self.total}."
        return sheet(heading, tiles)


def windowed(values: NDArray, window: tuple[float, float]) -> NDArray[np.uint8]:
    """Values in a window of center and width, (rows, columns), as gray levels."""
    center, width = window
    share = (values.astype(np.float64) - center + width / 2) / width
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def sheet(heading: str, tiles: Sequence[Tile]) -> Image.Image:
    """A grid of pictures with captions."""
    across = max(1, min(8, math.ceil(math.sqrt(len(tiles)))))
    across = max(across, 2)  # room for the heading
    down = math.ceil(len(tiles) / across)
    cell = _TILE + _LINES * _LINE_PX
    size = (
        across * (_TILE + _GAP) + _GAP,
        _HEADING_PX + down * (cell + _GAP) + _GAP,
    )
    drawn = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(size=_TEXT_PX)
    _write(pen, font, heading, (_GAP, _GAP), size[0] - 2 * _GAP, lines=2)
    for place, tile in enumerate(tiles):
        left = _GAP + place % across * (_TILE + _GAP)
        top = _HEADING_PX + _GAP + place // across * (cell + _GAP)
        _place(drawn, pen, tile, left, top)
        _write(pen, font, tile.caption, (left, top + _TILE + 2), _TILE, lines=_LINES)
    return drawn


def _place(drawn: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> None:
    """A picture in the middle of its square."""
    picture = Image.fromarray(_shrunk(tile.picture))
    width, height = picture.size
    left, top = left + (_TILE - width) // 2, top + (_TILE - height) // 2
    drawn.paste(picture, (left, top))
    if tile.box is not None:
        x, y, wide, high = tile.box
        corners = (
            left + (x - wide / 2) * width,
            top + (y - high / 2) * height,
            left + (x + wide / 2) * width,
            top + (y + high / 2) * height,
        )
        pen.rectangle(corners, outline=_BOX_COLOR)


def _shrunk(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture whose longer side is that of a tile."""
    scale = _TILE / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def _write(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    text: str,
    place: tuple[int, int],
    width: int,
    *,
    lines: int,
) -> None:
    letter_px = max(font.getlength("n"), 1.0)
    wrapped = textwrap.wrap(text, max(int(width / letter_px), 8), max_lines=lines, placeholder=" …")
    for number, line in enumerate(wrapped):
        pen.text((place[0], place[1] + number * _LINE_PX), line, _LIGHT, font)
