"""A run of seconds of a network with an adversary, by one process or several.

``accelerate launch --multi_gpu --num_processes 2 toy_run.py FOLDER``. With a number after the
folder the process kills itself when that pair is asked for.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from isocenter.core.seeds import derived_seed
from isocenter.training.freezing import RateGroup, freeze
from isocenter.training.learner import Adversary, Batch, Learner
from isocenter.training.loop import LongLoopSettings, Trainer
from isocenter.training.processes import drawn_for_share
from isocenter.training.sampling import BalancedOrder, balanced_shares

SETTINGS = LongLoopSettings(
    steps=10,
    batch_size=4,
    learning_rate=0.02,
    warm_up_steps=2,
    average_decay=0.6,
    log_every=1,
    validate_every=4,
    checkpoint_every=3,
    workers=0,
    mixed_precision="no",
    schedule="linear",
    decay_after_steps=4,
    unused_weights=True,
)
LABELS = [("dark",)] * 9 + [("bright",)] * 3


class Pictures(Dataset):
    """Noise of two levels by number, in a balanced order."""

    def __init__(self, length: int, start: int = 0, *, dies_at: int | None = None) -> None:
        self.length, self.start, self.dies_at = length, start, dies_at
        self.order = BalancedOrder(LABELS, balanced_shares(LABELS), seed=4)

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, number: int) -> Batch:
        if self.start + number == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        image = self.order(self.start + number)
        generator = torch.Generator().manual_seed(derived_seed(2, "picture", image))
        values = torch.randn(1, 8, 8, generator=generator) + (2.0 if image >= 9 else 0.0)
        return {"image": values, "mark": torch.tensor(float(image >= 9))}


class Blur(nn.Module):
    """A convolution, some weights that every other step leaves alone, and some that are frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.marked = nn.Linear(1, 4)
        self.frozen = nn.Conv2d(4, 1, 1)

    def forward(self, image: Tensor, mark: Tensor | None) -> Tensor:
        features = self.convolution(image)
        if mark is not None:
            features = features + self.marked(mark[:, None])[:, :, None, None]
        return self.frozen(features.tanh())


def discriminator() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 6))


def learner(*, first_step: int = 2, rate_factor: float = 0.5) -> Learner:
    """Clears noise and is to be taken for real by its adversary."""
    network, judge = Blur(), discriminator()
    freeze(network, ["frozen.*"])
    made: list[Tensor] = []

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        image = batch["image"]
        noise = drawn_for_share(torch.randn, image.shape)
        mark = batch["mark"] if fitted.step % 2 else None
        made[:] = [model(image + noise, mark)]
        error = (made[0] - image).square().mean()
        fooled = -judge(made[0]).mean() if fitted.step >= first_step else torch.zeros(())
        return error + 0.1 * fooled, {"error": error.item(), "fooled": fooled.item()}

    def told_apart(
        own: nn.Module, model: nn.Module, batch: Batch
    ) -> tuple[Tensor, dict[str, float]]:
        value = (1 - own(batch["image"])).relu().mean() + (1 + own(made[0].detach())).relu().mean()
        return value, {"hinge": value.item()}

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        return -(model(batch["image"], None) - batch["image"]).square().mean(dim=(1, 2, 3))

    fitted = Learner(
        name="blur",
        network=network,
        loss=loss,
        merit=merit,
        groups=[RateGroup(patterns=("marked.*",), rate_factor=3.0, weight_decay=0.0)],
        adversary=Adversary(
            network=judge, loss=told_apart, first_step=first_step, rate_factor=rate_factor
        ),
    )
    return fitted


def validation() -> list[Batch]:
    pictures = [Pictures(1004, 1000)[k] for k in range(4)]
    return [{name: one[name][None] for name in one} for one in pictures]


def run(
    folder: Path, dies_at: int | None = None, *, settings: LongLoopSettings = SETTINGS
) -> Trainer:
    """Fit from one seed, or from the last checkpoint."""
    torch.manual_seed(3)
    trainer = Trainer([learner()], settings=settings, folder=folder)
    trainer.resume()

    def pairs(start: int) -> Pictures:
        return Pictures(settings.steps * settings.batch_size, start, dies_at=dies_at)

    trainer.fit(pairs, validation())
    return trainer


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)
