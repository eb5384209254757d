"""What is fitted: a network, its loss and its figure of merit, and whom it plays against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.training.freezing import RateGroup

Batch = dict[str, Tensor]


@dataclass(kw_only=True)
class Adversary:
    """A second network that a learner plays against, such as one that tells made images from real.

    In every step the learner's loss comes first, while this network's weights are held; then this
    network's loss, while the learner's are held, on the same batch. The learner's loss calls this
    network itself, and may keep what it made for the loss that follows.

    Attributes:
        network: what is fitted besides; it is saved and resumed, not averaged.
        loss: from this network, the learner's network and a batch to a scalar and numbers to log;
            over several processes as :attr:`Learner.loss` is.
        first_step: steps of the learner alone, before this network learns; the learner's own loss
            reads :attr:`Learner.step` where it is to leave this network out until then.
        rate_factor: its learning rate over the learner's.
        weight_decay, betas: of AdamW.
    """

    network: nn.Module
    loss: Callable[[nn.Module, nn.Module, Batch], tuple[Tensor, dict[str, float]]]
    first_step: int = 0
    rate_factor: float = 1.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.5, 0.9)
    optimizer: torch.optim.Optimizer = field(init=False)


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
        groups: parts of the network with a learning rate of their own; frozen weights are left out
            (see :mod:`isocenter.training.freezing`).
        adversary: a second network with its own loss and optimizer, fitted in turn with this one.
        step: steps that are done; set before each loss.
    """

    name: str
    network: nn.Module
    loss: Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]]
    merit: Callable[[nn.Module, Batch], Tensor]
    picture: Callable[[nn.Module, Batch], NDArray] | None = None
    groups: Sequence[RateGroup] = ()
    adversary: Adversary | None = None
    step: int = field(default=0, init=False)
    average: nn.Module = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    best_merit: float = field(default=float("-inf"), init=False)


class LossOf(nn.Module):
    """A loss as a module: whatever it calls on the network, gradients are averaged.

    Processes exchange gradients where the forward pass of what was prepared begins and ends. A loss
    may call other methods of the network than its forward pass, so the loss itself is prepared.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]],
    ) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss and numbers to log."""
        return self._loss(self.network, batch)
