from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isocenter
from isocenter.core.errors import InputRefused, UnreadableInput, UnsuitableScan
from isocenter.core.volume import Volume
from isocenter.datasets.open_scan import open_scan, read
from isocenter.image.volume_files import write_volume_file


def dicom_fixtures() -> Any:
    name = "isocenter_tests_dicom_for_open_scan"
    path = Path(__file__).parents[1] / "dicom" / "conftest.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


write_classic_ct = dicom_fixtures().write_classic_ct


@pytest.fixture
def series(write_classic_ct: Callable[..., Any], tmp_path: Path) -> Path:
    """Muscle in air, outside a circle of -2000 HU."""
    row, column = np.mgrid[-1:1:40j, -1:1:36j]
    body = np.where(np.hypot(row, column) < 0.6, 40, -1000)
    stored = body + np.random.default_rng(0).integers(-9, 9, (5, 40, 36))
    stored[:, np.hypot(row, column) > 1.1] = -2000
    folder = tmp_path / "series"
    write_classic_ct(folder=folder, stored=stored + 1024, intercept=-1024.0)
    return folder


def same(first: Volume, second: Volume) -> None:
    assert np.array_equal(first.array, second.array)
    assert first.valid is not None
    assert second.valid is not None
    assert np.array_equal(first.valid, second.valid)
    assert first.unit == second.unit == "HU"
    for index in ((0, 0, 0), (4, 39, 35)):
        apart = first.geometry.position_mm(*index) - second.geometry.position_mm(*index)
        assert np.abs(apart).max() < 1e-3


@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_a_series_and_a_file_made_of_it_are_the_same_scan(
    series: Path, tmp_path: Path, ending: str
) -> None:
    scan = read(series)
    assert scan.valid is not None
    assert not scan.valid.all()
    same(scan, read(write_volume_file(scan, tmp_path / f"scan{ending}")))
    same(scan, isocenter.read(str(tmp_path / f"scan{ending}"), unit="HU"))


def test_slices_are_those_of_the_volume(series: Path, tmp_path: Path) -> None:
    scan = read(series)
    path = write_volume_file(scan, tmp_path / "scan.nii")
    for source in (open_scan(series), open_scan(path)):
        assert len(source) == 5
        assert source.unit == "HU"
        assert np.array_equal(source.values(3), scan.array[3])
        assert scan.valid is not None
        assert np.array_equal(source.valid(3), scan.valid[3])


def test_what_does_not_belong_to_the_kind_of_file_is_refused(series: Path, tmp_path: Path) -> None:
    path = write_volume_file(read(series), tmp_path / "scan.nii")
    with pytest.raises(InputRefused, match="leave series out"):
        read(path, series="1")
    with pytest.raises(InputRefused, match="leave unit out"):
        read(series, unit="")
    with pytest.raises(UnreadableInput, match="does not exist"):
        read(tmp_path / "nowhere.nii")


def test_a_file_in_another_unit_has_no_circle(tmp_path: Path, series: Path) -> None:
    scan = read(series)
    path = write_volume_file(
        Volume(array=scan.array, geometry=scan.geometry, unit=""), tmp_path / "scan.nii"
    )
    assert read(path).valid is None


@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_a_file_that_a_model_made_says_so_and_is_not_taken_for_a_scan(
    series: Path, tmp_path: Path, ending: str
) -> None:
    path = write_volume_file(read(series), tmp_path / f"made{ending}", synthetic=True)
    with pytest.raises(UnsuitableScan, match="a model made"):
        open_scan(path)
    assert read(path).unit == "HU"


def test_spacing_of_no_unit_is_taken_to_be_millimeters_with_a_note(
    series: Path, tmp_path: Path
) -> None:
    path = write_volume_file(read(series), tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[123] = 0  # xyzt_units: unknown
    path.write_bytes(content)
    with pytest.raises(InputRefused, match="no unit for its spacing"):
        open_scan(path)
    scan = open_scan(path, assumed_unit="HU")
    assert scan.geometry.spacing_mm == pytest.approx(read(series).geometry.spacing_mm)
    assert any("taken to be mm" in note for note in scan.notes)
