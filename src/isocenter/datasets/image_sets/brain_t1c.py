"""Contrast-enhanced T1 slices of brain tumors, from ``mri/t1c_tumors_256``.

Cheng, "brain tumor dataset", figshare 2017, doi:10.6084/m9.figshare.1512427 (CC BY 4.0). Neither
patients nor planes are named by the source. The files come in five stretches; each holds all axial
slices of its patients, then all coronal and then all sagittal ones, the patients in about the same
order each time. So a part takes the same share of each run of one plane, and what lies between two
parts is dropped. Our planes stand in ``brain_t1c_planes.csv`` beside this module; how both were
found and checked stands in docs/image_sets.md.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

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
class Stretch:
    """Files of the same patients, once a plane.

    Attributes:
        name: of the stretch.
        runs: first and last file number of each run of one plane.
        parts: in the order of the patients, each with the share of a run at which it ends.
        num_blocks: into how many blocks of about a patient's images the patients are counted.
    """

    name: str
    runs: tuple[tuple[int, int], ...]
    parts: tuple[tuple[str, float], ...]
    num_blocks: int

    def share(self, number: int) -> float | None:
        """How far into its run a file is, from 0 up to 1; None where it is in no run."""
        for first, last in self.runs:
            if first <= number <= last:
                return (number - first + 0.5) / (last - first + 1)
        return None

    def part_at(self, share: float) -> str:
        """The part of the patients at a share of the way."""
        return next(part for part, end in self.parts if share < end)


# Runs of one plane are aligned within some 4 % of their length where it could be seen; what is
# dropped between two parts is twice that. The two stretches that are trained on as a whole share
# no patient with the others.
STRETCHES = (
    Stretch(
        name="meningioma",
        runs=((1, 210), (211, 441), (442, 708)),
        parts=(
            (TEST, 0.14),
            (DROPPED, 0.22),
            (TRAIN, 0.74),
            (DROPPED, 0.81),
            (VALIDATION, 0.87),
            (DROPPED, 0.94),
            (CALIBRATION, 1.0),
        ),
        num_blocks=50,
    ),
    Stretch(
        name="glioma 1",
        runs=((715, 746), (747, 817), (818, 917)),
        parts=(
            (TEST, 0.58),
            (DROPPED, 0.66),
            (CALIBRATION, 0.79),
            (DROPPED, 0.87),
            (VALIDATION, 1.0),
        ),
        num_blocks=17,
    ),
    Stretch(
        name="pituitary 1",
        runs=((922, 1033), (1034, 1165), (1166, 1282)),
        parts=(
            (TEST, 0.50),
            (DROPPED, 0.58),
            (CALIBRATION, 0.70),
            (DROPPED, 0.78),
            (VALIDATION, 0.90),
            (DROPPED, 1.0),
        ),
        num_blocks=30,
    ),
    Stretch(
        name="pituitary 2",
        runs=((1283, 1363), (1481, 1639), (1640, 1840)),
        parts=((TRAIN, 1.0),),
        num_blocks=37,
    ),
    Stretch(
        name="glioma 2",
        runs=((1841, 2241), (2242, 2730), (2731, 3062)),
        parts=((TRAIN, 1.0),),
        num_blocks=88,
    ),
)
# Files away from the stretch of their patient, by the stretch whose start they belong to; "" where
# it cannot be told.
_ASTRAY: Mapping[int, str] = MappingProxyType(
    {59: "", 3030: "", 3063: "", 3064: ""}
    | dict.fromkeys((209, 210), "glioma 1")
    | dict.fromkeys((*range(709, 715), *range(918, 922)), "pituitary 1")
)


def place_of(number: int) -> tuple[str, str]:
    """Part of a file, and the block that stands for its patient, who is not named.

    A block is about as many images as a patient has, of all planes together; two blocks beside each
    other may share one.
    """
    stretch, share = _stretch_of(number)
    if stretch is None:
        return DROPPED, "unknown"
    block = int(share * stretch.num_blocks)
    return stretch.part_at(share), f"{stretch.name}, block {block + 1}"


def _stretch_of(number: int) -> tuple[Stretch | None, float]:
    if number in _ASTRAY:
        named = [one for one in STRETCHES if one.name == _ASTRAY[number]]
        return (named[0], 0.0) if named else (None, 0.0)
    for stretch in STRETCHES:
        if (share := stretch.share(number)) is not None:
            return stretch, share
    return None, 0.0


def read_brain_t1c(data: Path) -> ImageSet:
    """The whole set, 8-bit gray.

    Args:
        data: folder that holds ``mri/t1c_tumors_256.zip`` and its table.

    Raises:
        UnreadableInput: a file is missing or damaged.
    """
    rows = read_table(data / TABLE, ("file", "label", *_BOX))
    stored = read_packed_images(data / IMAGES, [row["file"] for row in rows], size=SIZE)
    return ImageSet(family=FAMILY, stored=stored, labels=tuple(_labels(row) for row in rows))


def _labels(row: Mapping[str, str]) -> ImageLabels:
    number = _number(row["file"])
    part, block = place_of(number)
    categories = {"class": _class(row["label"])}
    if plane := plane_of(number):
        categories["plane"] = plane
    box = _box(row)
    return ImageLabels(
        file=row["file"],
        patient=block,
        part=part,
        categories=categories,
        numbers={"tumor_box_share": round(box[2] * box[3], 4)},
        box=box,
    )


def _box(row: Mapping[str, str]) -> Box:
    try:
        x, y, width, height = (float(row[name]) for name in _BOX)
    except ValueError as error:
        raise UnreadableInput(
            f"{TABLE.name} holds a box that is no four numbers; is it another set?"
        ) from error
    return x, y, width, height


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
