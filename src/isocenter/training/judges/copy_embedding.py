"""Fit the embedding that finds copies: near to one's own alterations, far from other patients.

Source: of the loss, Chen et al., ICML 2020 (NT-Xent); of the use, Dar et al., Nat. Biomed. Eng.,
2025, who found that generators of medical images keep training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from isocenter.core.checks import check_positive
from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.networks.image_embedding import ImageEmbedding
from isocenter.training.judges.alteration import AlterationSettings, altered, drawn_alteration
from isocenter.training.judges.fitting import (
    FitSettings,
    checked_images,
    fit,
    fresh,
    resized,
)


@dataclass(frozen=True, kw_only=True)
class CopyEmbeddingSettings:
    """How the embedding is fitted.

    Attributes:
        channels, side, grid, widths, blocks: of the network.
        fit: steps, batch and rate.
        alteration: what a copy may have suffered.
        temperature: of the loss; the smaller, the more the nearest others count.
    """

    channels: int = 64
    side: int = 96
    grid: int = 3
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (1, 1, 2)
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=1200, batch_size=48))
    alteration: AlterationSettings = field(default_factory=AlterationSettings)
    temperature: float = 0.1

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)


def train_copy_embedding(
    images: NDArray,
    patients: Sequence[str | int] | NDArray,
    *,
    settings: CopyEmbeddingSettings | None = None,
    seed: int = 0,
    say: Say = say_nothing,
) -> ImageEmbedding:
    """Fit an embedding on training images.

    Args:
        images: (images, rows, columns) in [-1, 1].
        patients: whose each image is; images of one patient do not repel each other.
        seed: same seed, same images, same network.

    Raises:
        InputRefused: images that cannot be worked on, or of fewer than two patients.
    """
    settings = settings or CopyEmbeddingSettings()
    array = checked_images(images)
    patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    if len(patient) != len(array) or patient.max() < 1:
        raise InputRefused(
            f"each of {len(array)} images needs a patient, and two at least are needed, got "
            f"{len(patient)} names of {patient.max() + 1} patients"
        )
    made = fresh(lambda: _network(settings), seed=seed, name="copy embedding")
    assert isinstance(made, ImageEmbedding)
    small = torch.from_numpy(resized(array, settings.side))[:, None]

    def loss(indices: NDArray, generator: torch.Generator) -> Tensor:
        batch = small[torch.from_numpy(indices)]
        views = [
            altered(batch, drawn_alteration(len(batch), settings.alteration, generator))
            for _ in range(2)
        ]
        whose = torch.from_numpy(patient[indices])
        return contrastive_loss(made(views[0]), made(views[1]), whose, settings.temperature)

    fit(made, loss, count=len(array), settings=settings.fit, seed=seed, say=say)
    return made.requires_grad_(False)


def _network(settings: CopyEmbeddingSettings) -> ImageEmbedding:
    return ImageEmbedding(
        channels=settings.channels,
        side=settings.side,
        grid=settings.grid,
        widths=settings.widths,
        blocks=settings.blocks,
    )


def contrastive_loss(first: Tensor, second: Tensor, patients: Tensor, temperature: float) -> Tensor:
    """How much likelier another patient's image is taken for the copy than the copy itself.

    Args:
        first, second: (images, channels) unit vectors of two views of the same images.
        patients: (images,) whole numbers; what belongs to the same patient, or is the same image
            drawn twice, is left out of the others.
    """
    both = torch.cat([first, second])
    logits = both @ both.T / temperature
    count = len(first)
    same = patients.repeat(2)[:, None] == patients.repeat(2)
    own = torch.arange(2 * count)
    partner = (own + count) % (2 * count)
    keep = ~same
    keep[own, partner] = True
    return functional.cross_entropy(logits.masked_fill(~keep, float("-inf")), partner)
