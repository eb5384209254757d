"""A sheet of images that shows how far a denoiser is while it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from isocenter.core.seeds import derived_seed
from isocenter.datasets.splits import VALIDATION
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import ImageGenerator, LatentScale
from isocenter.modelpack.generator.wish import Wish
from isocenter.modelpack.text.encoder import TextEncoder
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.latent_unet import LatentUNet
from isocenter.recipes.generate.collection import Collection
from isocenter.recipes.generate.configuration import GenerateRecipe

_EACH = 6
_STEPS = 16
_DRAFT = {
    "name": "draft",
    "version": "0",
    "intended_use": "A look while it is fitted.",
    "licence": "not stated",
    "not_for": ["Anything else."],
    "limits": ["It is not finished."],
}


def sheet_of(
    recipe: GenerateRecipe,
    collection: Collection,
    autoencoder: Autoencoder,
    text: TextEncoder,
    scale: LatentScale,
) -> Callable[[nn.Module], NDArray]:
    """What draws a sheet from a denoiser: a row of each family, told what validation images show.

    Returns:
        A function from the denoiser to (row, column) uint8.
    """

    def draw(denoiser: nn.Module) -> NDArray:
        assert isinstance(denoiser, LatentUNet)
        was_training = denoiser.training
        generator = ImageGenerator(
            families=collection.families,
            autoencoder=autoencoder,
            denoiser=denoiser,
            process=recipe.process,
            text=text,
            scale=scale,
            card=_DRAFT,
            device=str(next(denoiser.parameters()).device),  # where it is fitted
        )
        rows = [_row(generator.of(one.name), recipe, collection) for one in collection.families]
        denoiser.train(was_training).requires_grad_(True)
        width = max(row.shape[1] for row in rows)
        return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]))) for row in rows])

    return draw


def _row(generator: ImageGenerator, recipe: GenerateRecipe, collection: Collection) -> NDArray:
    family = generator.family
    wishes = list(_wishes(family, collection))
    seeds = [derived_seed(recipe.seed, "picture", number) for number in range(len(wishes))]
    drawn = generator.generate(wishes, seeds, steps=_STEPS)
    center, width = family.window
    shown = [((one.values - center) / width + 0.5).clip(0, 1) for one in drawn]
    return np.concatenate([np.rint(one * 255).astype(np.uint8) for one in shown], axis=1)


def _wishes(family: Family, collection: Collection) -> Iterator[Wish]:
    """What some images of validation patients show."""
    images = collection.sets[family.name]
    rows = images.indices(VALIDATION)
    for row in rows[:: max(1, len(rows) // _EACH)][:_EACH]:
        labels = images.labels[row]
        yield Wish(
            categories={
                name: value
                for name, value in labels.categories.items()
                if value in family.categories.get(name, ())
            },
            box=labels.box if family.box else None,
            mask=images.guides[row] if images.guides is not None and family.guide else None,
            reference=images.references[row]
            if images.references is not None and family.reference
            else None,
        )
