from __future__ import annotations

import builtins
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isocenter.training.logbook import LOSSES, MERITS, NO_TENSORBOARD, Logbook


@pytest.fixture
def no_tensorboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ModuleNotFoundError(name="tensorboard")
        return real(name, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", without)
        yield


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / LOSSES).read_text().splitlines()))


def written(folder: Path, *, start: int = 0, stop: int = 6) -> list[str]:
    said: list[str] = []
    book = Logbook(folder, say=said.append)
    book.begin(start, 6)
    for step in range(start + 1, stop + 1):
        book.losses(step, {"a": step / 2, "b": 1.0})
        if step % 2 == 0:
            book.merits(step, {"a": float(step)})
    book.close()
    return said


@pytest.mark.usefixtures("no_tensorboard")
def test_without_tensorboard_csv_is_kept_and_it_is_said(tmp_path: Path) -> None:
    said = written(tmp_path)
    assert said[0] == NO_TENSORBOARD
    assert [float(row["a"]) for row in rows(tmp_path)] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.usefixtures("no_tensorboard")
def test_what_a_stopped_run_wrote_beyond_its_checkpoint_is_dropped(tmp_path: Path) -> None:
    written(tmp_path / "whole")
    written(tmp_path / "stopped", stop=5)
    with (tmp_path / "stopped" / LOSSES).open("a") as file:
        file.write("6,0.")  # killed while writing
    written(tmp_path / "stopped", start=3)
    for name in (LOSSES, MERITS):
        kept = [(tmp_path / run / name).read_text() for run in ("whole", "stopped")]
        assert kept[0] == kept[1]


@pytest.mark.usefixtures("no_tensorboard")
def test_a_run_from_its_beginning_keeps_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path, stop=2)
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2"]


@pytest.mark.usefixtures("no_tensorboard")
def test_progress_says_steps_losses_and_the_time_left(tmp_path: Path) -> None:
    said = written(tmp_path / "mean")
    assert said[1].startswith("mean: step 1 of 6, a 0.5, b 1; ")
    assert said[1].endswith(" s left")
    assert "mean: step 2, validation: a 2" in said


def test_a_loss_that_was_skipped_leaves_its_place_empty(tmp_path: Path) -> None:
    book = Logbook(tmp_path)
    book.begin(0, 2)
    book.losses(1, {"a": 1.0, "b": 2.0})
    book.losses(2, {"b": 3.0})
    book.picture(2, "a", np.arange(32, dtype=np.uint8).reshape(4, 8))
    book.close()
    assert rows(tmp_path) == [
        {"step": "1", "a": "1.0", "b": "2.0"},
        {"step": "2", "a": "", "b": "3.0"},
    ]
    with Image.open(tmp_path / "pictures" / "a_000002.png") as image:
        assert np.array_equal(np.asarray(image), np.arange(32).reshape(4, 8))
    assert list((tmp_path / "tensorboard").iterdir())
