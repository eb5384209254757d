"""Chest radiographs of children and adults, from ``cxr``.

Children of 1 to 5 years: Kermany, Zhang and Goldbaum, Mendeley Data 2018, doi:10.17632/rscbjbr9sj
(CC BY 4.0), squashed to a square by whoever published this copy. Adults: NIH ChestX-ray, Wang et
al., CVPR 2017.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from isocenter.core.errors import UnreadableInput
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet, combined
from isocenter.datasets.image_sets.packed_images import read_packed_images, read_table, resized
from isocenter.datasets.splits import SplitRule

FAMILY = "chest_radiograph"
SIZE = (224, 224)
CHILDREN = Path("cxr") / "pediatric_224.zip"
CHILDREN_TABLE = Path("cxr") / "pediatric_224.csv"
ADULTS = Path("cxr") / "cxr_nih_train_256.npz"
_CLASSES = {
    "normal": "normal",
    "bacterial_pneumonia": "bacterial pneumonia",
    "viral_pneumonia": "viral pneumonia",
}
_ADULT_CLASSES = ("normal", "pneumonia")
SPLIT = SplitRule(validation_share=0.06, calibration_share=0.06, test_share=0.20, seed=0)


def read_chest_radiographs(data: Path, *, rule: SplitRule = SPLIT) -> ImageSet:
    """Children and, where they are there, adults; 8-bit gray.

    Raises:
        UnreadableInput: a file is missing or damaged.
    """
    sets = [read_children(data, rule=rule)]
    if (data / ADULTS).is_file():
        sets.append(read_adults(data, rule=rule))
    return combined(sets)


def read_children(data: Path, *, rule: SplitRule = SPLIT) -> ImageSet:
    """The radiographs of children alone."""
    rows = read_table(data / CHILDREN_TABLE, ("file", "patient", "label"))
    if unknown := {row["label"] for row in rows} - set(_CLASSES):
        raise UnreadableInput(
            f"{CHILDREN_TABLE.name} holds {len(unknown)} labels that are none of "
            f"{', '.join(_CLASSES)}"
        )
    stored = read_packed_images(data / CHILDREN, [row["file"] for row in rows], size=SIZE)
    labels = tuple(
        ImageLabels(
            file=row["file"],
            patient=f"child {row['patient']}",
            part=rule.part_of(f"child {row['patient']}"),
            categories={"class": _CLASSES[row["label"]], "population": "child"},
        )
        for row in rows
    )
    return ImageSet(family=FAMILY, stored=stored, labels=labels)


def read_adults(data: Path, *, rule: SplitRule = SPLIT) -> ImageSet:
    """The radiographs of adults alone, made as small as the children's."""
    try:
        with np.load(data / ADULTS, allow_pickle=False) as held:
            images, classes = held["img"], held["label"]
            patients, files = held["patient"], held["filename"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UnreadableInput(
            f"{ADULTS.name} is missing or damaged ({type(error).__name__}); it holds img, label, "
            "patient and filename"
        ) from error
    stored = np.stack([resized(Image.fromarray(image), SIZE) for image in images])
    labels = tuple(
        ImageLabels(
            file=str(file),
            patient=f"adult {patient}",
            part=rule.part_of(f"adult {patient}"),
            categories={"class": _ADULT_CLASSES[int(kind)], "population": "adult"},
        )
        for file, patient, kind in zip(files, patients, classes, strict=True)
    )
    return ImageSet(family=FAMILY, stored=stored, labels=labels)
