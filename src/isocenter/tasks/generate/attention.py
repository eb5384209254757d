"""Where in an image each word of its text acted, in color over the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isocenter.modelpack.generator.wish import Generated
from isocenter.tasks.color_overlay import over_gray
from isocenter.tasks.generate.contact_sheet import Tile, sheet, windowed

ATTENTION_FOLDER = "attention"


def attention_sheet(image: Generated, window: tuple[float, float]) -> Image.Image:
    """One tile a word, in the order of the text: the image, and in color where the word acted.

    Full color is where it acted most, so words are compared by place and not by strength; the
    caption says how far a word is from acting evenly (1) everywhere.
    """
    gray = windowed(image.values, window)
    tiles = [Tile(picture=gray, caption="image")]
    for word, shares in image.words.items():
        highest = float(shares.max())
        relative = shares / highest if highest > 0 else np.zeros_like(shares)
        times = highest * shares.size
        tiles.append(
            Tile(
                picture=over_gray(gray.astype(np.float64), relative.astype(np.float64)),
                caption=f"{word}   up to {times:.1f} x even",
            )
        )
    return sheet(f"Where each word acted: “{image.wish.text}”", tiles)


def check_maps(words: dict[str, NDArray], shape: tuple[int, int]) -> bool:
    """Whether all maps are of an image's size, finite and not negative."""
    return all(
        one.shape == shape and bool(np.isfinite(one).all()) and bool((one >= 0).all())
        for one in words.values()
    )
