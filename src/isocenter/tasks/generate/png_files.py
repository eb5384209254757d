"""Gray PNG files: read within limits, and written with what says that they are synthetic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from isocenter.core.errors import InputRefused
from isocenter.core.files import appearing_whole
from isocenter.core.version import __version__
from isocenter.image.picture_files import DEEP, open_picture

STATEMENT = "Synthetic image made by a model. It shows no patient. Not for diagnosis."


@dataclass(frozen=True, kw_only=True)
class Png:
    """A gray picture.

    Attributes:
        levels: (rows, columns), uint8 or uint16.
        bits: 8 or 16.
        is_gray: whether levels are gray; not so numbers of a palette, or black and white alone.
    """

    levels: NDArray
    bits: int
    is_gray: bool = True

    @property
    def highest(self) -> int:
        """The level of white."""
        return int(2**self.bits - 1)


def read_png(path: Path) -> Png:
    """A gray or palette PNG; of a palette, the numbers and not the colors.

    Raises:
        UnreadableInput: no PNG, or damaged.
        InputRefused: in color, or larger than pictures are.
    """
    picture = open_picture(path, formats=("PNG",))
    if picture.mode not in ("1", "L", "P", *DEEP):
        raise InputRefused(
            "the picture is in color or has transparency; give one of gray levels, such as saved "
            "in mode L or I;16"
        )
    levels, is_gray = np.asarray(picture), picture.mode not in ("1", "P")
    if levels.dtype in (np.uint8, np.bool_):
        return Png(levels=levels.astype(np.uint8), bits=8, is_gray=is_gray)
    return Png(levels=levels.astype(np.uint16), bits=16)


def save_png(picture: NDArray | Image.Image, path: Path, *, said: Mapping[str, Any]) -> None:
    """Write a picture whole, with the statement and what made it in text chunks.

    Args:
        picture: (rows, columns) of uint8 or uint16, (rows, columns, 3) of uint8, or drawn.
        said: what made it, ready for JSON.
    """
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture)
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Software", f"Isocenter {__version__}")
    chunks.add_text("Synthetic", "YES")
    chunks.add_text("Description", STATEMENT)
    chunks.add_itxt("Isocenter", json.dumps(dict(said), sort_keys=True, ensure_ascii=False))
    with appearing_whole(path) as part:
        picture.save(part, format="PNG", pnginfo=chunks)


def stated_in_png(path: Path) -> dict[str, Any]:
    """What :func:`save_png` wrote beside the pixels, "Isocenter" read out of JSON."""
    with Image.open(path, formats=("PNG",)) as picture:
        texts = dict(picture.info)
    found = {name: str(texts[name]) for name in ("Software", "Synthetic", "Description")}
    return {**found, "Isocenter": json.loads(texts["Isocenter"])}
