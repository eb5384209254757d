"""Scans of invented patients, made from seeds, in memory and as DICOM."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from isocenter.datasets.ct_pairs import TrainingScan


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_dicom = _load(Path(__file__).parents[1] / "dicom" / "conftest.py", "isocenter_tests_dicom")
write_classic_ct = _dicom.write_classic_ct


@pytest.fixture(scope="session")
def make_scan() -> Callable[..., TrainingScan]:
    """A trunk of water with a lung, its measured noise stated and not its real one."""

    def make(
        patient: str = "a",
        *,
        shape: tuple[int, int, int] = (3, 64, 64),
        noise_hu: float = 15.0,
        kernel: str = "B30f",
        seed: int = 0,
    ) -> TrainingScan:
        _, rows, columns = shape
        row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        image = np.where(np.hypot(row, column) < 0.9, 45.0, -1000.0)
        image[np.hypot(row - 0.3, column - 0.3) < 0.25] = -850.0
        noise = np.random.default_rng(seed).normal(0, 10, shape)
        return TrainingScan(
            name=patient,
            patient=patient,
            array=np.rint(image + noise).clip(-1024, 3071).astype(np.int16),
            spacing_mm=(2.5, 2.5, 2.5),
            noise_hu=noise_hu,
            kernel=kernel,
            slice_thickness_mm=2.5,
        )

    return make
