"""``labels.csv``: what each image of a set is known to show, for training; read and written.

What was written can be read again and asks for the same images.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from isocenter.core.errors import InputRefused, SettingRefused, UnreadableInput
from isocenter.core.files import named_path, write_text
from isocenter.core.image_folders import BOX_COLUMNS
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.names import unknown_name
from isocenter.modelpack.generator.wish import Generated, Wish
from isocenter.tasks.generate.requests import ANY, Request, seed_of_image
from isocenter.tasks.generate.settings import MOST_IMAGES, MOST_SEED

_TELLING = ("file", "synthetic")  # of a set that was written; they ask for nothing
_MOST_BYTES = 2**27


def columns_of(family: Family) -> tuple[str, ...]:
    """All columns for images of a family, in order."""
    box = BOX_COLUMNS if family.box else ()
    text = ("text",) if family.text else ()
    return ("file", *family.conditions, *box, *text, "seed", "synthetic")


def write_labels(path: Path, family: Family, images: Sequence[tuple[str, Generated]]) -> Path:
    """Write one row an image.

    Args:
        images: name of the file, as it lies below the folder of the set, and the image.
    """
    columns = columns_of(family)
    lines = io.StringIO()
    writer = csv.DictWriter(lines, columns, lineterminator="\n")
    writer.writeheader()
    for name, image in images:
        writer.writerow(_row(name, image, columns))
    return write_text(path, lines.getvalue())


def _row(name: str, image: Generated, columns: Sequence[str]) -> dict[str, object]:
    wish = image.wish
    row: dict[str, object] = dict.fromkeys(columns, "")
    row |= {"file": name, "seed": image.seed, "synthetic": "YES", **wish.categories}
    row |= {name: repr(value) for name, value in wish.numbers.items()}
    if wish.box is not None:
        row |= {name: repr(part) for name, part in zip(BOX_COLUMNS, wish.box, strict=True)}
    if wish.text:
        row["text"] = wish.text
    return row


def read_labels(
    path: str | Path, family: Family, *, others: Wish, seed: int
) -> tuple[Request, ...]:
    """One request a row.

    Args:
        path: with a first line of column names, see :func:`columns_of`; each may be left out, and
            an empty cell leaves its condition free.
        others: what holds where a row says nothing.
        seed: of the run, for rows without a seed of their own.

    Raises:
        InputRefused: not readable, no row, too many, an unknown column, or a row that cannot be
            asked for, by its number.
    """
    requests = []
    for number, row in enumerate(_rows(path, family), 1):
        try:
            wish = _wish(row, family, others)
            family.check(wish)
            requests.append(Request(wish=wish, seed=_seed(row, seed, number)))
        except InputRefused as error:
            error.add_note(f"row {number} of the labels")
            raise
        if number > MOST_IMAGES:
            raise InputRefused(f"the labels have more than {MOST_IMAGES} rows; split the set")
    if not requests:
        raise InputRefused("the labels have no row; one row asks for one image")
    return tuple(requests)


def _rows(path: str | Path, family: Family) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(_text(named_path(path))), strict=True)
    known = columns_of(family)
    try:
        for name in reader.fieldnames or ():
            if name not in (*known, *_TELLING):
                asking = [one for one in known if one not in _TELLING]
                raise unknown_name("column of labels", name, asking, of=family.name)
        if len(set(reader.fieldnames or ())) != len(reader.fieldnames or ()):
            raise InputRefused("a column of the labels stands there twice; keep one")
        for row in reader:
            if None in row or None in row.values():
                raise InputRefused(
                    f"line {reader.line_num} of the labels has another number of cells than the "
                    "first line; put texts with commas into quotation marks"
                )
            yield {name: value.strip() for name, value in row.items()}
    except csv.Error as error:
        raise UnreadableInput(
            f"line {reader.line_num} of the labels is not CSV; save them again"
        ) from error


def _text(path: Path) -> str:
    if not path.is_file():
        raise UnreadableInput("the file of labels does not exist", reason="no_such_input")
    if path.stat().st_size > _MOST_BYTES:
        raise InputRefused("the file of labels is larger than any set that can be asked for")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UnreadableInput("the labels cannot be read as text; save them as UTF-8") from error


def _wish(row: Mapping[str, str], family: Family, others: Wish) -> Wish:
    categories, numbers = dict(others.categories), dict(others.numbers)
    for name in family.conditions:
        value = row.get(name, "")
        if not value:
            continue
        target: dict[str, object] = categories if name in family.categories else numbers  # type: ignore[assignment]
        if value == ANY:
            target.pop(name, None)
        else:
            target[name] = value if name in family.categories else _number(name, value)
    return Wish(
        categories=categories,
        numbers=numbers,
        box=_box(row) or others.box,
        mask=others.mask,
        reference=others.reference,
        text=row.get("text", "") or others.text,
    )


def _box(row: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    parts = [row.get(name, "") for name in BOX_COLUMNS]
    if not any(parts):
        return None
    x, y, width, height = (
        _number(name, part) for name, part in zip(BOX_COLUMNS, parts, strict=True)
    )
    return x, y, width, height


def _seed(row: Mapping[str, str], seed: int, number: int) -> int:
    text = row.get("seed", "")
    if not text:
        return seed_of_image(seed, number)
    if not text.isdecimal() or int(text) > MOST_SEED:
        raise SettingRefused(f"a seed is a whole number from 0 to {MOST_SEED}")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingRefused(f"{name} takes a number; the cell holds none") from None
