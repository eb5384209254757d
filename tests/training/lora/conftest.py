"""Tiny Stable Diffusion models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.modelpack.stable_diffusion.conftest import tiny

from isocenter.modelpack.stable_diffusion.folder import open_folder
from isocenter.modelpack.stable_diffusion.parts import StableParts, load_parts

__all__ = ["parts", "parts_xl", "tiny"]


@pytest.fixture
def parts(tiny: Callable[[str], Path]) -> StableParts:
    """A tiny model that predicts velocity, loaded anew."""
    return load_parts(open_folder(tiny("sd2")))


@pytest.fixture
def parts_xl(tiny: Callable[[str], Path]) -> StableParts:
    """A tiny model with two text encoders, loaded anew."""
    return load_parts(open_folder(tiny("xl")))
