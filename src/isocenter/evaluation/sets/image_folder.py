"""A folder of images with a table of what they show, as generators write it and users collect it.

::

    FOLDER/
      images/           PNG or JPEG, gray, all of one size
      labels.csv        file, and any of: patient, class, plane, modality, text, seed ...

Without ``labels.csv`` all images are taken and nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.image_folders import IMAGES, LABELS, place_of, table_rows
from isocenter.core.progress import Progress, silent

ENDINGS = (".png", ".jpg", ".jpeg")
PATIENT, CLASS, MODALITY = "patient", "class", "modality"
_MOST_BYTES = 8 * 2**30
_LARGEST = {"L": 255.0, "I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I": 65535.0}


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images of one size with what is known of them.

    Attributes:
        images: (images, rows, columns) float32, the whole range of stored values as -1 to 1.
        columns: of ``labels.csv``, one text an image; "" where a cell is empty.
        bits: of a stored value, 8 or 16.
    """

    images: NDArray
    columns: Mapping[str, tuple[str, ...]]
    bits: int

    def __len__(self) -> int:
        return len(self.images)

    def column(self, name: str) -> NDArray | None:
        """A column of the table; None where there is none or a cell of it is empty."""
        cells = self.columns.get(name, ())
        return np.asarray(cells, dtype=str) if cells and all(cells) else None


def read_image_folder(
    folder: Path,
    *,
    table: Path | None = None,
    most: int | None = None,
    progress: Progress = silent,
) -> ImageSet:
    """Read a folder of images.

    Args:
        folder: holds ``images``, or images itself.
        table: another file than ``labels.csv`` in the folder.
        most: so many images, evenly spread over the table, of a larger set; None reads all.

    Raises:
        InputRefused: no such folder, no images, a table that does not fit, mixed sizes or depths,
            or color.
        UnreadableInput: an image that is damaged or of another format.
    """
    if not folder.is_dir():
        raise InputRefused("there is no such folder of images", reason="no_such_input")
    place = folder / IMAGES if (folder / IMAGES).is_dir() else folder
    listing = table or (folder / LABELS if (folder / LABELS).is_file() else None)
    rows = _rows(listing) if listing else [{"file": name} for name in _names(place)]
    if not rows:
        raise InputRefused(
            f"the folder lists no image; accepted are {', '.join(ENDINGS)} in {IMAGES}/, listed in "
            f"{LABELS} or all there are. DICOM and NIfTI are not read here: draw a set with "
            "--format png, or export both sets with the same window"
        )
    if most is not None and len(rows) > most:
        rows = [rows[int(k)] for k in np.linspace(0, len(rows) - 1, most).round()]
    images, bits = _read_all(
        [_within(place, row["file"], n) for n, row in enumerate(rows, 1)], progress
    )
    names = dict.fromkeys(name for row in rows for name in row)
    return ImageSet(
        images=images,
        columns={name: tuple(row.get(name) or "" for row in rows) for name in names},
        bits=bits,
    )


def _names(place: Path) -> list[str]:
    return sorted(each.name for each in place.iterdir() if each.suffix.lower() in ENDINGS)


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        rows = table_rows(table)
    except FileNotFoundError:
        raise InputRefused("there is no such table of labels", reason="no_such_input") from None
    if rows and "file" not in rows[0]:
        raise InputRefused(
            "the table of labels needs a first line with the names of its columns, among them "
            "'file'"
        )
    return rows


def _within(place: Path, name: str, number: int) -> Path:
    """A file below the folder; a table may come from anywhere and must not lead out of it."""
    found = place_of(place, name)
    if found is None:
        raise InputRefused(
            f"image {number} of the table names no file in {IMAGES}/; give names below it, with /"
        )
    if found.suffix.lower() not in ENDINGS or not found.is_file():
        raise InputRefused(
            f"image {number} of the table is not there or not of {', '.join(ENDINGS)}"
        )
    if not found.resolve().is_relative_to(place.resolve()):
        raise InputRefused(f"image {number} of the table is a link that leads out of {IMAGES}/")
    return found


def _read_all(paths: Sequence[Path], progress: Progress) -> tuple[NDArray, int]:
    progress(0, len(paths))
    images: NDArray | None = None
    depth = 0.0
    for number, path in enumerate(paths, start=1):
        values, largest = _read(path, number)
        if images is None:
            if len(paths) * values.size * 4 > _MOST_BYTES:
                raise InputRefused(
                    f"{len(paths)} images of this size need more than {_MOST_BYTES // 2**30} GiB; "
                    "read fewer with --most"
                )
            images, depth = np.empty((len(paths), *values.shape), np.float32), largest
        if values.shape != images.shape[1:] or largest != depth:
            raise InputRefused(
                f"image {number} is {_described(values.shape, largest)}, the first "
                f"{_described(images.shape[1:], depth)}; sets are compared at one size, so "
                "resample all images in the same way first",
                reason="mixed_sizes",
            )
        images[number - 1] = values * (2 / depth) - 1
        progress(number, len(paths))
    assert images is not None
    return images, _bits(depth)


def _read(path: Path, number: int) -> tuple[NDArray, float]:
    """Stored values (row, column) and the largest possible."""
    from isocenter.image.picture_files import open_picture

    picture = open_picture(path, what=f"image {number}")
    if picture.mode not in _LARGEST:
        return _gray(np.asarray(picture.convert("RGB")), number), 255.0
    return np.asarray(picture).astype(np.float32), _LARGEST[picture.mode]


def _gray(values: NDArray, number: int) -> NDArray:
    if np.any(values != values[..., :1]):
        raise InputRefused(f"image {number} is in color; gray images are compared", reason="color")
    return values[..., 0].astype(np.float32)


def _described(shape: tuple[int, ...], largest: float) -> str:
    return f"{shape[0]} x {shape[1]} of {_bits(largest)} bits"


def _bits(largest: float) -> int:
    return 8 if largest <= 255 else 16
