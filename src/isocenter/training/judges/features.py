"""Fit the network whose features judge sets of images: what labels say, and what images say.

Three things are learned at once, so that features know anatomy, classes and texture:

- each label that is given, such as class, plane or kind of image (cross-entropy);
- by how many quarter turns an image was turned (Gidaris et al., ICLR 2018);
- that two alterations of one image are alike while features of different images differ and do not
  repeat each other (VICReg; Bardes et al., ICLR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.checks import check_least
from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.networks.feature_network import FeatureNetwork
from isocenter.training.judges.alteration import AlterationSettings, altered, drawn_alteration
from isocenter.training.judges.fitting import FitSettings, checked_images, fit, fresh

UNKNOWN = -1
_QUARTER_TURNS = 4


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """How the feature network is fitted.

    Attributes:
        widths, blocks: of the network.
        fit: steps, batch and rate.
        side: of the square that is cut out of each image.
        alteration: of each of two views.
        label_weight, turn_weight, alike_weight: of the three losses.
        projected: channels of the space in which views are to be alike; it is thrown away after.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    blocks: tuple[int, ...] = (2, 2, 1)
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=1500, batch_size=24))
    side: int = 96
    alteration: AlterationSettings = field(default_factory=AlterationSettings)
    label_weight: float = 1.0
    turn_weight: float = 0.5
    alike_weight: float = 1.0
    projected: int = 256

    def __post_init__(self) -> None:
        for name in ("label_weight", "turn_weight", "alike_weight"):
            check_least(name, getattr(self, name), 0)
        check_least("projected", self.projected, 2)


class _Fitted(nn.Module):
    """The network with the heads that only its training needs."""

    def __init__(self, settings: FeatureSettings, num_values: Mapping[str, int]) -> None:
        super().__init__()
        self.network = FeatureNetwork(widths=settings.widths, blocks=settings.blocks)
        features = self.network.num_features
        self.labels = nn.ModuleDict(
            {f"label {name}": nn.Linear(features, count) for name, count in num_values.items()}
        )
        self.turn = nn.Linear(features, _QUARTER_TURNS)
        self.project = nn.Sequential(
            nn.Linear(features, settings.projected),
            nn.BatchNorm1d(settings.projected),
            nn.ReLU(),
            nn.Linear(settings.projected, settings.projected),
        )


def train_feature_network(
    images: Sequence[NDArray],
    labels: Mapping[str, NDArray],
    *,
    settings: FeatureSettings | None = None,
    seed: int = 0,
    say: Say = say_nothing,
) -> FeatureNetwork:
    """Fit a feature network.

    Args:
        images: one array (images, rows, columns) in [-1, 1] for each kind; sizes may differ between
            kinds, and every kind is drawn from alike.
        labels: by name whole numbers from 0 for all images in order, ``UNKNOWN`` where not known.
        seed: same seed, same images, same network.

    Raises:
        InputRefused: images or labels that cannot be worked on.
    """
    settings = settings or FeatureSettings()
    kinds = [checked_images(each) for each in images]
    known = _checked_labels(labels, sum(map(len, kinds)))
    kind_of = np.repeat(np.arange(len(kinds)), [len(each) for each in kinds])
    first = np.concatenate([[0], np.cumsum([len(each) for each in kinds])])
    num_values = {name: int(value.max()) + 1 for name, value in known.items()}
    fitted = fresh(lambda: _Fitted(settings, num_values), seed=seed, name="feature network")
    assert isinstance(fitted, _Fitted)

    def loss(indices: NDArray, generator: torch.Generator) -> Tensor:
        cut = [
            _square(kinds[kind_of[k]][k - first[kind_of[k]]], settings.side, generator)
            for k in indices
        ]
        chosen = {name: torch.from_numpy(value[indices]) for name, value in known.items()}
        return _loss(fitted, torch.stack(cut)[:, None], chosen, settings, generator)

    fit(
        fitted,
        loss,
        count=len(kind_of),
        settings=settings.fit,
        seed=seed,
        say=say,
        weights=1 / np.bincount(kind_of)[kind_of],
    )
    return fitted.network.requires_grad_(False)


def _checked_labels(labels: Mapping[str, NDArray], count: int) -> dict[str, NDArray]:
    known = {name: np.asarray(value) for name, value in labels.items()}
    for name, value in known.items():
        if value.shape != (count,) or value.dtype.kind not in "iu" or value.min() < UNKNOWN:
            raise InputRefused(
                f"the label {name!r} needs one whole number from 0 (or {UNKNOWN} where unknown) "
                f"for each of {count} images, got {value.dtype} of shape {value.shape}"
            )
    return {name: value.astype(np.int64) for name, value in known.items() if value.max() >= 1}


def _square(image: NDArray, side: int, generator: torch.Generator) -> Tensor:
    """A square somewhere in an image, at its own resolution; smaller images are padded."""
    whole = torch.from_numpy(image)
    missing = [max(0, side - size) for size in whole.shape]
    if any(missing):
        whole = functional.pad(whole, (0, missing[1], 0, missing[0]), value=-1.0)
    top, left = (
        int(torch.randint(size - side + 1, (1,), generator=generator)) for size in whole.shape
    )
    return whole[top : top + side, left : left + side]


def _loss(
    fitted: _Fitted,
    images_BCHW: Tensor,
    labels: Mapping[str, Tensor],
    settings: FeatureSettings,
    generator: torch.Generator,
) -> Tensor:
    batch = len(images_BCHW)
    turns = torch.randint(_QUARTER_TURNS, (batch,), generator=generator)
    turned = torch.stack(
        [
            torch.rot90(image, int(turn), (1, 2))
            for image, turn in zip(images_BCHW, turns, strict=True)
        ]
    )
    views = torch.cat(
        [altered(turned, drawn_alteration(batch, settings.alteration, generator)) for _ in range(2)]
    )
    features = fitted.network(views)
    total = settings.turn_weight * functional.cross_entropy(fitted.turn(features), turns.repeat(2))
    for name, wanted in labels.items():
        both = wanted.repeat(2)
        if bool((both >= 0).any()):
            logits = fitted.labels[f"label {name}"](features)
            total = total + settings.label_weight * functional.cross_entropy(
                logits, both, ignore_index=UNKNOWN
            )
    first, second = fitted.project(features).chunk(2)
    return total + settings.alike_weight * vicreg_loss(first, second)


def vicreg_loss(first: Tensor, second: Tensor) -> Tensor:
    """Two views alike, features that vary, features that do not repeat each other; over 25.

    Args:
        first, second: (images, channels) of two views of the same images.

    Source: Bardes, Ponce, LeCun, ICLR 2022, equations 1 to 6, with its weights 25, 25 and 1.
    """
    alike = functional.mse_loss(first, second)
    varied = decorrelated = torch.zeros(())
    for one in (first, second):
        centered = one - one.mean(dim=0)
        deviation = (centered.square().sum(dim=0) / (len(one) - 1) + 1e-4).sqrt()
        varied = varied + functional.relu(1 - deviation).mean() / 2
        covariance = centered.T @ centered / (len(one) - 1)
        off = covariance - torch.diag(covariance.diagonal())
        decorrelated = decorrelated + off.square().sum() / one.shape[1]
    return alike + varied + decorrelated / 25
