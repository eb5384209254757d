"""Fit the classifier that measures what a training set is worth: one recipe for every set.

The number of steps is the same whatever the number of images, so a larger set is not favored by a
longer training; classes are drawn alike, so their shares do not matter either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from isocenter.core.checks import check_least
from isocenter.core.errors import InputRefused
from isocenter.networks.copy_guard import embedded
from isocenter.networks.image_classifier import ImageClassifier
from isocenter.training.judges.alteration import AlterationSettings, altered, drawn_alteration
from isocenter.training.judges.fitting import (
    FitSettings,
    checked_images,
    fit,
    fresh,
    resized,
)

Predict = Callable[[NDArray], NDArray]


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """How the classifier is fitted.

    Attributes:
        widths, blocks: of the network.
        side: rows and columns that images are brought to.
        fit: steps, batch and rate, the same for every set.
        alteration: of each image each time it is seen.
        smoothing: of the labels.
    """

    widths: Sequence[int] = (32, 64, 128, 192)
    blocks: Sequence[int] = (1, 1, 1, 1)
    side: int = 112
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=400, batch_size=32))
    alteration: AlterationSettings = field(default_factory=AlterationSettings)
    smoothing: float = 0.05

    def __post_init__(self) -> None:
        check_least("side", self.side, 32)


def train_classifier(
    images: NDArray,
    classes: NDArray,
    num_classes: int,
    *,
    settings: ClassifierSettings | None = None,
    seed: int = 0,
) -> ImageClassifier:
    """Fit a classifier from nothing.

    Args:
        images: (images, rows, columns) in [-1, 1].
        classes: (images,) whole numbers from 0 to below ``num_classes``.
        seed: same seed, same images, same network.

    Raises:
        InputRefused: images or classes that cannot be worked on.
    """
    settings = settings or ClassifierSettings()
    array = checked_images(images)
    wanted = np.asarray(classes)
    if wanted.shape != (len(array),) or wanted.min() < 0 or wanted.max() >= num_classes:
        raise InputRefused(
            f"each of {len(array)} images needs a class from 0 to {num_classes - 1}, got an array "
            f"of shape {wanted.shape}"
        )
    small = torch.from_numpy(resized(array, settings.side))[:, None]
    target = torch.from_numpy(wanted.astype(np.int64))
    made = fresh(
        lambda: ImageClassifier(
            num_classes=num_classes, widths=settings.widths, blocks=settings.blocks
        ),
        seed=seed,
        name="classifier",
    )
    assert isinstance(made, ImageClassifier)

    def loss(indices: NDArray, generator: torch.Generator) -> Tensor:
        chosen = torch.from_numpy(indices)
        drawn = drawn_alteration(len(indices), settings.alteration, generator)
        logits = made(altered(small[chosen], drawn))
        return functional.cross_entropy(logits, target[chosen], label_smoothing=settings.smoothing)

    frequency = np.bincount(wanted, minlength=num_classes)[wanted]
    fit(
        made,
        loss,
        count=len(array),
        settings=settings.fit,
        seed=seed,
        weights=1 / frequency,
    )
    return made


def classifier_fit(
    settings: ClassifierSettings | None = None,
) -> Callable[[NDArray, NDArray, int, int], Predict]:
    """The recipe as :func:`isocenter.evaluation.sets.usefulness.usefulness` takes it."""
    settings = settings or ClassifierSettings()

    def fitted(images: NDArray, classes: NDArray, num_classes: int, seed: int) -> Predict:
        network = train_classifier(images, classes, num_classes, settings=settings, seed=seed)

        def predict(others: NDArray) -> NDArray:
            logits = embedded(network, resized(checked_images(others, least=1), settings.side))
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            return odds / odds.sum(axis=1, keepdims=True)

        return predict

    return fitted
