"""Other images that guide an image: from PNG, NumPy and NIfTI files, or arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.files import named_path
from isocenter.image.volume_files import is_volume_file
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import checked_reference
from isocenter.tasks.generate.flat_volume import read_flat_volume
from isocenter.tasks.generate.image_files import stored_in_png
from isocenter.tasks.generate.masks import ENDINGS, read_npy
from isocenter.tasks.generate.png_files import read_png


def read_reference(image: str | Path | NDArray, family: Family) -> NDArray[np.float32]:
    """Another image, (rows, columns) in the family's unit.

    Args:
        image: a file, or the values themselves. In a PNG, black is the family's lowest value and
            white its highest.
        family: that is to be told it.

    Raises:
        InputRefused: no such file, of another kind, not flat, or not of gray levels.
    """
    if not isinstance(image, str | Path):
        return checked_reference(image)
    path = named_path(image)
    if not path.is_file():
        raise UnreadableInput(
            "the reference image does not exist, or is no plain file", reason="no_such_input"
        )
    if is_volume_file(path):
        return checked_reference(read_flat_volume(path, unit=family.unit).values)
    if path.suffix.lower() == ".npy":
        return checked_reference(read_npy(path))
    if path.suffix.lower() != ".png":
        raise InputRefused(f"a reference image is a {ENDINGS} file; other files are not read")
    png = read_png(path)
    if not png.is_gray:
        raise InputRefused(
            "the reference image has a palette, or is of black and white alone; save it as gray "
            "levels of 8 or 16 bits"
        )
    stored = stored_in_png(family, bits=png.bits)
    values = png.levels.astype(np.float64) * stored.slope + stored.intercept
    return checked_reference(values.clip(family.low, family.high))
