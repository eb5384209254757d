"""What is fitted: a network, its loss and its figure of merit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, Tensor]


@dataclass(kw_only=True)
class Learner:
    """A network with its loss and its figure of merit.

    Attributes:
        name: also the name of its weights file.
        network: what is fitted.
        loss: from the network and a batch to a scalar and numbers to log. With several processes
            each sees its share of a batch; the loss is such that its mean over the processes is
            that of the whole batch (see :mod:`isocenter.training.processes`).
        merit: from the averaged network and a batch to one number an image; higher is better.
        picture: from the averaged network and a batch to (row, column) uint8 that shows what the
            network makes of it; None for no pictures.
    """

    name: str
    network: nn.Module
    loss: Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]]
    merit: Callable[[nn.Module, Batch], Tensor]
    picture: Callable[[nn.Module, Batch], NDArray] | None = None
    average: nn.Module = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    best_merit: float = field(default=float("-inf"), init=False)


class LossOf(nn.Module):
    """A learner's loss as a module: whatever it calls on the network, gradients are averaged.

    Processes exchange gradients where the forward pass of what was prepared begins and ends. A loss
    may call other methods of the network than its forward pass, so the loss itself is prepared.
    """

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.network = learner.network
        self._loss = learner.loss

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss and numbers to log."""
        return self._loss(self.network, batch)
