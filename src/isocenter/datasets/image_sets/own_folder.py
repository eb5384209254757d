"""A set of images of one's own: a folder ``images`` and a table ``labels.csv``.

The layout is the one that generated sets are written in, so those can be read back. Neither file
names nor patients of the table leave this module: images and patients go by their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.image_folders import BOX_COLUMNS, IMAGES, LABELS, MARKER, place_of
from isocenter.core.seeds import derived_seed
from isocenter.datasets.image_sets.image_set import Box, ImageLabels, ImageSet
from isocenter.datasets.image_sets.packed_images import read_table
from isocenter.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION
from isocenter.dicom.reading.single_image import read_single_image
from isocenter.image.picture_files import EIGHT_BIT, open_picture

LEAST_PATIENTS = 10
LEAST_PATIENTS_TRANSFER = 4
MASK, REFERENCE = "mask", "reference"
_PICTURES = (".png", ".jpg", ".jpeg")
_DICOM = (".dcm", ".dicom", "")
_NOT_CATEGORIES = frozenset(
    {"file", "patient", "box", "text", "seed", "synthetic", MASK, REFERENCE, *BOX_COLUMNS}
)
# A column whose name ends with a unit holds numbers.
_UNITS = ("_ms", "_mm", "_hu", "_deg", "_share", "_years", "_tesla")
_CT_RANGE_HU = (-1024.0, 1024.0)
_GRAY_RANGE = (0.0, 255.0)
_BRIGHTEST_PERCENT = 99.9
_EDGE = 1e-3  # boxes are often rounded
_MOST_COLOR = 8  # what JPEG does to gray that was saved as color
_MOST_LISTED = 3
_YES = frozenset({"yes", "true", "1"})


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of the patients, for each part but the one that is trained on; at least one patient each."""

    validation: float = 0.10
    calibration: float = 0.10
    test: float = 0.15
    seed: int = 0

    def parts(self, patients: Sequence[str]) -> dict[str, str]:
        """The part of each patient, by an order that the seed and the names decide."""
        order = sorted(patients, key=lambda name: derived_seed(self.seed, "own images", name))
        part_of = dict.fromkeys(order, TRAIN)
        first = 0
        for part, share in (
            (TEST, self.test),
            (CALIBRATION, self.calibration),
            (VALIDATION, self.validation),
        ):
            count = max(1, round(share * len(order)))
            part_of.update(dict.fromkeys(order[first : first + count], part))
            first += count
        return part_of


def read_own_folder(
    folder: Path,
    *,
    family: str = "own",
    shares: Shares | None = None,
    least_patients: int = LEAST_PATIENTS,
) -> ImageSet:
    """Read a folder of one's own images.

    ``labels.csv`` has a row for each image. ``file`` names it below ``images``; ``patient`` tells
    patients apart. Further columns are taken as they come: ``text``, a box as four columns
    ``box_center_x``, ``box_center_y``, ``box_width``, ``box_height`` or as one column ``box`` of
    four numbers (fractions of the image), ``mask`` (a PNG of labels, 0 for outside) and
    ``reference`` (another image of the same place) as files below ``images``, numbers where the
    name of a column ends with a unit such as ``te_ms``, and categories, such as ``class``, for all
    others. A cell may be empty, but of ``mask`` and ``reference`` all or none are.

    A generated set, marked by a column ``synthetic`` that says yes throughout or by a file
    ``SYNTHETIC.txt`` beside the table, needs no patients: each image is its own.

    Args:
        folder: that holds ``images`` and ``labels.csv``.
        family: what the set is called.
        shares: of the parts.
        least_patients: fewer are refused.

    Returns:
        8-bit gray, or HU from -1024 to 1024 where the images are CT in DICOM. Other DICOM images
        are scaled each from its lowest value to its 99.9th percentile.

    Raises:
        UnreadableInput: the table or an image is missing or damaged.
        InputRefused: images differ in kind or size, a box lies outside of its image, patients are
            not named or too few.
    """
    rows = read_table(folder / LABELS, ("file",))
    patients = _patients(folder, rows)
    _check_enough(patients, least_patients)
    part_of = (shares or Shares()).parts(sorted(set(patients)))
    stored, (low, high) = _images(folder, rows)
    guides = _label_maps(folder, rows, stored.shape[1:])
    references = _references(folder, rows, stored, (low, high))
    number_of = {name: k for k, name in enumerate(dict.fromkeys(patients), start=1)}
    labels = tuple(
        _labels(row, place, f"patient {number_of[patient]}", part_of[patient])
        for place, (row, patient) in enumerate(zip(rows, patients, strict=True), start=1)
    )
    return ImageSet(
        family=family,
        stored=stored,
        low=low,
        high=high,
        labels=labels,
        guides=guides,
        guide_names=()
        if guides is None
        else tuple(f"label {number}" for number in range(1, int(guides.max()) + 1)),
        references=references,
    )


def _patients(folder: Path, rows: Sequence[Mapping[str, str]]) -> list[str]:
    if "patient" in rows[0]:
        named = [row["patient"] for row in rows]
        if lacking := [k for k, name in enumerate(named, start=1) if not name]:
            raise InputRefused(
                f"{_rows(lacking)} of {LABELS} name no patient; say whose image each one is, in "
                "any words that tell patients apart"
            )
        return named
    if _is_marked(folder) or _all_synthetic(rows):
        return [f"image {place}" for place in range(len(rows))]
    raise InputRefused(
        f"{LABELS} has no column `patient`. Images of one patient resemble each other: if some are "
        "trained on and others judge, a model that merely remembers looks good. Add a column that "
        f"tells patients apart, or a column `synthetic` (yes) or a file {MARKER} where a "
        "model made the images"
    )


def _is_marked(folder: Path) -> bool:
    """Whether the file is there that generated sets have; in capitals or small letters."""
    return any((folder / name).is_file() for name in (MARKER, MARKER.lower()))


def _all_synthetic(rows: Sequence[Mapping[str, str]]) -> bool:
    return all(row.get("synthetic", "").lower() in _YES for row in rows)


def _check_enough(patients: Sequence[str], least: int) -> None:
    count = len(set(patients))
    if count >= least:
        return
    advice = f"add images of {least - count} more"
    if least > LEAST_PATIENTS_TRANSFER:
        advice += (
            ", or go on from a shipped model (transfer), for which "
            f"{LEAST_PATIENTS_TRANSFER} are enough"
        )
    raise InputRefused(
        f"images of {count} {'patient' if count == 1 else 'patients'} are too few: at least "
        f"{least} are needed, so that some can judge what was learned from others; {advice}"
    )


def _images(folder: Path, rows: Sequence[Mapping[str, str]]) -> tuple[NDArray, tuple[float, float]]:
    paths = [_path(folder, row["file"], place) for place, row in enumerate(rows, start=1)]
    if missing := [k for k, path in enumerate(paths, start=1) if not path.is_file()]:
        raise UnreadableInput(
            f"{_rows(missing)} of {LABELS} name files that are not in {IMAGES}; "
            f"{len(rows) - len(missing)} of {len(rows)} are there"
        )
    kinds, images = [], []
    for place, path in enumerate(paths, start=1):
        kind, image = _image(path, place)
        kinds.append(kind)
        images.append(image)
        if kind != kinds[0]:
            raise InputRefused(
                f"images are of two kinds, {kinds[0]} (row 1) and {kind} (row {place}); a set "
                "holds images of one"
            )
        if image.shape != images[0].shape:
            raise InputRefused(
                f"images differ in size: row 1 has {_size(images[0])} pixels and row {place} "
                f"{_size(image)}; make them all of one size"
            )
    return np.stack(images), _CT_RANGE_HU if kinds[0] == "CT" else _GRAY_RANGE


def _named_in(rows: Sequence[Mapping[str, str]], column: str) -> list[str]:
    """The files that a column names: of every row, or of none."""
    named = [(row.get(column) or "").strip() for row in rows]
    lacking = [place for place, name in enumerate(named, start=1) if not name]
    if lacking and len(lacking) < len(named):
        raise InputRefused(
            f"{_rows(lacking)} of {LABELS} name no {column}, and others do; name one in every row, "
            "or leave the column out"
        )
    return [] if lacking else named


def _label_maps(
    folder: Path, rows: Sequence[Mapping[str, str]], size: tuple[int, ...]
) -> NDArray | None:
    """(image, row, column) uint8 labels of the column ``mask``, or None."""
    named = _named_in(rows, MASK)
    maps = [_label_map(_path(folder, name, k), k, size) for k, name in enumerate(named, start=1)]
    if maps and not any(one.any() for one in maps):
        raise InputRefused("every mask is empty: all labels are 0, which is outside")
    return np.stack(maps) if maps else None


def _label_map(path: Path, place: int, size: tuple[int, ...]) -> NDArray:
    what = f"the mask of row {place}"
    if path.suffix.lower() != ".png":
        raise InputRefused(f"{what} is no .png file of labels; others are not read")
    picture = open_picture(path, what=what, formats=("PNG",))
    if picture.mode not in ("L", "1", "P"):
        raise InputRefused(
            f"{what} has colors or more than 8 bits; labels are gray levels or numbers of a "
            "palette, 0 for outside"
        )
    labels = np.asarray(picture).astype(np.uint8)
    if labels.shape != size:
        raise InputRefused(
            f"{what} has {_size(labels)} pixels, and its image {size[0]} x {size[1]}"
        )
    return labels


def _references(
    folder: Path,
    rows: Sequence[Mapping[str, str]],
    stored: NDArray,
    ends: tuple[float, float],
) -> NDArray | None:
    """(image, row, column) images of the column ``reference``, of the same kind, or None."""
    named = _named_in(rows, REFERENCE)
    if not named:
        return None
    found, its_ends = _images(folder, [{"file": name} for name in named])
    if found.shape != stored.shape or its_ends != ends:
        raise InputRefused(
            "the images of the column reference differ from those of the column file in kind or "
            f"size: {_size(found[0])} pixels for {_size(stored[0])}; give references of the same"
        )
    return found


def _path(folder: Path, name: str, place: int) -> Path:
    """A file below ``images``."""
    found = place_of(folder / IMAGES, name.replace("\\", "/"))
    if found is None:
        raise InputRefused(
            f"row {place} of {LABELS} names no file below {IMAGES}; give its name there, such as "
            "0001.png"
        )
    return found


def _image(path: Path, place: int) -> tuple[str, NDArray]:
    """What kind of image it is, and (row, column) uint8 gray or int16 HU."""
    what = f"the image of row {place}"
    ending = path.suffix.lower()
    if ending in _PICTURES:
        return "pictures", _picture(path, what)
    if ending not in _DICOM:
        raise InputRefused(f"{what} is no .png, .jpg or .dcm file; others are not read")
    image = read_single_image(path, what=what)
    if image.is_synthetic:
        raise InputRefused(
            f"{what} says that a model made or altered it; train on what a scanner measured"
        )
    if image.modality != "CT":
        return image.modality or "DICOM of no modality", _as_gray(image.values())
    if image.unit != "HU" or image.inverted:
        raise InputRefused(
            f"{what} is of CT and does not say how its values become HU (Rescale Intercept); "
            "export it again, or give pictures"
        )
    return "CT", np.rint(image.values().clip(*_CT_RANGE_HU)).astype(np.int16)


def _picture(path: Path, what: str) -> NDArray:
    picture = open_picture(path, what=what)
    if picture.mode not in EIGHT_BIT:
        raise InputRefused(
            f"{what} has more than 8 bits a pixel; save it as an 8-bit gray PNG, or give the DICOM "
            "file"
        )
    colors = np.asarray(picture.convert("RGB"))
    if np.ptp(colors.astype(np.int16), axis=2).max() > _MOST_COLOR:
        raise InputRefused(f"{what} is in color; gray images are needed")
    return colors[..., 0].copy()


def _as_gray(values: NDArray) -> NDArray:
    low, high = float(values.min()), float(np.percentile(values, _BRIGHTEST_PERCENT))
    scaled = (values - low) * (_GRAY_RANGE[1] / max(high - low, 1e-6))
    return np.rint(scaled.clip(*_GRAY_RANGE)).astype(np.uint8)


def _labels(row: Mapping[str, str], place: int, patient: str, part: str) -> ImageLabels:
    filled = {name: value for name, value in row.items() if value}
    others = {name: value for name, value in filled.items() if name not in _NOT_CATEGORIES}
    return ImageLabels(
        file=f"image {place}",
        patient=patient,
        part=part,
        categories={k: v for k, v in others.items() if not k.endswith(_UNITS)},
        numbers={
            k: _number(v, f"{k} of row {place}") for k, v in others.items() if k.endswith(_UNITS)
        },
        box=_box(filled, place),
        text=filled.get("text", ""),
    )


def _box(filled: Mapping[str, str], place: int) -> Box | None:
    given = [filled[name] for name in BOX_COLUMNS if name in filled]
    if not given and "box" in filled:
        given = filled["box"].strip("()[]").replace(",", " ").replace(";", " ").split()
    if not given:
        return None
    if len(given) != len(BOX_COLUMNS):
        raise InputRefused(
            f"the box of row {place} has {len(given)} of four numbers; give center x, center y, "
            "width and height as fractions of the image"
        )
    x, y, width, height = (_number(value, f"the box of row {place}") for value in given)
    reach = (x - width / 2, y - height / 2, 1 - x - width / 2, 1 - y - height / 2)
    if min(width, height) <= 0 or min(reach) < -_EDGE:
        raise InputRefused(
            f"the box of row {place} is empty or reaches outside of its image; center x, center y, "
            "width and height are fractions of the image, from 0 to 1"
        )
    return x, y, width, height


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputRefused(f"{what} is no number; leave the cell empty where it is not known")
    return number


def _rows(places: Sequence[int]) -> str:
    listed = ", ".join(map(str, places[:_MOST_LISTED]))
    more = f" and {len(places) - _MOST_LISTED} more" if len(places) > _MOST_LISTED else ""
    return f"{'row' if len(places) == 1 else 'rows'} {listed}{more}"


def _size(image: NDArray) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"
