"""The layout of a set of images: a folder ``images`` with a table ``labels.csv`` beside it.

Generated sets are written so, and sets of one's own are read so, to train on and to judge by.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from isocenter.core.errors import InputRefused, UnreadableInput

IMAGES, LABELS, MARKER = "images", "labels.csv", "SYNTHETIC.txt"
"""The folder, the table, and the file that says that a model made the images."""
BOX_COLUMNS = ("box_center_x", "box_center_y", "box_width", "box_height")
_MOST_BYTES = 200_000_000


def table_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table by the names of its first line, white space around cells taken away.

    Missing cells are "", and cells beyond the last name are left out.

    Raises:
        OSError: it cannot be opened.
        UnreadableInput: it is no CSV in UTF-8.
        InputRefused: too large to be one, or a name stands there twice.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise InputRefused("the table of labels is too large to be one")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            names = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = [{name: row[name].strip() for name in names if name} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(
            "the table of labels is no CSV file in UTF-8; save it as one"
        ) from error
    if len(set(names)) != len(names):
        raise InputRefused("a column stands twice in the table of labels; keep one of each name")
    return rows


def place_of(images: Path, name: str) -> Path | None:
    """Where a file lies that a table names; None where the name leads out of ``images``.

    A table may come from anywhere. Generated ones name a file with the folder in front. Links are
    not looked at, nor whether there is such a file.

    Args:
        images: the folder.
        name: with / between folders.
    """
    pure = PurePosixPath(name)
    parts = pure.parts[1:] if pure.parts[:1] == (IMAGES,) else pure.parts
    if not parts or pure.is_absolute() or ".." in parts or "\\" in name or ":" in parts[0]:
        return None
    return images.joinpath(*parts)
