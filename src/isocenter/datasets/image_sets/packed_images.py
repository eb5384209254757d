"""Many small image files out of one ZIP file, and the table beside it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.errors import UnreadableInput
from isocenter.core.image_folders import table_rows

_THREADS = 4


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file with a header.

    Raises:
        UnreadableInput: it is not there, is no table, or lacks a column.
        InputRefused: a column stands there twice.
    """
    try:
        rows = table_rows(path)
    except OSError as error:
        raise UnreadableInput(
            f"{path.name} cannot be read ({type(error).__name__}); a CSV file with the columns "
            f"{', '.join(columns)} is needed"
        ) from error
    lacking = [name for name in columns if not rows or name not in rows[0]]
    if lacking:
        raise UnreadableInput(
            f"{path.name} has no rows or lacks {', '.join(lacking)}; it needs the columns "
            f"{', '.join(columns)}"
        )
    return rows


def read_packed_images(path: Path, names: Sequence[str], *, size: tuple[int, int]) -> NDArray:
    """Decode image files of a ZIP file as gray images.

    Args:
        path: of the ZIP file.
        names: of the files in it, in the order wanted.
        size: rows and columns; images of another size are resized (antialiased).

    Returns:
        (image, row, column) uint8.

    Raises:
        UnreadableInput: the ZIP file or a file in it is missing or damaged.
    """
    images = np.empty((len(names), *size), np.uint8)
    try:
        with zipfile.ZipFile(path) as packed:
            files = (packed.read(name) for name in names)
            with ThreadPoolExecutor(_THREADS) as pool:
                for place, image in enumerate(pool.map(lambda file: gray(file, size), files)):
                    images[place] = image
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UnreadableInput(
            f"{path.name} is missing, damaged or lacks one of the {len(names)} images of its "
            f"table ({type(error).__name__})"
        ) from error
    return images


def gray(file: bytes, size: tuple[int, int]) -> NDArray:
    """One encoded image as (row, column) uint8."""
    with Image.open(io.BytesIO(file)) as image:
        return resized(image, size)


def resized(image: Image.Image, size: tuple[int, int]) -> NDArray:
    """A picture as (row, column) uint8 of a size, by an antialiased filter where it differs."""
    plain = image if image.mode == "L" else image.convert("L")
    if plain.size != (size[1], size[0]):
        plain = plain.resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(plain)
