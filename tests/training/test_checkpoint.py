"""A checkpoint is whole or absent, and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from isocenter.core.errors import OutputRefused
from isocenter.training.checkpoint import load_state, save_state


def test_a_state_comes_back(tmp_path: Path) -> None:
    save_state(tmp_path / "last.pt", {"step": 3, "weights": torch.arange(4.0)})
    state = load_state(tmp_path / "last.pt")
    assert state["step"] == 3
    assert state["weights"].tolist() == [0, 1, 2, 3]


def test_a_disk_that_is_full_is_said_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system limits no file sizes")
    save_state(tmp_path / "last.pt", {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputRefused, match="does not take files this large"):
            save_state(tmp_path / "last.pt", {"step": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_state(tmp_path / "last.pt") == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
