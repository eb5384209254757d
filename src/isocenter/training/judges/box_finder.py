"""Fit a judge of where something lies: from images with boxes to a map, and from it to a box.

It answers whether a generator puts a finding where it was asked to; what it reaches on real images
of patients never trained on is the most that it can say of generated ones.
Axes: B batch, C channel, H row, W column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from isocenter.core.checks import check_least
from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.modelpack.generator.told import box_map
from isocenter.modelpack.generator.wish import Box
from isocenter.networks.copy_guard import embedded
from isocenter.networks.feature_network import FOLD, FeatureNetwork
from isocenter.training.judges.alteration import (
    Alteration,
    AlterationSettings,
    altered,
    drawn_alteration,
)
from isocenter.training.judges.fitting import FitSettings, checked_images, fit, fresh, resized

_HIDDEN = 64
_LEAST_PROBABILITY = 0.5  # of a pixel of a box, or half the highest where that is less


@dataclass(frozen=True, kw_only=True)
class BoxFinderSettings:
    """How the finder is fitted.

    Attributes:
        widths, blocks: of the network.
        side: rows and columns that images are brought to; the map is a quarter of it.
        fit: steps, batch and rate.
        alteration: of each image each time it is seen; its box moves with it.
    """

    widths: Sequence[int] = (32, 64, 128)
    blocks: Sequence[int] = (1, 1, 2)
    side: int = 256
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=400, batch_size=16))
    alteration: AlterationSettings = field(default_factory=AlterationSettings)

    def __post_init__(self) -> None:
        check_least("side", self.side, 32)


class BoxFinder(nn.Module):
    """Where in an image a box would be.

    Args:
        settings: of the network and the size of its images.
    """

    def __init__(self, settings: BoxFinderSettings) -> None:
        super().__init__()
        self.side = settings.side
        self.features = FeatureNetwork(widths=settings.widths, blocks=settings.blocks)
        self.head = nn.Sequential(
            nn.Conv2d(self.features.num_features, _HIDDEN, 1),
            nn.SiLU(),
            nn.Conv2d(_HIDDEN, 1, 3, padding=1),
        )

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits, (B, 1, H / 4, W / 4), of images (B, 1, H, W) in [-1, 1]."""
        maps = self.features.maps(images_BCHW)
        size = (images_BCHW.shape[-2] // FOLD, images_BCHW.shape[-1] // FOLD)
        alike = [functional.interpolate(one, size, mode="bilinear") for one in maps]
        logits: Tensor = self.head(torch.cat(alike, dim=1))
        return logits


def train_box_finder(
    images: NDArray,
    boxes: Sequence[Box] | NDArray,
    *,
    settings: BoxFinderSettings | None = None,
    seed: int = 0,
    say: Say = say_nothing,
) -> BoxFinder:
    """Fit a finder of boxes from nothing.

    Args:
        images: (images, rows, columns) in [-1, 1].
        boxes: (images, 4) center x, center y, width and height as fractions of the image.
        seed: same seed, same images, same network.

    Raises:
        InputRefused: images that cannot be worked on, or not one box an image.
    """
    settings = settings or BoxFinderSettings()
    array = checked_images(images)
    wanted = np.asarray(boxes, np.float64)
    if wanted.shape != (len(array), 4) or not np.isfinite(wanted).all():
        raise InputRefused(
            f"each of {len(array)} images needs a box of four numbers, got an array of shape "
            f"{wanted.shape}; leave images without a box out"
        )
    side = settings.side
    small = torch.from_numpy(resized(array, side))[:, None]
    marked = torch.stack(
        [torch.from_numpy(box_map((x, y, w, h), (side, side))) for x, y, w, h in wanted]
    )[:, None]
    made = fresh(lambda: BoxFinder(settings), seed=seed, name="box finder")
    assert isinstance(made, BoxFinder)

    def loss(indices: NDArray, generator: torch.Generator) -> Tensor:
        chosen = torch.from_numpy(indices)
        drawn = drawn_alteration(len(indices), settings.alteration, generator)
        mask = altered(2 * marked[chosen] - 1, _moving_only(drawn))
        target = functional.avg_pool2d((mask + 1) / 2, FOLD)
        return _loss(made(altered(small[chosen], drawn)), target)

    fit(made, loss, count=len(array), settings=settings.fit, seed=seed, say=say)
    return made.requires_grad_(False)


def _moving_only(drawn: Alteration) -> Alteration:
    """The same movement without any change of values."""
    none, one = torch.zeros_like(drawn.noise), torch.ones_like(drawn.noise)
    return replace(drawn, contrast=one, brightness=none, gamma=one, noise=none, blur=none)


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of pixels, and one less the overlap (Dice), which small boxes need."""
    probability = logits.sigmoid()
    both = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    overlap = (2 * both + 1) / (total + 1)
    return functional.binary_cross_entropy_with_logits(logits, target) + 1 - overlap.mean()


def found_boxes(network: BoxFinder, images: NDArray) -> NDArray:
    """The box that is most likely in each image, (images, 4) as :data:`Box` has it.

    It frames the connected pixels that hold most of the map's probability.

    Args:
        network: fitted.
        images: (images, rows, columns) in [-1, 1], of any size.
    """
    small = resized(checked_images(images, least=1), network.side)
    logits = embedded(network, small)[:, 0].astype(np.float64)
    return np.stack([_box_of(1 / (1 + np.exp(-one))) for one in logits])


def _box_of(probability: NDArray) -> NDArray:
    labels, count = ndimage.label(
        probability >= min(_LEAST_PROBABILITY, 0.5 * float(probability.max()))
    )
    mass = ndimage.sum_labels(probability, labels, np.arange(1, count + 1))
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(mass))]
    height, width = probability.shape
    return np.array(
        [
            (columns.start + columns.stop) / 2 / width,
            (rows.start + rows.stop) / 2 / height,
            (columns.stop - columns.start) / width,
            (rows.stop - rows.start) / height,
        ]
    )


def box_overlap(boxes: NDArray, others: NDArray) -> NDArray:
    """Intersection over union of boxes (images, 4), one by one, from 0 to 1."""
    a, b = np.asarray(boxes, np.float64), np.asarray(others, np.float64)
    low = np.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    high = np.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    return shared / (np.prod(a[:, 2:], axis=1) + np.prod(b[:, 2:], axis=1) - shared)
