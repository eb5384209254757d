"""The software phantom on disk: readable, marked, not mistaken for an enhanced series."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import OutputRefused
from isocenter.core.volume import Geometry, Volume
from isocenter.dicom.marking import is_enhanced
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.writing.phantom_scan import write_phantom_scan

SHAPE = (4, 14, 12)


def phantom(*, unit: str = "HU", with_padding: bool = False) -> Volume:
    rng = np.random.default_rng(3)
    valid = np.ones(SHAPE, bool)
    valid[:, :2] = False
    return Volume(
        array=rng.normal(30, 200, SHAPE).astype(np.float32),
        geometry=Geometry(
            shape=SHAPE,
            spacing_mm=(1.25, 1 / 3, 0.7),
            origin_mm=(-100.0, -120.5, 33.3),
        ),
        unit=unit,
        valid=valid if with_padding else None,
        acquisition=CtAcquisition(kernel="SMOOTH", tube_voltage_kv=120.0, exposure_mas=25.0),
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    volume = phantom()
    write_phantom_scan(volume, tmp_path)
    series = open_ct_series(tmp_path)
    assert len(series) == SHAPE[0]
    for index in range(len(series)):
        np.testing.assert_array_equal(series.values(index), np.rint(volume.array[index]))
        np.testing.assert_allclose(
            series.geometry.position_mm(index), volume.geometry.position_mm(index), atol=1e-6
        )
    np.testing.assert_allclose(series.geometry.spacing_mm, volume.geometry.spacing_mm, rtol=1e-6)
    assert series.acquisition.kernel == "SMOOTH"
    assert series.acquisition.tube_voltage_kv == 120.0


def test_pixels_without_measurement_are_padding(tmp_path: Path) -> None:
    volume = phantom(with_padding=True)
    assert volume.valid is not None
    write_phantom_scan(volume, tmp_path)
    series = open_ct_series(tmp_path)
    np.testing.assert_array_equal(series.valid(1), volume.valid[1])


def test_the_phantom_says_that_nobody_was_scanned(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write_phantom_scan(phantom(), tmp_path)[0])
    assert dataset.SyntheticData == "YES"
    assert dataset.QualityControlSubject == "YES"
    assert dataset.PatientName == "PHANTOM^ISOCENTER"
    assert dataset.PatientBirthDate == ""
    assert dataset.ImageType[0] == "DERIVED"
    assert not is_enhanced(dataset)


def test_the_same_phantom_has_the_same_files(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths = write_phantom_scan(
            phantom(), tmp_path / name, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)
        )
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]


def test_other_units_and_taken_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds HU"):
        write_phantom_scan(phantom(unit="mm"), tmp_path)
    write_phantom_scan(phantom(), tmp_path)
    with pytest.raises(OutputRefused):
        write_phantom_scan(phantom(), tmp_path)


def test_dciodvfy_finds_no_error(tmp_path: Path, dciodvfy_errors: Any) -> None:
    assert dciodvfy_errors(write_phantom_scan(phantom(with_padding=True), tmp_path)[0]) == []
