"""Small studies, stores in a temporary folder, and an archive on the loopback interface."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.gateway_kills.archive_double import ArchiveDouble
from pydicom import dcmread
from pydicom.dataset import Dataset

from isocenter.gateway.configuration.configuration import StoreKeys
from isocenter.gateway.receive.intake import Intake
from isocenter.gateway.store.store import Store


def _load(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


write_classic_ct = _load(
    Path(__file__).parents[1] / "dicom" / "conftest.py", "isocenter_tests_dicom_for_gateway"
).write_classic_ct


@pytest.fixture
def make_study(write_classic_ct: Any, tmp_path: Path) -> Callable[..., list[Dataset]]:
    """A CT study of some slices as data sets; another seed is another study."""

    def make(*, seed: int = 1, num_slices: int = 3, size: int = 8) -> list[Dataset]:
        stored = np.random.default_rng(seed).integers(0, 2000, (num_slices, size, size))
        written = write_classic_ct(
            folder=tmp_path / f"study-{seed}-{num_slices}-{size}", stored=stored, seed=seed
        )
        return [dcmread(path) for path in sorted(written.files)]

    return make


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(StoreKeys(folder=tmp_path / "store", keep_free_mib=0, busy_s=0.3))
    yield opened
    opened.close()


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store)


@pytest.fixture
def take(intake: Intake) -> Callable[..., str]:
    """Put a data set into the store, as a receiver does; says what became of it."""

    def take_one(dataset: Dataset) -> str:
        with intake.part() as part:
            dataset.save_as(part, enforce_file_format=True)
            return intake.take(part, source="test").kept

    return take_one


@pytest.fixture
def archive() -> Iterator[ArchiveDouble]:
    """An archive in a thread of this process."""
    opened = ArchiveDouble()
    yield opened
    opened.close()


__all__ = ["archive", "intake", "make_study", "store", "take", "write_classic_ct"]
