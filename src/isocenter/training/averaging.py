"""Averages of weights: over the steps of a run, and of two runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def moving_average(network: nn.Module, *, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights, which begins at the present ones."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))


def power_moving_average(network: nn.Module, *, relative_std: float) -> AveragedModel:
    """A moving average over a span that grows with the run, which begins at the present weights.

    After N updates the weights of update t count as t^p - (t - 1)^p out of N^p, so the average
    keeps to the last share of the run, however long that is, and forgets its beginning.

    Args:
        relative_std: standard deviation of this profile over the length of the run, above 0 and
            below 0.288; 0.05 and 0.10 are usual. See :func:`power_of_profile`.

    Raises:
        ValueError: ``relative_std`` is outside its limits.

    Source: Karras et al., CVPR 2024, section 3.1.
    """
    power = power_of_profile(relative_std)

    @torch.no_grad()
    def update(
        averages: Sequence[Tensor], present: Sequence[Tensor], num_averaged: Tensor | int
    ) -> None:
        share = -math.expm1(power * math.log1p(-1 / (int(num_averaged) + 1)))
        for average, weight in zip(averages, present, strict=True):
            average.lerp_(weight.to(average), share)

    return AveragedModel(network, multi_avg_fn=update)


def power_of_profile(relative_std: float) -> float:
    """The power p whose profile p t^(p - 1) over 0 .. 1 has this standard deviation.

    Raises:
        ValueError: it is not above 0 and below that of an even profile, 0.2887.

    Source: Karras et al., CVPR 2024, appendix C, where p is gamma + 1.
    """
    most = 1 / math.sqrt(12)
    if not 0 < relative_std < most:
        raise ValueError(
            f"relative_std is above 0 and below {most:.4f}, that of an even average, got "
            f"{relative_std:g}"
        )
    # p / ((p + 1)^2 (p + 2)) is the variance of the profile.
    inverse = relative_std**-2
    roots = np.roots([1, 4, 5 - inverse, 2])
    return float(max(root.real for root in roots if abs(root.imag) < 1e-9))


def halfway(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the middle between those of two runs of one network.

    Source: Wortsman et al., ICML 2022.
    """
    return {name: (weight + second[name]) / 2 for name, weight in first.items()}
