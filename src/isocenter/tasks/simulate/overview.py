"""A picture of some slices of all contrasts, with the outline of lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.physics.phantom.choices import ADC
from isocenter.physics.phantom.scan import Slice
from isocenter.tasks.generate.contact_sheet import Tile, sheet, windowed
from isocenter.tasks.generate.png_files import save_png

OVERVIEW_NAME = "overview.png"
_ADC_WINDOW = (1250.0, 2500.0)
_SHOWN_PERCENT, _ABOVE = 99.0, 1.25
_OUTLINE = (255, 190, 40)
_LEAST_PIXELS = 20


class Overview:
    """Keeps the slice with most lesion, and one from the middle, as slices pass by."""

    def __init__(self, num_slices: int, contrasts: Sequence[str]) -> None:
        self._middle = round(0.58 * (num_slices - 1))
        self._contrasts = tuple(contrasts)
        self._most = 0
        self._kept: dict[str, Slice] = {}

    def add(self, one: Slice) -> None:
        """Take a slice."""
        if one.index == self._middle:
            self._kept["middle"] = one
        if (size := int(np.count_nonzero(one.lesions))) > self._most:
            self._most, self._kept["most lesion"] = size, one

    def save(self, folder: Path, *, heading: str, said: Mapping[str, Any]) -> Path:
        """Write the picture."""
        path = folder / OVERVIEW_NAME
        save_png(sheet(heading, self._tiles()), path, said=said)
        return path

    def _tiles(self) -> list[Tile]:
        tiles = []
        for why, one in self._kept.items():
            for name in self._contrasts:
                picture = _shown(one.images[name], name, one.brain)
                caption = f"{name}, slice {one.index + 1} ({why})"
                tiles.append(Tile(picture=picture, caption=caption))
            if one.lesions.any():
                first = _shown(one.images[self._contrasts[0]], self._contrasts[0], one.brain)
                tiles.append(
                    Tile(picture=_outlined(first, one.lesions), caption="the lesion's outline")
                )
        return tiles


def _shown(image: NDArray, name: str, brain: NDArray) -> NDArray[np.uint8]:
    if name == ADC:
        return windowed(image, _ADC_WINDOW)
    part = image[brain] if np.count_nonzero(brain) >= _LEAST_PIXELS else image
    top = _ABOVE * max(float(np.percentile(part, _SHOWN_PERCENT)), 1.0)
    return windowed(image, (top / 2, top))


def _outlined(picture: NDArray[np.uint8], lesions: NDArray) -> NDArray[np.uint8]:
    mask = lesions > 0
    edge = mask & ~ndimage.binary_erosion(mask)
    colored = np.repeat(picture[..., None], 3, -1)
    colored[edge] = _OUTLINE
    return colored
