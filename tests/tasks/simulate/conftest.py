"""A label map of a small head of ellipsoids, in FreeSurfer's numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from isocenter.core.volume import Geometry, Volume
from isocenter.image.volume_files import write_volume_file
from isocenter.physics.phantom.analytic_head import analytic_head
from isocenter.physics.phantom.head_tissues import NUM_TISSUES, TISSUE_OF

WRITING = Path(__file__).parents[2] / "dicom" / "writing" / "conftest.py"


@pytest.fixture(scope="session")
def label_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tissues = analytic_head(np.random.default_rng(1), scale=0.5)
    labels = np.zeros(NUM_TISSUES, np.int16)
    for label, tissue in TISSUE_OF.items():
        labels[tissue] = label
    array = labels[tissues]
    geometry = Geometry(
        shape=(array.shape[0], array.shape[1], array.shape[2]), spacing_mm=(1.0, 1.0, 1.0)
    )
    path = tmp_path_factory.mktemp("maps") / "head.nii.gz"
    return write_volume_file(Volume(array=array, geometry=geometry, unit=""), path)


@pytest.fixture(scope="session")
def dciodvfy_errors(load_module: Callable[[Path, str], ModuleType]) -> Any:
    """As the tests of the writers have it."""
    found = load_module(WRITING, "isocenter_tests_dicom_writing_of_simulated")
    return found.dciodvfy_errors.__wrapped__()
