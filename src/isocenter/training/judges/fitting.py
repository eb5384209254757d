"""A short fit of a fixed number of steps, the same again from the same seed.

Judges are small and made anew for every set, so they need no checkpoints: what is drawn follows
from the seed alone, and the number of steps is known before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.checks import check_positive
from isocenter.core.errors import InputRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed, generator_for

MOST_STEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How to fit.

    Attributes:
        steps: all of them; nothing stops earlier.
        batch_size: images a step.
        learning_rate, weight_decay: of AdamW, with a tenth of the steps to warm up and half a
            cosine down to zero.
        say_every: steps between lines on how far it is.
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    say_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "say_every"):
            check_positive(name, getattr(self, name))
        if self.steps > MOST_STEPS:
            raise ValueError(f"steps are at most {MOST_STEPS}, got {self.steps}")


def checked_images(images: NDArray, *, least: int = 2) -> NDArray:
    """Images (images, rows, columns) as float32 in [-1, 1].

    Raises:
        InputRefused: another shape, too few, or values outside the range.
    """
    array = np.asarray(images, np.float32)
    if array.ndim != 3 or len(array) < least:
        raise InputRefused(
            f"images must be (images, rows, columns) with at least {least} images, got an array "
            f"of shape {array.shape}"
        )
    if not np.all(np.abs(array) <= 1.001):  # also refuses NaN
        raise InputRefused(
            "images must be scaled to -1..1 and finite; divide 8-bit values by 127.5 and take 1"
        )
    return array


def fresh(make: Callable[[], nn.Module], *, seed: int, name: str) -> nn.Module:
    """A network whose first weights follow from a seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, name))
        return make()


def fit(
    parts: nn.Module,
    loss: Callable[[NDArray, torch.Generator], Tensor],
    *,
    count: int,
    settings: FitSettings,
    seed: int,
    say: Say = say_nothing,
    weights: NDArray | None = None,
) -> None:
    """Let parameters follow a loss for the steps that were set.

    Args:
        parts: what is fitted, with all heads.
        loss: from indices of the images of a batch and a generator to a scalar.
        count: images there are.
        weights: (count,) how often each image is drawn beside the others; None draws all alike,
            each once before any twice.
    """
    optimizer = torch.optim.AdamW(
        parts.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=settings.steps + 1,
        pct_start=0.1,
        cycle_momentum=False,
    )
    generator = torch.Generator().manual_seed(derived_seed(seed, "what a fit draws"))
    parts.train()
    batches = _batches(count, settings.batch_size, seed, weights)
    for step in range(1, settings.steps + 1):
        value = loss(next(batches), generator)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % settings.say_every == 0 or step == settings.steps:
            say(f"step {step} of {settings.steps}: loss {value.item():.4f}")
    parts.eval()


def _batches(count: int, batch_size: int, seed: int, weights: NDArray | None) -> Iterator[NDArray]:
    rng = generator_for(seed, "batches of a fit")
    share = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    waiting = np.empty(0, int)
    while True:
        while len(waiting) < batch_size:
            more = rng.permutation(count) if share is None else rng.choice(count, count, p=share)
            waiting = np.concatenate([waiting, more])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def resized(images: NDArray, side: int) -> NDArray:
    """(images, rows, columns) brought to a square, smoothed first where that is smaller."""
    parts = [
        functional.interpolate(
            torch.from_numpy(np.ascontiguousarray(images[start : start + 64], np.float32))[:, None],
            (side, side),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )[:, 0].numpy()
        for start in range(0, len(images), 64)
    ]
    return np.concatenate(parts)
