"""Tiny Stable Diffusion models."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isocenter.modelpack.stable_diffusion.folder import open_folder
from isocenter.modelpack.stable_diffusion.parts import StableParts, load_parts

_PATH = Path(__file__).parents[2] / "modelpack" / "stable_diffusion" / "conftest.py"
_spec = importlib.util.spec_from_file_location("isocenter_tests_stable_for_training", _PATH)
assert _spec is not None
assert _spec.loader is not None
_stable = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _stable
_spec.loader.exec_module(_stable)
tiny = _stable.tiny


@pytest.fixture
def parts(tiny: Callable[[str], Path]) -> StableParts:
    """A tiny model that predicts velocity, loaded anew."""
    return load_parts(open_folder(tiny("sd2")))


@pytest.fixture
def parts_xl(tiny: Callable[[str], Path]) -> StableParts:
    """A tiny model with two text encoders, loaded anew."""
    return load_parts(open_folder(tiny("xl")))
