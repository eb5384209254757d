"""What a run of hours needs: to stop and go on exactly, alone or shared, and to say what fails."""

from __future__ import annotations

import csv
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.training import averaging, loop
from isocenter.training.checkpoint import CHECKPOINT, load_state, save_state
from isocenter.training.learner import Batch, Learner
from isocenter.training.logbook import LOSSES, MERITS
from isocenter.training.loop import (
    LongLoopSettings,
    LoopSettings,
    Trainer,
    completed,
    learning_rate_factor,
)

PROGRAM = Path(__file__).parent / "toy_run.py"


def rows(path: Path) -> list[dict[str, float]]:
    lines = csv.DictReader(path.read_text().splitlines())
    return [{name: float(value or 0) for name, value in row.items()} for row in lines]


def same(first: Any, second: Any, *, within: float = 0.0) -> bool:
    """Whether two states hold the same numbers, to the last bit unless said otherwise."""
    if isinstance(first, Tensor):
        return torch.allclose(first.double(), second.double(), rtol=within, atol=within)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(
            same(first[key], second[key], within=within) for key in first
        )
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(
            same(*both, within=within) for both in zip(first, second, strict=True)
        )
    return first == (pytest.approx(second, rel=within) if within else second)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, toy_run: ModuleType) -> Path:
    """The folder of a run that nothing stopped."""
    folder: Path = tmp_path_factory.mktemp("whole")
    toy_run.run(folder)
    return folder


def check_same_run(folder: Path, whole: Path, **within: float) -> None:
    assert same(load_state(folder / CHECKPOINT), load_state(whole / CHECKPOINT), **within)
    assert same(load_state(folder / "blur.pt"), load_state(whole / "blur.pt"), **within)


def test_a_run_that_is_killed_ends_at_the_same_bits(
    tmp_path: Path, whole: Path, toy_run: ModuleType
) -> None:
    """Order of the data, weights, average, both optimizers, random numbers and learning rate."""
    dies_at = 7 * toy_run.SETTINGS.batch_size + 1
    killed = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(dies_at)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert load_state(tmp_path / CHECKPOINT)["step"] == 6
    toy_run.run(tmp_path)
    check_same_run(tmp_path, whole)
    for name in (LOSSES, MERITS):
        assert (tmp_path / name).read_text() == (whole / name).read_text()


def test_two_processes_learn_what_one_learns_with_an_adversary(tmp_path: Path, whole: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, str(PROGRAM), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in (LOSSES, MERITS):
        for one, other in zip(rows(whole / name), rows(tmp_path / name), strict=True):
            assert other == pytest.approx(one, rel=1e-3, abs=1e-5)
    alone, shared = (load_state(folder / CHECKPOINT) for folder in (whole, tmp_path))
    assert torch.equal(alone["rng"], shared["rng"])
    for part in ("network", "average"):
        assert same(*(one["learners"]["blur"][part] for one in (alone, shared)), within=1e-3)
    judges = [one["learners"]["blur"]["adversary"]["network"] for one in (alone, shared)]
    assert same(*judges, within=1e-3)


def test_a_run_stops_when_its_time_is_over_and_goes_on_exactly(
    tmp_path: Path, whole: Path, toy_run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    limited = replace(toy_run.SETTINGS, stop_after_minutes=0.1)
    trainer = toy_run.run(tmp_path, settings=limited)
    stops = [trainer.step]
    assert not trainer.is_finished
    assert load_state(tmp_path / CHECKPOINT)["step"] == trainer.step
    while not trainer.is_finished:
        trainer = toy_run.run(tmp_path, settings=limited)
        stops.append(trainer.step)
    assert 2 < len(stops) <= 10
    monkeypatch.undo()
    check_same_run(tmp_path, whole)


def test_the_adversary_begins_when_it_is_to_and_learns_at_its_rate(
    tmp_path: Path, toy_run: ModuleType
) -> None:
    fitted = toy_run.learner(first_step=3, rate_factor=0.25)
    judge = fitted.adversary.network
    before = [weight.clone() for weight in judge.parameters()]
    changed: list[bool] = []
    loss = fitted.loss

    def watched(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        changed.append(not all(map(torch.equal, judge.parameters(), before)))
        assert not any(weight.requires_grad for weight in judge.parameters())
        return loss(network, batch)

    fitted.loss = watched
    settings = replace(toy_run.SETTINGS, steps=6, validate_every=6)
    trainer = Trainer([fitted], settings=settings, folder=tmp_path)
    trainer.fit(lambda start: toy_run.Pictures(24, start), toy_run.validation())
    assert changed == [False] * 4 + [True] * 2
    assert all(weight.requires_grad for weight in judge.parameters())
    rates = [group["lr"] for group in fitted.optimizer.param_groups]
    assert rates[0] == pytest.approx(3 * rates[1])
    assert fitted.adversary.optimizer.param_groups[0]["lr"] == pytest.approx(rates[1] / 4)
    hinges = [row["blur adversary hinge"] for row in rows(tmp_path / LOSSES)]
    assert [hinge > 0 for hinge in hinges] == [False] * 3 + [True] * 3


def test_frozen_weights_stay_in_the_network_and_in_its_average(
    tmp_path: Path, toy_run: ModuleType
) -> None:
    fitted = toy_run.learner()
    frozen = fitted.network.frozen.weight.clone()
    trainer = Trainer([fitted], settings=toy_run.SETTINGS, folder=tmp_path)
    trainer.fit(lambda start: toy_run.Pictures(40, start), toy_run.validation())
    assert torch.equal(fitted.network.frozen.weight, frozen)
    assert torch.equal(fitted.average.module.frozen.weight, frozen)
    held = {id(one) for group in fitted.optimizer.param_groups for one in group["params"]}
    assert id(fitted.network.frozen.weight) not in held


def simple(loss_value: float = 1.0, name: str = "simple") -> Learner:
    def loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        value = loss_value * network(batch["image"]).square().mean()
        return value, {"squared": value.item()}

    def merit(network: nn.Module, batch: Batch) -> Tensor:
        return -network(batch["image"]).square().mean(dim=(1, 2, 3))

    return Learner(name=name, network=nn.Conv2d(1, 1, 3), loss=loss, merit=merit)


def test_a_run_that_learns_nothing_ends_and_says_why(
    tmp_path: Path, toy_run: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(toy_run.SETTINGS, most_broken_steps=3)
    trainer = Trainer([simple(float("nan"))], settings=settings, folder=tmp_path)
    with (
        caplog.at_level(logging.WARNING, logger=loop.__name__),
        pytest.raises(
            InputRefused, match=r"simple were not finite in 3 steps.*lower learning_rate"
        ),
    ):
        trainer.fit(lambda start: toy_run.Pictures(40, start), toy_run.validation())
    assert "step 1: simple has a gradient that is not finite, of a loss of nan" in caplog.text
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_power_average_is_taken_where_it_is_set(
    tmp_path: Path, toy_run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def power(network: nn.Module, relative_std: float) -> AveragedModel:
        asked.append(relative_std)
        return AveragedModel(network)

    monkeypatch.setattr(averaging, "power_moving_average", power, raising=False)
    settings = replace(toy_run.SETTINGS, average="power", average_relative_std=0.1)
    Trainer([simple()], settings=settings, folder=tmp_path)
    assert asked == [0.1]


def test_the_checkpoint_of_other_learners_is_refused(tmp_path: Path, toy_run: ModuleType) -> None:
    save_state(tmp_path / CHECKPOINT, {"learners": {"mean": {}, "texture": {}}})
    trainer = Trainer([simple()], settings=toy_run.SETTINGS, folder=tmp_path)
    with pytest.raises(ModelRefused, match="holds mean, texture, and this run fits simple"):
        trainer.resume()


def test_a_network_of_volumes_can_be_fitted(tmp_path: Path, toy_run: ModuleType) -> None:
    volumes = simple()
    volumes.network = nn.Conv3d(1, 1, 3)
    Trainer([volumes], settings=toy_run.SETTINGS, folder=tmp_path)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.1, 1, 1, 1, 1]),
        ("linear", [0.1, 1, 1, 0.5, 0]),
        ("inverse_sqrt", [0.1, 1, 1, (20 / 60) ** 0.5, (20 / 100) ** 0.5]),
        ("cosine", [0.1, 1, 1, 0.5, 0]),
    ],
)
def test_schedules_follow_the_number_of_the_step(schedule: str, expected: list[float]) -> None:
    settings = LongLoopSettings(
        steps=100, warm_up_steps=10, schedule=schedule, decay_after_steps=20
    )
    factors = [learning_rate_factor(step, settings) for step in (0, 9, 20, 60, 100)]
    assert factors == pytest.approx(expected, abs=1e-6)
    assert all(0 <= learning_rate_factor(step, settings) <= 1 for step in range(120))


def test_short_settings_are_completed_without_a_change() -> None:
    short = LoopSettings(steps=70, learning_rate=0.3)
    whole = completed(short)
    assert all(getattr(whole, name) == value for name, value in vars(short).items())
    assert (whole.schedule, whole.average) == ("cosine", "exponential")
    assert completed(whole) is whole


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"schedule": "step"}, "schedule is one of cosine"),
        ({"average": "none"}, "average is one of exponential"),
        ({"average_relative_std": 0.3}, "average_relative_std is above 0 and below 0.288"),
        ({"stop_after_minutes": 0.0}, "stop_after_minutes must be positive"),
        ({"most_broken_steps": 0}, "most_broken_steps is at least 1"),
        ({"decay_after_steps": -1}, "decay_after_steps is at least 0"),
        ({"steps": 0}, "steps must be positive"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LongLoopSettings(**{"steps": 10} | wrong)
