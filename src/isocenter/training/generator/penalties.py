"""What a CT that is made must not break: the range of HU, air around the body, shapes of organs.

Each penalty is 0 where nothing is broken and has a gradient where something is. Images are in HU,
(batch, 1, row, column), as an autoencoder decodes them; to hold back a denoiser, its estimate of
the clean image is decoded first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from isocenter.core.checks import check_least, check_positive
from isocenter.core.errors import InputRefused

# From an image in HU to a mask of each organ, (batch, organ, row, column) from 0 to 1.
Segmenter = Callable[[Tensor], Tensor]

AIR_HU = -1000.0
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
_SCALE_HU = 100.0  # an error of this size counts one
_HARDLY_ANY = 1e-3  # of an image: an organ that is smaller is taken for one that is not there


def hu_range_penalty(
    image_hu: Tensor, *, lowest_hu: float = LOWEST_HU, highest_hu: float = HIGHEST_HU
) -> Tensor:
    """Mean squared excess beyond the range that a CT stores, in units of (100 HU)².

    Returns:
        One number an image.
    """
    beyond = (lowest_hu - image_hu).clamp_min(0) + (image_hu - highest_hu).clamp_min(0)
    return (beyond / _SCALE_HU).square().flatten(1).mean(dim=1)


def air_outside_penalty(
    image_hu: Tensor, body: Tensor, *, tolerance_hu: float = 60.0, linear_from_hu: float = 200.0
) -> Tensor:
    """How far what lies outside the body is from air: a Huber error beyond a tolerance.

    The tolerance leaves room for noise, and blankets and the table count less than in proportion to
    their square.

    Args:
        image_hu: (batch, 1, row, column).
        body: of the same shape, 1 in the body and 0 outside; shares between are weights.
        tolerance_hu: distance from air that costs nothing.
        linear_from_hu: from here on the error grows linearly.

    Returns:
        One number an image: the mean over the voxels outside, in units of (100 HU)²; 0 where the
        body fills the image.

    Raises:
        InputRefused: the mask has another shape than the image.
    """
    check_least("tolerance_hu", tolerance_hu, 0)
    check_positive("linear_from_hu", linear_from_hu)
    if body.shape != image_hu.shape:
        raise InputRefused(
            f"the mask of the body has the shape of the image, {tuple(image_hu.shape)}; got "
            f"{tuple(body.shape)}"
        )
    outside = 1 - body.detach().to(image_hu)
    beyond = ((image_hu - AIR_HU).abs() - tolerance_hu).clamp_min(0) / _SCALE_HU
    bend = linear_from_hu / _SCALE_HU
    error = torch.where(beyond < bend, beyond.square(), bend * (2 * beyond - bend))
    return (outside * error).flatten(1).sum(dim=1) / outside.flatten(1).sum(dim=1).clamp_min(1)


def organ_shape_penalty(image_hu: Tensor, wished: Tensor, segmenter: Segmenter) -> Tensor:
    """How little the organs of an image overlap those that were wished: 1 - soft Dice, organ mean.

    Args:
        image_hu: (batch, 1, row, column).
        wished: (batch, organ, row, column), 1 in the organ; an organ that is nowhere in an image
            counts too, and costs where the segmenter finds it.
        segmenter: what finds the organs; gradients go through it, and it is not changed.

    Returns:
        One number an image, from 0 to 1.

    Raises:
        InputRefused: the segmenter's masks have another shape than those wished.

    Source: Milletari et al., 3DV 2016, for the Dice of shares with squares in its denominator.
    """
    found = segmenter(image_hu)
    if found.shape != wished.shape:
        raise InputRefused(
            f"the segmenter gives masks of {tuple(found.shape)}, and {tuple(wished.shape)} are "
            "wished; give as many organs, in the segmenter's order"
        )
    wished = wished.detach().to(found)
    room = _HARDLY_ANY * wished[0, 0].numel()
    both = (found * wished).flatten(2).sum(dim=2)
    each = found.square().flatten(2).sum(dim=2) + wished.square().flatten(2).sum(dim=2)
    return (1 - (2 * both + room) / (each + room)).mean(dim=1)


@dataclass(frozen=True, kw_only=True)
class BodyAndLung:
    """Body and lung by their HU: thresholds with soft edges, so that gradients go through.

    The body is tissue and what no air from the edge of the image reaches; which places that are is
    taken as it is, without gradient. Lung is what is in the body and neither tissue nor quite air:
    without vessels, and with what gas of the bowel is not quite air. A table counts as body, and
    the foam in it as lung, so images are to show none. For axial slices.

    Attributes:
        tissue_hu: halfway between lung and tissue.
        air_hu: halfway between lung and air.
        softness_hu: the share goes from a quarter to three quarters over about twice this.
    """

    tissue_hu: float = -500.0
    air_hu: float = -970.0
    softness_hu: float = 30.0

    def __post_init__(self) -> None:
        check_positive("softness_hu", self.softness_hu)
        if not self.air_hu < self.tissue_hu:
            raise ValueError(
                f"air_hu lies below tissue_hu, got {self.air_hu:g} and {self.tissue_hu:g}"
            )

    def __call__(self, image_hu: Tensor) -> Tensor:
        """Map (batch, 1, row, column) HU to (batch, 2, row, column): shares of body and lung."""
        tissue = torch.sigmoid((image_hu - self.tissue_hu) / self.softness_hu)
        inside = ~reached_from_edge(image_hu.detach() < self.tissue_hu)
        not_air = torch.sigmoid((image_hu - self.air_hu) / self.softness_hu)
        body = torch.where(inside, torch.ones_like(tissue), tissue)
        return torch.cat([body, inside * (1 - tissue) * not_air], dim=1)


def reached_from_edge(free: Tensor) -> Tensor:
    """Where one comes from the edges of an image by free places alone, side by side.

    Found on the processor, image by image.

    Args:
        free: (..., row, column) bool.

    Returns:
        Bool of the same shape.
    """
    images = free.reshape(-1, *free.shape[-2:]).cpu().numpy()
    reached = np.stack([_joined_to_edge(image) for image in images])
    return torch.from_numpy(reached).to(free.device).view(free.shape)


def _joined_to_edge(free: NDArray) -> NDArray:
    labels, count = ndimage.label(free)
    joined = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        joined[edge] = True
    joined[0] = False  # what is not free
    return joined[labels]
