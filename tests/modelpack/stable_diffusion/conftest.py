"""Tiny Stable Diffusion models on disk, one of each kind, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.modelpack.stable_diffusion.tiny_pipelines import save_tiny

Tiny = Callable[[str], Path]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The folder of a tiny model of kind "sd1", "sd2" or "xl"; nobody writes into it."""
    root = tmp_path_factory.mktemp("stable")

    def folder(kind: str) -> Path:
        place = root / kind
        if not place.exists():
            save_tiny(kind, place)
        return place

    return folder
