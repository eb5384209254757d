"""The stand-in for a model that draws, and an independent judge of what is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

WRITING = Path(__file__).parents[2] / "dicom" / "writing" / "conftest.py"
DOUBLE = Path(__file__).parents[1] / "generator_double.py"


@pytest.fixture(scope="session")
def double(load_module: Callable[[Path, str], ModuleType]) -> Any:
    """The module ``generator_double``."""
    return load_module(DOUBLE, "isocenter_tests_generator_double")


@pytest.fixture(scope="session")
def dciodvfy_errors(
    load_module: Callable[[Path, str], ModuleType],
) -> Any:
    """As the tests of the writers have it."""
    found = load_module(WRITING, "isocenter_tests_dicom_writing")
    return found.dciodvfy_errors.__wrapped__()
