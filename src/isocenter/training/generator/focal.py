"""Which images and which places count how much in a loss.

Weights have a mean of one, so that a learning rate fits with and without them. None holds a
gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isocenter.core.checks import check_least, check_positive
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


def _with_mean_one(weights: Tensor, mean: Tensor) -> Tensor:
    """Where all losses are 0, all weigh one."""
    return weights / mean if mean > 0 else torch.ones_like(weights)
