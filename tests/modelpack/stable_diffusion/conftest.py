"""Tiny Stable Diffusion models on disk, one of each kind, made once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def _load_module() -> ModuleType:
    path = Path(__file__).parent / "tiny_pipelines.py"
    spec = importlib.util.spec_from_file_location("isocenter_tests_tiny_pipelines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tiny_pipelines = _load_module()
Tiny = Callable[[str], Path]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The folder of a tiny model of kind "sd1", "sd2" or "xl"; nobody writes into it."""
    root = tmp_path_factory.mktemp("stable")

    def folder(kind: str) -> Path:
        place = root / kind
        if not place.exists():
            tiny_pipelines.save_tiny(kind, place)
        return place

    return folder
