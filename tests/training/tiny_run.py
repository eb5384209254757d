"""A run of both stages for some steps, started by one process or by several.

``accelerate launch --multi_gpu --num_processes 2 tiny_run.py FOLDER``. With a number after the
folder that pair is never made, so that there is time to kill the run.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.training.ct_enhance.learners import mean_learner, texture_learner
from isocenter.training.ct_enhance.losses import LossSettings
from isocenter.training.learner import Batch
from isocenter.training.loop import LoopSettings, Trainer

SETTINGS = LoopSettings(
    steps=6,
    batch_size=4,
    learning_rate=5e-3,
    warm_up_steps=2,
    average_decay=0.6,
    log_every=1,
    validate_every=3,
    checkpoint_every=4,
    workers=0,
    mixed_precision="no",
)


class Discs(Dataset):
    """Pairs by number: a disc of water in air, and it with more noise."""

    def __init__(self, length: int, start: int = 0, *, stuck_at: int | None = None) -> None:
        self.length, self.start, self.stuck_at = length, start, stuck_at

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, number: int) -> Batch:
        if self.start + number == self.stuck_at:
            time.sleep(120)
        generator = torch.Generator().manual_seed(self.start + number)

        def noise(level: float) -> Tensor:
            return level * torch.randn(1, 32, 32, generator=generator)

        row, column = torch.meshgrid(*[torch.linspace(-1, 1, 32)] * 2, indexing="ij")
        radius = 0.5 + 0.5 * torch.rand(1, generator=generator)
        anatomy = torch.where(torch.hypot(row, column) < radius, 40.0, -1000.0)[None]
        target = anatomy + noise(10.0)
        return {
            "input": target + noise(30.0),
            "target": target,
            "anatomy": anatomy,
            "lesion": (noise(1.0) > 1).float(),
            "fraction": torch.tensor(0.1),
            "is_clean": torch.tensor(float(number % 2)),
        }


def validation() -> list[Batch]:
    pairs = [Discs(1005, 1000)[k] for k in range(5)]
    return [
        {name: torch.stack([pair[name] for pair in group]) for name in group[0]}
        for group in (pairs[:2], pairs[2:4], pairs[4:])
    ]


def run(folder: Path, stuck_at: int | None = None) -> None:
    """Fit both stages side by side, from one seed, or from the last checkpoint."""
    torch.manual_seed(3)
    losses = LossSettings()
    mean = mean_learner(context=0, widths=(4, 6), blocks=(1, 1), losses=losses)
    frozen = mean_learner(context=0, widths=(4, 6), blocks=(1, 1), losses=losses).network
    assert isinstance(frozen, CtMeanModel)
    texture = texture_learner(
        frozen,
        widths=(4, 6),
        blocks=(1, 1),
        time_channels=4,
        fraction_error=0.4,
        losses=losses,
        seed=1,
    )
    trainer = Trainer([mean, texture], settings=SETTINGS, folder=folder)
    trainer.resume()

    def pairs(start: int) -> Discs:
        return Discs(SETTINGS.steps * SETTINGS.batch_size, start, stuck_at=stuck_at)

    trainer.fit(pairs, validation())


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)
