"""The images of a generator's training: the families of a data folder, or a folder of one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isocenter.core.errors import InputRefused
from isocenter.core.image_folders import LABELS
from isocenter.core.progress import Say
from isocenter.datasets.image_sets.families import FAMILIES as READABLE
from isocenter.datasets.image_sets.families import read_families
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.image_sets.own_folder import (
    LEAST_PATIENTS,
    LEAST_PATIENTS_TRANSFER,
    read_own_folder,
)
from isocenter.modelpack.generator.family import Family, Number
from isocenter.recipes.generate.configuration import GenerateRecipe
from isocenter.recipes.generate.families import FAMILIES

CACHE = "cache"
OWN = "own"
REFERENCE_TITLE = "another image of the same place"


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """What is trained on.

    Attributes:
        families: in the order of the recipe.
        sets: images by family.
        is_own: whether they are a folder of the user's.
    """

    families: tuple[Family, ...]
    sets: Mapping[str, ImageSet]
    is_own: bool = False

    def digest(self) -> str:
        """Hexadecimal SHA-256 over all images and labels."""
        told = "\n".join(f"{name} {images.digest()}" for name, images in self.sets.items())
        return hashlib.sha256(told.encode()).hexdigest()

    def counts(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Images and patients by family and part."""
        return {name: images.counts() for name, images in self.sets.items()}


def is_own_folder(data: Path) -> bool:
    """Whether a folder holds images of one's own, with their table."""
    return (data / LABELS).is_file()


def gather(recipe: GenerateRecipe, data: Path, output: Path, *, say: Say) -> Collection:
    """Read what the recipe names.

    Args:
        recipe: names the families.
        data: folder that holds ``mri``, ``cxr`` and ``ct``, or ``images`` and ``labels.csv``.
        output: keeps arrays for the next time, as images of real patients.
        say: is told what is read.

    Raises:
        InputRefused: the folder holds none of it, or too few patients.
    """
    if is_own_folder(data):
        least = LEAST_PATIENTS_TRANSFER if recipe.start else LEAST_PATIENTS
        images = read_own_folder(data, family=OWN, least_patients=least)
        if images.guides is not None and images.references is not None:
            raise InputRefused(
                f"{LABELS} has the columns mask and reference, and a generator is guided by one of "
                "them; leave one out, or fit a control for it afterwards"
            )
        return Collection(families=(own_family(images),), sets={OWN: images}, is_own=True)
    if unknown := [name for name in recipe.families if name not in READABLE]:
        raise InputRefused(
            f"the data folder holds no {LABELS}, and no family is called {', '.join(unknown)}; "
            f"give a folder with images and {LABELS}, or families among {', '.join(READABLE)}"
        )
    sets = read_families(data, recipe.families, cache=output / CACHE, say=say)
    return Collection(families=tuple(FAMILIES[name] for name in recipe.families), sets=sets)


def own_family(images: ImageSet) -> Family:
    """What a folder of one's own can be told, as its table has it."""
    rows, columns = images.size
    is_ct = images.low < 0
    return Family(
        name=images.family,
        title="Own images",
        modality="CT" if is_ct else "OT",
        body_part="UNKNOWN",
        rows=rows,
        columns=columns,
        pixel_mm=None,
        unit="HU" if is_ct else "",
        low=images.low,
        high=images.high,
        window=((images.low + images.high) / 2, images.high - images.low),
        categories=images.category_values(),
        numbers=_numbers(images),
        box="finding" if any(one.box for one in images.labels) else "",
        guide=images.guide_names,
        text=any(one.text for one in images.labels),
        reference="" if images.references is None else REFERENCE_TITLE,
    )


def _numbers(images: ImageSet) -> tuple[Number, ...]:
    names = sorted({name for one in images.labels for name in one.numbers})
    found = []
    for name in names:
        values = [one.numbers[name] for one in images.labels if name in one.numbers]
        least, most = float(np.min(values)), float(np.max(values))
        if least < most:
            found.append(
                Number(name=name, unit="", least=least, most=most, meaning="As in the table.")
            )
    return tuple(found)
