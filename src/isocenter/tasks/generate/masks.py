"""Label maps that guide an image or bound an edit: from PNG, NumPy and NIfTI files, or arrays."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.files import named_path
from isocenter.image.volume_files import is_volume_file
from isocenter.modelpack.generator.wish import MOST_LABEL, checked_labels
from isocenter.tasks.generate.flat_volume import read_flat_volume
from isocenter.tasks.generate.png_files import read_png

ENDINGS = ".png, .npy, .nii or .nii.gz"
_MOST_BYTES = 2**28


def read_mask(mask: str | Path | NDArray) -> NDArray[np.uint8]:
    """Labels, (rows, columns).

    Args:
        mask: a file, or the labels themselves. Of a PNG the gray levels or the numbers of the
            palette are the labels; a NIfTI file is turned to the usual view by its header.

    Raises:
        InputRefused: no such file, of another kind, not flat, or not of labels.
    """
    if not isinstance(mask, str | Path):
        return checked_labels(_whole(np.asarray(mask)))
    path = named_path(mask)
    if not path.is_file():
        raise UnreadableInput(
            "the mask does not exist, or is no plain file", reason="no_such_input"
        )
    if is_volume_file(path):
        return checked_labels(_whole(read_flat_volume(path, unit="").values))
    if path.suffix.lower() == ".png":
        return checked_labels(read_png(path).levels)
    if path.suffix.lower() == ".npy":
        return checked_labels(_whole(read_npy(path)))
    raise InputRefused(f"a mask is a label map in a {ENDINGS} file; other files are not read")


def read_npy(path: Path) -> NDArray:
    """An array of a NumPy file.

    Raises:
        InputRefused: far too large.
        UnreadableInput: no such array, or damaged.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise InputRefused("the file is far larger than a flat image; give one of one image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.array(loaded)
    except Exception as error:  # NumPy reads a header as Python, which fails in many ways
        raise UnreadableInput(
            "the file is no array of NumPy, or damaged; save it by numpy.save"
        ) from error


def _whole(labels: NDArray) -> NDArray:
    """Labels that were saved as numbers with a point, as whole numbers."""
    if labels.dtype.kind != "f" or labels.size == 0:
        return labels
    rounded = np.rint(labels)
    if not np.array_equal(rounded, labels) or np.abs(rounded).max() > MOST_LABEL:
        raise InputRefused(
            f"the labels of a mask are whole numbers from 0 to {MOST_LABEL}; this file holds others"
        )
    return rounded.astype(np.int16)
