"""Picture files opened with care, whoever made them; what their pixels mean the caller decides."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image

from isocenter.core.errors import InputRefused, UnreadableInput

MOST_SIDE = 8192
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
DEEP = ("I", "I;16", "I;16B", "I;16L")
"""Kinds of pixels, as Pillow names them, of 8 bits a channel and of more."""


def open_picture(
    path: Path, *, what: str = "the picture", formats: tuple[str, ...] = ("PNG", "JPEG")
) -> Image.Image:
    """A picture with all its pixels in memory; its first one where a file holds several.

    Args:
        path: of the file.
        what: how messages call it.
        formats: that are read, as Pillow names them.

    Raises:
        UnreadableInput: there is no such file, or it is damaged or of another format.
        InputRefused: more than 8192 pixels a side.
    """
    try:
        with warnings.catch_warnings(), Image.open(path, formats=formats) as picture:
            warnings.simplefilter("ignore")  # of parts of the file that are not needed
            if max(picture.size) > MOST_SIDE:
                raise InputRefused(
                    f"{what} is {picture.size[0]} x {picture.size[1]} pixels; up to "
                    f"{MOST_SIDE} x {MOST_SIDE} are read"
                )
            picture.load()
            return picture
    except InputRefused:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableInput(
            f"{what} is missing, damaged or no {' or '.join(formats)} file "
            f"({type(error).__name__}); save it again"
        ) from error
