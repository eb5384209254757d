"""Scans of invented patients, made from seeds, in memory and as DICOM."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).parents[1]


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_dicom = _load(TESTS / "dicom" / "conftest.py", "isocenter_tests_dicom")
write_classic_ct = _dicom.write_classic_ct
_datasets = _load(
    Path(__file__).parents[1] / "datasets" / "conftest.py", "isocenter_tests_datasets_conftest"
)
make_dose_scan = _datasets.make_dose_scan
