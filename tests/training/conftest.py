"""A run of seconds that several processes can share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny_run() -> ModuleType:
    """The module ``tiny_run``, which can be started as a program too."""
    path = Path(__file__).parent / "tiny_run.py"
    spec = importlib.util.spec_from_file_location("isocenter_tests_tiny_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
