"""Several processes that share each batch, such as ``accelerate launch`` starts.

Every process holds the same weights and the same random state and sees its own share of a batch.
Gradients are averaged over the processes. With one process nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as distributed
from torch import Tensor


def num_processes() -> int:
    """How many share a batch."""
    return distributed.get_world_size() if _are_several() else 1


def process_number() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if _are_several() else 0


def is_main_process() -> bool:
    """Whether this process writes files and says what happens."""
    return process_number() == 0


def wait_for_all() -> None:
    """Go on when every process is here."""
    if _are_several():
        distributed.barrier()


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a tensor that holds no gradient over all processes.

    A loss that divides by a sum over the batch divides by this mean of it: the mean of such losses
    over the processes is then the loss of the whole batch.
    """
    if not _are_several():
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / num_processes()


def drawn_for_share(
    draw: Callable[..., Tensor], shape: Sequence[int], generator: torch.Generator | None = None
) -> Tensor:
    """Random numbers for this process's share of a batch.

    Without a generator every process draws the whole batch's numbers from the random state that
    all have in common and takes its own, so that a batch gets the same ones however many share it.

    Args:
        draw: such as ``torch.randn``.
        shape: of the share; the first axis is the batch.
        generator: of a batch that is not shared, as in validation.
    """
    if generator is not None or not _are_several():
        return draw(tuple(shape), generator=generator)
    size = shape[0]
    whole = draw((size * num_processes(), *shape[1:]))
    start = size * process_number()
    return whole[start : start + size]


def _are_several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
