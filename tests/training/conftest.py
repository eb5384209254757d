"""Runs of seconds that several processes can share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _module(name: str) -> ModuleType:
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"isocenter_tests_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_run() -> ModuleType:
    """The module ``tiny_run``, which can be started as a program too."""
    return _module("tiny_run")


@pytest.fixture(scope="session")
def toy_run() -> ModuleType:
    """The module ``toy_run``, likewise: a learner with an adversary."""
    return _module("toy_run")
