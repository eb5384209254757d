"""Which images and which places count how much in a loss.

Weights have a mean of one, so that a learning rate fits with and without them. None holds a
gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from isocenter.core.checks import check_least, check_positive
from isocenter.core.errors import InputRefused
from isocenter.training.processes import mean_over_processes


def focal_weights(losses: Tensor, *, focus: float, most: float = 10.0) -> Tensor:
    """More weight for what is still wrong: (1 - exp(-loss / mean loss))^focus, with a mean of one.

    The exponential stands in for the probability of the right answer, as which the focal loss of
    classification takes it; here a loss as large as the mean is taken for a probability of 1/e.

    Args:
        losses: one an image or a voxel, any shape, 0 or more. Over several processes all of the
            batch have one mean.
        focus: 0 weighs all alike.
        most: largest weight before the mean is set to one, over that of the mean loss.

    Returns:
        Weights of the same shape.

    Source: Lin et al., ICCV 2017, for classification.
    """
    check_least("focus", focus, 0)
    check_positive("most", most)
    values = losses.detach().float()
    if focus == 0:
        return torch.ones_like(values)
    mean = mean_over_processes(values.mean()).clamp_min(torch.finfo(torch.float32).tiny)
    at_mean = (1 - torch.exp(torch.tensor(-1.0))).item() ** focus
    weights = (-torch.expm1(-values / mean)).pow(focus).clamp_max(most * at_mean)
    return _with_mean_one(weights, mean_over_processes(weights.mean()))


def box_weights(boxes: Tensor, shape: tuple[int, int], *, inside: float) -> Tensor:
    """Weights of the cells of a grid, such as that of a latent, by how much of each a box covers.

    Args:
        boxes: (batch, 4): center x, center y, width and height as fractions of the image; NaN for
            an image without a box, whose cells all weigh one.
        shape: rows and columns of the grid.
        inside: weight of a cell in the box over that of one outside.

    Returns:
        (batch, 1, row, column), in each image with a mean of one.

    Raises:
        InputRefused: boxes are not four numbers each.
    """
    check_positive("inside", inside)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputRefused(
            f"a box is center x, center y, width and height; got a tensor of {tuple(boxes.shape)}"
        )
    found = torch.nan_to_num(boxes.detach().float(), nan=0.0)
    along = [
        _covered(found[:, axis], found[:, axis + 2], count)
        for axis, count in ((1, shape[0]), (0, shape[1]))
    ]
    covered = along[0][:, None, :, None] * along[1][:, None, None, :]
    return region_weights(covered, inside=inside)


def mask_weights(mask: Tensor, shape: tuple[int, ...], *, inside: float) -> Tensor:
    """Weights of the cells of a grid, by how much of each a mask covers.

    Args:
        mask: (batch, 1, row, column) or (batch, 1, slice, row, column); what is not 0 is inside.
        shape: of the grid, no finer than the mask.
        inside: weight of a cell in the mask over that of one outside.

    Returns:
        (batch, 1) and the shape, in each image with a mean of one.

    Raises:
        InputRefused: the mask has other axes, or is coarser than the grid.
    """
    check_positive("inside", inside)
    space = tuple(mask.shape[2:])
    fits = len(shape) in (2, 3) and len(space) == len(shape)
    fits = fits and all(a >= b for a, b in zip(space, shape, strict=True))
    if mask.shape[1] != 1 or not fits:
        raise InputRefused(
            f"a mask of {tuple(mask.shape)} gives no weights of a grid of {tuple(shape)}; give "
            "(batch, 1, row, column), no coarser than the grid"
        )
    inner = (mask.detach() != 0).float()
    if len(shape) == 2:
        covered = functional.adaptive_avg_pool2d(inner, (shape[0], shape[1]))
    else:
        covered = functional.adaptive_avg_pool3d(inner, (shape[0], shape[1], shape[2]))
    return region_weights(covered, inside=inside)


def region_weights(covered: Tensor, *, inside: float) -> Tensor:
    """Weights of cells by the share of each that lies in a region.

    Args:
        covered: (batch, 1, ...), shares from 0 to 1.
        inside: weight of a cell in the region over that of one outside.

    Returns:
        Of the same shape, in each image with a mean of one.
    """
    check_positive("inside", inside)
    weights = 1 + (inside - 1) * covered
    return weights / weights.mean(dim=tuple(range(1, weights.ndim)), keepdim=True)


def _covered(center: Tensor, width: Tensor, count: int) -> Tensor:
    """(batch, cell): the share of each of so many cells that an interval of [0, 1] covers."""
    edges = torch.arange(count + 1, device=center.device) / count
    low, high = (center - width / 2)[:, None], (center + width / 2)[:, None]
    overlap = torch.minimum(edges[1:], high) - torch.maximum(edges[:-1], low)
    return overlap.clamp_min(0) * count


def _with_mean_one(weights: Tensor, mean: Tensor) -> Tensor:
    """Where all losses are 0, all weigh one."""
    return weights / mean if mean > 0 else torch.ones_like(weights)
