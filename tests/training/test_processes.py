from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from isocenter.core.errors import InputRefused
from isocenter.training import loop
from isocenter.training.checkpoint import load_state
from isocenter.training.logbook import LOSSES, MERITS
from isocenter.training.processes import (
    drawn_for_share,
    is_main_process,
    mean_over_processes,
    num_processes,
)

PROGRAM = Path(__file__).parent / "tiny_run.py"


def rows(path: Path) -> list[dict[str, float]]:
    lines = csv.DictReader(path.read_text().splitlines())
    return [{name: float(value) for name, value in row.items()} for row in lines]


def started(folder: Path, processes: int) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", str(processes), "--num_machines", "1", "--main_process_port", "0"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    command = [*launch, str(PROGRAM), str(folder)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_learn_what_one_learns(tmp_path: Path, tiny_run: ModuleType) -> None:
    """Same batches, same losses, same weights, within the rounding of sums in another order."""
    tiny_run.run(tmp_path / "one")
    started(tmp_path / "two", 2)
    for name in (LOSSES, MERITS):
        alone, shared = (rows(tmp_path / run / name) for run in ("one", "two"))
        assert [row["step"] for row in alone] == [row["step"] for row in shared]
        for one, other in zip(alone, shared, strict=True):
            assert other == pytest.approx(one, rel=2e-4)
    alone_state, shared_state = (load_state(tmp_path / run / "last.pt") for run in ("one", "two"))
    assert torch.equal(alone_state["rng"], shared_state["rng"])
    for learner in ("mean", "texture"):
        for kind in ("network", "average"):
            first, second = (
                state["learners"][learner][kind] for state in (alone_state, shared_state)
            )
            assert all(torch.allclose(first[key], second[key], atol=2e-4) for key in first)
    files = [
        sorted(path.relative_to(tmp_path / run).as_posix() for path in (tmp_path / run).rglob("*"))
        for run in ("one", "two")
    ]
    kept = [[name for name in names if "tfevents" not in name] for names in files]
    assert kept[0] == kept[1]


def test_a_run_killed_in_the_middle_ends_at_the_same_weights(
    tmp_path: Path, tiny_run: ModuleType
) -> None:
    tiny_run.run(tmp_path / "whole")
    settings = tiny_run.SETTINGS
    stuck_at = settings.batch_size * (settings.steps - 1)
    killed = tmp_path / "killed"
    program = subprocess.Popen([sys.executable, str(PROGRAM), str(killed), str(stuck_at)])
    try:
        deadline = time.monotonic() + 60
        while not (killed / "last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        program.kill()
        program.wait()
    assert load_state(killed / "last.pt")["step"] == settings.checkpoint_every
    tiny_run.run(killed)
    for name in (LOSSES, MERITS):
        assert (killed / name).read_text() == (tmp_path / "whole" / name).read_text()
    for name in ("mean.pt", "texture.pt"):
        whole, again = (load_state(tmp_path / run / name) for run in ("whole", "killed"))
        assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_one_process_is_the_main_one_and_shares_with_nobody() -> None:
    assert (num_processes(), is_main_process()) == (1, True)
    value = torch.tensor(3.0)
    assert mean_over_processes(value) is value
    torch.manual_seed(1)
    drawn = drawn_for_share(torch.randn, (5, 2))
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.randn(5, 2))


def test_a_share_is_its_part_of_what_the_whole_batch_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    whole = torch.rand(6, 3)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    for number in range(3):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda number=number: number)
        torch.manual_seed(1)
        assert torch.equal(drawn_for_share(torch.rand, (2, 3)), whole[2 * number : 2 * number + 2])


def test_processes_that_cannot_share_a_batch_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_run: ModuleType
) -> None:
    monkeypatch.setattr(loop, "num_processes", lambda: 3)
    with pytest.raises(InputRefused, match="3 processes cannot share a batch of 4"):
        loop.Trainer([], settings=tiny_run.SETTINGS, folder=tmp_path)


def test_pictures_and_losses_are_kept_for_people(tmp_path: Path, tiny_run: ModuleType) -> None:
    tiny_run.run(tmp_path)
    for name in ("mean", "texture"):
        pictures = sorted(path.name for path in (tmp_path / "pictures").glob(f"{name}_*.png"))
        assert pictures == [f"{name}_000003.png", f"{name}_000006.png"]
    losses = rows(tmp_path / LOSSES)
    assert list(losses[0]) == ["step", "mean squared", "mean ends", "texture velocity"]
    assert np.isfinite([list(row.values()) for row in losses]).all()
    assert list((tmp_path / "tensorboard").glob("events*"))
