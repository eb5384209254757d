"""The guard against copies of a generator's training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.image_sets.own_folder import LEAST_PATIENTS
from isocenter.datasets.splits import CALIBRATION, TEST, TRAIN, VALIDATION
from isocenter.evaluation.sets.copies import LEAST_HELD_OUT, Calibration, make_guard
from isocenter.networks.copy_guard import CopyGuard
from isocenter.networks.image_embedding import ImageEmbedding
from isocenter.recipes.generate.collection import Collection
from isocenter.recipes.generate.configuration import GenerateRecipe
from isocenter.recipes.kept_network import kept_network
from isocenter.training.judges.copy_embedding import train_copy_embedding
from isocenter.training.judges.fitting import resized

GUARD = "guard"
_EMBEDDING = "embedding.pt"


def fit_guard(
    recipe: GenerateRecipe,
    collection: Collection,
    output: Path,
    *,
    known: ImageEmbedding | None = None,
    say: Say = say_nothing,
) -> tuple[CopyGuard, dict[str, Calibration]]:
    """Fit the embedding on the training images and calibrate each family on held-out patients.

    The embedding is kept in ``output``, so that a run that goes on does not fit it again.

    Args:
        recipe: names seed and settings.
        collection: what was trained on, and what was held out.
        output: of the run.
        known: embedding of the model that the run began with; taken where there are too few
            patients to fit one on.
        say: is told what happens.

    Raises:
        InputRefused: a family has too few images of held-out patients.
    """

    def fitted() -> ImageEmbedding:
        if known is not None and _training_patients(collection) < LEAST_PATIENTS:
            return known
        return _fitted(recipe, collection, say)

    embedding = kept_network(output / GUARD / _EMBEDDING, ImageEmbedding, fitted)
    guards, calibrations = [], {}
    for name, images in collection.sets.items():
        say(f"guard of {name}")
        guard, calibrations[name] = make_guard(
            embedding,
            _small(images, (TRAIN,), embedding.config["side"]),
            _small(images, held_out_parts(images), embedding.config["side"]),
            group=name,
            seed=derived_seed(recipe.seed, GUARD, name),
        )
        guards.append(guard)
    return CopyGuard.joined(guards), calibrations


def _training_patients(collection: Collection) -> int:
    return sum(parts[TRAIN][1] for parts in collection.counts().values())


def held_out_parts(images: ImageSet) -> tuple[str, ...]:
    """The parts whose images say how near other patients' images come.

    Those of the test part are spared where the others are enough.

    Raises:
        InputRefused: all of them together are too few.
    """
    spared = (CALIBRATION, VALIDATION)
    if sum(len(images.indices(part)) for part in spared) >= LEAST_HELD_OUT:
        return spared
    count = sum(len(images.indices(part)) for part in (*spared, TEST))
    if count < LEAST_HELD_OUT:
        raise InputRefused(
            f"copies of training images are told by {LEAST_HELD_OUT} or more images of patients "
            f"that are not trained on, and there are {count}; add patients"
        )
    return (*spared, TEST)


def _fitted(recipe: GenerateRecipe, collection: Collection, say: Say) -> ImageEmbedding:
    images = [_small(one, (TRAIN,), recipe.guard.side) for one in collection.sets.values()]
    patients = [
        f"{name} {labels.patient}"
        for name, one in collection.sets.items()
        for labels in one.part(TRAIN).labels
    ]
    say(f"embedding of {len(patients):,} images to find copies by")
    return train_copy_embedding(
        np.concatenate(images),
        patients,
        settings=recipe.guard,
        seed=derived_seed(recipe.seed, GUARD),
        say=say,
    )


def _small(images: ImageSet, parts: tuple[str, ...], side: int) -> NDArray:
    """Images of some parts at the side that the embedding sees."""
    rows = np.concatenate([images.indices(part) for part in parts])
    found = [resized(images.values(rows[k : k + 64]), side) for k in range(0, len(rows), 64)]
    return np.concatenate(found or [np.empty((0, side, side), np.float32)])
