"""Averages of weights: over the steps of a run, and of two runs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def moving_average(network: nn.Module, *, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights, which begins at the present ones."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))


def halfway(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the middle between those of two runs of one network.

    Source: Wortsman et al., ICML 2022.
    """
    return {name: (weight + second[name]) / 2 for name, weight in first.items()}
