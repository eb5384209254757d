from __future__ import annotations

import csv
import errno
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from isocenter.core.errors import OutputRefused
from isocenter.core.seeds import derived_seed
from isocenter.training import loop
from isocenter.training.checkpoint import save_state
from isocenter.training.learner import Batch, Learner
from isocenter.training.logbook import MERITS
from isocenter.training.loop import LoopSettings, Trainer, learning_rate_factor

SETTINGS = LoopSettings(
    steps=12,
    batch_size=2,
    learning_rate=0.05,
    warm_up_steps=3,
    average_decay=0.7,
    validate_every=4,
    checkpoint_every=3,
    workers=0,
    mixed_precision="no",
)
# Squared error of each step of the run below, on a processor in single precision.
STORED_LOSSES = [
    4.66786,
    4.18022,
    3.46864,
    3.48576,
    3.64072,
    4.0014,
    3.83484,
    3.68402,
    3.08736,
    3.11996,
    3.20004,
    3.02961,
]


class Doubling(Dataset):
    """Pairs by number; the target is twice the input."""

    def __init__(self, length: int, start: int) -> None:
        self.length, self.start = length, start

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, number: int) -> Batch:
        seed = derived_seed(3, "pair", self.start + number)
        image = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(seed))
        return {"input": image, "target": 2 * image}


def pairs(settings: LoopSettings = SETTINGS) -> Callable[[int], Doubling]:
    return lambda start: Doubling(settings.steps * settings.batch_size, start)


def validation() -> list[Batch]:
    held = Doubling(1004, 1000)
    return [{name: held[k][name][None] for name in ("input", "target")} for k in range(4)]


class Filter(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3, padding=1)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))

    def forward(self, image: Tensor) -> Tensor:
        return self.convolution(image)


def learner(
    losses: list[float] | None = None,
    *,
    name: str = "filter",
    seed: int = 0,
    stop_at: int | None = None,
    broken_at: int | None = None,
    noise: float = 0.0,
) -> Learner:
    """Learns to double; may be stopped, given a loss that is not finite, or draw its own noise."""
    seen = [] if losses is None else losses

    def loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        if len(seen) == stop_at:
            raise KeyboardInterrupt
        image = batch["input"] + noise * torch.randn(batch["input"].shape)
        value = (network(image) - batch["target"]).square().mean()
        if len(seen) == broken_at:
            value = value * float("nan")
        seen.append(value.item())
        return value, {"squared": value.item()}

    def merit(network: nn.Module, batch: Batch) -> Tensor:
        return -(network(batch["input"]) - batch["target"]).square().mean(dim=(1, 2, 3))

    return Learner(name=name, network=Filter(seed), loss=loss, merit=merit)


def weights(module: nn.Module) -> list[Tensor]:
    return [part.clone() for part in module.state_dict().values()]


def alike(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(*both) for both in zip(first, second, strict=True))


def validations(folder: Path) -> Iterator[tuple[int, float]]:
    for row in csv.DictReader((folder / MERITS).read_text().splitlines()):
        yield int(row["step"]), float(row["filter"])


def run(folder: Path, one: Learner, settings: LoopSettings = SETTINGS) -> Trainer:
    trainer = Trainer([one], settings=settings, folder=folder)
    trainer.fit(pairs(settings), validation())
    return trainer


def test_a_tiny_run_repeats_its_stored_losses(tmp_path: Path) -> None:
    losses: list[float] = []
    run(tmp_path, learner(losses))
    assert losses == pytest.approx(STORED_LOSSES, rel=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path: Path, noise: float) -> None:
    torch.manual_seed(5)
    through = learner(noise=noise)
    run(tmp_path / "through", through)
    torch.manual_seed(5)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", learner(stop_at=8, noise=noise))
    torch.manual_seed(77)  # another process knows nothing of the first
    again = learner(seed=9, noise=noise)
    trainer = Trainer([again], settings=SETTINGS, folder=tmp_path / "stopped")
    trainer.resume()
    assert trainer.step == 6
    trainer.fit(pairs(), validation())
    assert alike(weights(again.network), weights(through.network))
    assert alike(weights(again.average), weights(through.average))
    assert again.best_merit == through.best_merit
    kept = [
        list(torch.load(tmp_path / name / "filter.pt", weights_only=True).values())
        for name in ("through", "stopped")
    ]
    assert alike(*kept)


def test_resuming_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    trainer = Trainer([learner()], settings=SETTINGS, folder=tmp_path / "new")
    trainer.resume()
    assert trainer.step == 0


def test_a_finished_run_learns_nothing_more(tmp_path: Path) -> None:
    run(tmp_path, learner())
    again = learner(seed=3)
    trainer = Trainer([again], settings=SETTINGS, folder=tmp_path)
    trainer.resume()
    before = weights(again.network)
    trainer.fit(pairs(), validation())
    assert trainer.step == SETTINGS.steps
    assert alike(weights(again.network), before)


def test_learners_on_the_same_batches_do_not_disturb_each_other(tmp_path: Path) -> None:
    alone = learner()
    run(tmp_path / "alone", alone)
    together = learner()
    trainer = Trainer(
        [together, learner(name="other", seed=4)], settings=SETTINGS, folder=tmp_path / "both"
    )
    trainer.fit(pairs(), validation())
    assert alike(weights(together.network), weights(alone.network))
    assert (tmp_path / "both" / "other.pt").is_file()


def test_training_stops_when_nothing_becomes_better(tmp_path: Path) -> None:
    worse = iter(range(1000))
    stale = learner()
    stale.merit = lambda network, batch: torch.tensor([-float(next(worse))])
    trainer = run(tmp_path, stale, replace(SETTINGS, steps=40, validate_every=2, patience=3))
    assert trainer.step == 8  # better at 2, not at 4, 6 and 8


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    merits = iter([1.0, 3.0, 2.0, 0.0])
    seen: list[list[Tensor]] = []
    rated = learner()

    def merit(network: nn.Module, batch: Batch) -> Tensor:
        seen.append(weights(network))
        return torch.tensor([next(merits)])

    rated.merit = merit
    trainer = Trainer([rated], settings=SETTINGS, folder=tmp_path)
    trainer.fit(pairs(), validation()[:1])
    kept = torch.load(tmp_path / "filter.pt", weights_only=True)
    assert alike(list(kept.values()), seen[1])
    assert not alike(seen[1], seen[2])
    assert rated.best_merit == 3.0


def test_kept_weights_load_into_a_new_network(tmp_path: Path) -> None:
    run(tmp_path, learner())
    network = Filter(seed=5)
    network.load_state_dict(torch.load(tmp_path / "filter.pt", weights_only=True))
    errors = [
        (network(batch["input"]) - batch["target"]).square().mean().item() for batch in validation()
    ]
    best = max(merit for _, merit in validations(tmp_path))
    assert sum(errors) / len(errors) == pytest.approx(-best, rel=1e-5)


def test_a_gradient_that_is_not_finite_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = learner(broken_at=2)
    before: list[list[Tensor]] = []
    loss = broken.loss

    def watched(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        before.append(weights(network))
        return loss(network, batch)

    broken.loss = watched
    with caplog.at_level(logging.WARNING, logger=loop.__name__):
        run(tmp_path, broken)
    assert "step 2: filter has a gradient that is not finite" in caplog.text
    assert alike(before[3], before[2])
    assert not alike(before[4], before[3])
    assert all(torch.isfinite(weight).all() for weight in weights(broken.average))


def test_validation_is_logged_at_its_steps(tmp_path: Path) -> None:
    run(tmp_path, learner())
    assert [step for step, _ in validations(tmp_path)] == [4, 8, 12]


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    settings = replace(SETTINGS, steps=100, warm_up_steps=10)
    factors = [learning_rate_factor(step, settings) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == factors[10] == pytest.approx(1)
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0, abs=1e-7)
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_runs_of_one_process_may_compute_in_different_precision(tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {"no": [], "bf16": []}
    for precision, seen in losses.items():
        settings = replace(SETTINGS, mixed_precision=precision)
        run(tmp_path / precision, learner(seen), settings)
    assert losses["bf16"] != losses["no"]
    assert losses["bf16"] == pytest.approx(losses["no"], rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"workers": -1},
        {"average_decay": 1.0},
        {"mixed_precision": "half"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(SETTINGS, **wrong)


def test_a_failed_write_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_state(path, {"step": 1})

    def half(state: object, target: BinaryIO) -> None:
        target.write(b"half")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OutputRefused, match="the disk is full"):
        save_state(path, {"step": 2})
    assert torch.load(path, weights_only=True) == {"step": 1}
