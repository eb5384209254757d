"""Contrast-enhanced T1 slices of brain tumors, from ``mri/t1c_tumors_256``.

Cheng, "brain tumor dataset", figshare 2017, doi:10.6084/m9.figshare.1512427 (CC BY 4.0). Patients
are not named; neighboring file numbers share one, so images are shared out in blocks of file
numbers and those between two blocks are dropped. The plane is not labeled by the source either;
ours stand in ``brain_t1c_planes.csv`` beside this module (see docs/image_sets.md).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path

from isocenter.core.errors import UnreadableInput
from isocenter.datasets.image_sets.image_set import DROPPED, Box, ImageLabels, ImageSet
from isocenter.datasets.image_sets.packed_images import read_packed_images, read_table
from isocenter.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION

FAMILY = "brain_t1c"
SIZE = (256, 256)
IMAGES = Path("mri") / "t1c_tumors_256.zip"
TABLE = Path("mri") / "t1c_tumors_256.csv"
PLANES = "brain_t1c_planes.csv"
_BOX = ("box_center_x", "box_center_y", "box_width", "box_height")
_CLASSES = {"meningioma": "meningioma", "glioma": "glioma", "pituitary": "pituitary tumor"}


@dataclass(frozen=True, kw_only=True)
class BlockRule:
    """Parts of images whose patients are known by their neighborhood alone.

    Attributes:
        ends: first file numbers of the stretches, each split on its own; the last one is the end.
        shares: of the files of a stretch, in this order.
        gap: files dropped between two parts; more than one patient has.

    The stretches are split forwards and backwards in turn, so that where two of them meet there is
    one part on both sides and nothing to drop.
    """

    ends: tuple[int, ...] = (1, 715, 918, 1841, 10_000)
    shares: tuple[tuple[str, float], ...] = (
        (TEST, 0.20),
        (CALIBRATION, 0.06),
        (VALIDATION, 0.06),
        (TRAIN, 0.68),
    )
    whole: tuple[int, ...] = (715,)
    gap: int = 20

    def parts(self, numbers: Sequence[int]) -> dict[int, str]:
        """The part of each file number."""
        part_of: dict[int, str] = {}
        forwards = True
        for first, end in pairwise(self.ends):
            own = sorted(number for number in numbers if first <= number < end)
            if first in self.whole:
                part_of.update(dict.fromkeys(own, TRAIN))
                continue
            parts = self._stretch(len(own))
            part_of.update(zip(own, parts if forwards else parts[::-1], strict=True))
            forwards = not forwards
        return part_of

    def _stretch(self, count: int) -> list[str]:
        kept = max(0, count - self.gap * (len(self.shares) - 1))
        parts: list[str] = []
        taken = 0.0
        done = 0
        for part, share in self.shares:
            taken += share
            upto = round(kept * taken)
            parts += [part] * (upto - done) + [DROPPED] * self.gap
            done = upto
        return parts[:count]


def read_brain_t1c(data: Path, *, rule: BlockRule | None = None) -> ImageSet:
    """The whole set, 8-bit gray.

    Args:
        data: folder that holds ``mri/t1c_tumors_256.zip`` and its table.
        rule: of the split.

    Raises:
        UnreadableInput: a file is missing or damaged.
    """
    rows = read_table(data / TABLE, ("file", "label", *_BOX))
    names = [row["file"] for row in rows]
    stored = read_packed_images(data / IMAGES, names, size=SIZE)
    numbers = [_number(name) for name in names]
    part_of = (rule or BlockRule()).parts(numbers)
    labels = [
        _labels(row, number, part_of[number]) for row, number in zip(rows, numbers, strict=True)
    ]
    return ImageSet(family=FAMILY, stored=stored, labels=tuple(labels))


def _labels(row: Mapping[str, str], number: int, part: str) -> ImageLabels:
    categories = {"class": _class(row["label"])}
    if plane := plane_of(number):
        categories["plane"] = plane
    try:
        x, y, width, height = (float(row[name]) for name in _BOX)
    except ValueError as error:
        raise UnreadableInput(f"{TABLE.name}: the box of {row['file']} is no number") from error
    box: Box = (x, y, width, height)
    return ImageLabels(
        file=row["file"],
        patient=f"part {part}",
        part=part,
        categories=categories,
        numbers={"tumor_box_share": round(width * height, 4)},
        box=box,
    )


def _class(label: str) -> str:
    if label not in _CLASSES:
        raise UnreadableInput(
            f"{TABLE.name} holds a label that is none of {', '.join(_CLASSES)}; is it another set?"
        )
    return _CLASSES[label]


def _number(name: str) -> int:
    stem = Path(name).stem
    if not stem.isdigit():
        raise UnreadableInput(
            f"{TABLE.name} holds a file that is not named by its number, such as 0001.jpg"
        )
    return int(stem)


def plane_of(number: int) -> str:
    """ "axial", "coronal" or "sagittal" by our table; "" where it has no such file number."""
    for first, last, plane in _planes():
        if first <= number <= last:
            return plane
    return ""


@cache
def _planes() -> tuple[tuple[int, int, str], ...]:
    table = resources.files(__package__) / PLANES
    rows = csv.DictReader(table.read_text().splitlines())
    return tuple((int(row["first"]), int(row["last"]), row["plane"]) for row in rows)
