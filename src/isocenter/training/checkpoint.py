"""Weights and checkpoints on disk: whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from isocenter.core.files import appearing_whole, writing_to

CHECKPOINT = "last.pt"


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, numbers and mappings; what was there before stays until this is whole."""
    # Through a file of ours, torch's error has that of the system behind it.
    with writing_to(path.parent), appearing_whole(path) as part, part.open("wb") as file:
        torch.save(state, file)


def load_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, onto the CPU; no code in a file is run."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
