"""Scans in memory and on disk that look enough like a trunk for the guard."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition, CtAcquisition
from isocenter.core.volume import Geometry

HERE = Path(__file__).parent
TRUNK_SHAPE = (6, 96, 96)
TRUNK_SPACING_MM = (3.0, 3.5, 3.5)


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_dicom = _load(HERE.parent / "dicom" / "conftest.py", "isocenter_tests_dicom_conftest")
write_classic_ct = _dicom.write_classic_ct
write_enhanced_ct = _dicom.write_enhanced_ct
rewrite = _dicom.rewrite
_doubles = _load(HERE / "model_double.py", "isocenter_tests_model_double")


@pytest.fixture(scope="session")
def load_module() -> Callable[[Path, str], ModuleType]:
    """Load a file as a module of a given name."""
    return _load


@pytest.fixture(scope="session")
def doubles() -> Any:
    """The module ``model_double``."""
    return _doubles


@pytest.fixture(scope="session")
def double() -> ModuleType:
    """The module ``generator_double``, of a model that draws."""
    return import_module("tests.tasks.generator_double")


@pytest.fixture(scope="session")
def dciodvfy_errors() -> Any:
    """As the tests of the writers have it."""
    found = _load(
        HERE.parent / "dicom" / "writing" / "conftest.py", "isocenter_tests_dicom_writing"
    )
    return found.dciodvfy_errors.__wrapped__()


@dataclass
class ScanInMemory:
    """A series as the guard and the streaming see it."""

    array: NDArray
    spacing_mm: tuple[float, float, float] = TRUNK_SPACING_MM
    acquisition: Acquisition = field(
        default_factory=lambda: CtAcquisition(kernel="STANDARD", slice_thickness_mm=3.0)
    )
    padding_hu: float = -2000.0

    @property
    def geometry(self) -> Geometry:
        return Geometry(shape=self.array.shape, spacing_mm=self.spacing_mm)

    @property
    def unit(self) -> str:
        return "HU"

    def __len__(self) -> int:
        return len(self.array)

    def values(self, index: int) -> NDArray:
        return self.array[index]

    def valid(self, index: int) -> NDArray:
        return self.array[index] > self.padding_hu


def trunk_hu(
    shape: tuple[int, int, int] = TRUNK_SHAPE, *, seed: int = 0, noise_hu: float = 20.0
) -> NDArray:
    """A disc of muscle with fat around it and two lungs, in air, with white noise; float32."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    image = np.full(shape[1:], -1000.0)
    image[row**2 + column**2 < 0.7] = -100
    image[row**2 + column**2 < 0.5] = 40
    for side in (-1, 1):
        image[((row + 0.3) / 0.25) ** 2 + ((column - 0.35 * side) / 0.2) ** 2 < 1] = -850
    return (image + rng.normal(0, noise_hu, shape)).astype(np.float32)


@pytest.fixture
def make_scan() -> Callable[..., ScanInMemory]:
    """Build a :class:`ScanInMemory`; options of :func:`trunk_hu` and of the scan."""

    def make(
        *,
        shape: tuple[int, int, int] = TRUNK_SHAPE,
        seed: int = 0,
        noise_hu: float = 20.0,
        **options: Any,
    ) -> ScanInMemory:
        return ScanInMemory(array=trunk_hu(shape, seed=seed, noise_hu=noise_hu), **options)

    return make


@pytest.fixture
def trunk_on_disk(write_classic_ct: Callable[..., Any]) -> Callable[..., Path]:
    """Write a classic CT series of a trunk; returns its folder."""

    def write(
        folder: Path, *, shape: tuple[int, int, int] = TRUNK_SHAPE, seed: int = 0, **options: Any
    ) -> Path:
        stored = np.rint(trunk_hu(shape, seed=seed) + 1024).astype(np.int64)
        written = write_classic_ct(
            folder=folder,
            stored=stored,
            seed=seed,
            spacing_mm=TRUNK_SPACING_MM,
            intercept=-1024.0,
            **options,
        )
        return Path(written.folder)

    return write
