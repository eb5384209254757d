"""The network whose features say how alike images look: a loss, and later a judge of sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.splits import TRAIN
from isocenter.networks.feature_network import FeatureNetwork
from isocenter.recipes.generate.collection import Collection
from isocenter.recipes.generate.configuration import GenerateRecipe
from isocenter.recipes.kept_network import kept_network
from isocenter.training.judges.features import UNKNOWN, train_feature_network

FEATURES = "features"
_WEIGHTS = "features.pt"


def fit_features(
    recipe: GenerateRecipe, collection: Collection, output: Path, *, say: Say = say_nothing
) -> FeatureNetwork:
    """Fit the feature network on the training images, or read what an earlier run has fitted."""

    def fitted() -> FeatureNetwork:
        say("features that say how alike images look")
        train = [images.part(TRAIN) for images in collection.sets.values()]
        return train_feature_network(
            [images.values() for images in train],
            _labels(train),
            settings=recipe.features,
            seed=derived_seed(recipe.seed, FEATURES),
            say=say,
        )

    network = kept_network(output / FEATURES / _WEIGHTS, FeatureNetwork, fitted)
    return network.eval().requires_grad_(False)


def _labels(sets: list[ImageSet]) -> dict[str, NDArray]:
    """The family and each category as whole numbers, for all images in order."""
    found = {"family": np.repeat(np.arange(len(sets)), [len(images) for images in sets])}
    labels = [one for images in sets for one in images.labels]
    for name in sorted({name for one in labels for name in one.categories}):
        values = sorted({one.categories[name] for one in labels if name in one.categories})
        found[name] = np.array(
            [
                values.index(one.categories[name]) if name in one.categories else UNKNOWN
                for one in labels
            ]
        )
    return found
