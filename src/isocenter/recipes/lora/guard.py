"""The guard against copies of the images that a LoRA was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.progress import Say
from isocenter.core.seeds import derived_seed
from isocenter.datasets.image_sets.own_folder import LEAST_PATIENTS
from isocenter.datasets.splits import TRAIN, VALIDATION
from isocenter.evaluation.sets.copies import LEAST_HELD_OUT, Calibration, make_guard
from isocenter.modelpack.stable_diffusion.adapter import GUARD, GUARDED
from isocenter.modelpack.stable_diffusion.gray import GrayScale
from isocenter.networks.copy_guard import CopyGuard
from isocenter.networks.image_embedding import ImageEmbedding
from isocenter.recipes.kept_network import kept_network
from isocenter.recipes.lora.collection import Collection, Example
from isocenter.recipes.lora.configuration import LoraRecipe
from isocenter.training.judges.copy_embedding import train_copy_embedding

_EMBEDDING = "embedding.pt"


def fit_guard(
    recipe: LoraRecipe, collection: Collection, output: Path, *, say: Say
) -> tuple[CopyGuard, Calibration] | None:
    """Fit an embedding on the training images, and its threshold on the validation patients'.

    Returns:
        None where there are too few patients to fit one on, or too few images to tell by what
        distance other patients' images keep; that is said.
    """
    training, held_out = collection.parts[TRAIN], collection.parts[VALIDATION]
    patients = collection.num_patients()[TRAIN]
    if patients < LEAST_PATIENTS or len(held_out) < LEAST_HELD_OUT:
        say(
            f"no guard against copies: it takes {LEAST_PATIENTS} patients who train and "
            f"{LEAST_HELD_OUT} images of those who judge, there are {patients} and {len(held_out)}"
        )
        return None
    side = recipe.guard.side
    images = _small(training, collection.scale, side)

    def fitted() -> ImageEmbedding:
        say(f"embedding of {len(images):,} images to find copies by")
        return train_copy_embedding(
            images,
            [one.patient for one in training],
            settings=recipe.guard,
            seed=derived_seed(recipe.seed, GUARD),
            say=say,
        )

    return make_guard(
        kept_network(output / GUARD / _EMBEDDING, ImageEmbedding, fitted),
        images,
        _small(held_out, collection.scale, side),
        group=GUARDED,
        seed=derived_seed(recipe.seed, GUARD, GUARDED),
    )


def _small(examples: Sequence[Example], scale: GrayScale, side: int) -> NDArray:
    """(images, side, side) float32 in [-1, 1]."""
    return np.stack([scale.scaled(scale.on_square(one.read(), side)) for one in examples])
