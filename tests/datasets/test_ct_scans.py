from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import UnreadableInput
from isocenter.core.volume import Geometry, Volume
from isocenter.datasets.ct_scans import read_training_scans
from isocenter.datasets.index import read_index
from isocenter.dicom.writing.phantom_scan import write_phantom_scan


def phantom(seed: int, *, slices: int = 3, thickness_mm: float = 4.0) -> Volume:
    row, column = np.indices((64, 64)) - 31.5
    image = np.where(np.hypot(row, column) < 29, 40.0, -1000.0)
    noise = np.random.default_rng(seed).normal(0, 12, (slices, 64, 64))
    return Volume(
        array=np.rint(image + noise).clip(-1024).astype(np.float32),
        unit="HU",
        geometry=Geometry(
            shape=(slices, 64, 64), spacing_mm=(2.5, 1.2, 1.2), origin_mm=(0.0, 0.0, 10.0 * seed)
        ),
        acquisition=CtAcquisition(kernel="STANDARD", slice_thickness_mm=thickness_mm),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A run of three slices in mixed order of names, and a folder of two single slices."""
    train = tmp_path / "ct" / "train"
    for name in ("run", "singles"):
        (train / name).mkdir(parents=True)
    paths = write_phantom_scan(phantom(1), train / "run")
    for path, name in zip(paths, ("b.dcm", "c.dcm", "a.dcm"), strict=True):
        path.rename(train / "run" / name)
    for seed in (2, 3):
        (path,) = write_phantom_scan(phantom(seed, slices=1, thickness_mm=8.0), train / "singles")
        path.rename(train / "singles" / f"P{seed}__x.dcm")
    index: list[dict[str, Any]] = [
        {
            "id": "run",
            "patient_id": "P1",
            "kernel": "B30f",
            "citation": "A et al.",
            "licence": "CC BY 4.0",
        },
        {
            "id": "singles",
            "per_slice": [
                {"file": f"P{seed}__x.dcm", "patient": f"P{seed}", "kernel": "FC17"}
                for seed in (2, 3)
            ],
        },
        {"id": "not_downloaded", "patient_id": "P9", "kernel": "B30f"},
    ]
    (tmp_path / "ct" / "index.json").write_text(json.dumps(index))
    return tmp_path


def test_a_run_is_read_in_the_order_of_its_positions(data: Path) -> None:
    run = read_training_scans(data)[0]
    assert np.array_equal(run.array, phantom(1).array)
    assert run.array.dtype == np.int16
    assert (run.name, run.patient, run.kernel) == ("run", "P1", "B30f")
    assert run.spacing_mm == pytest.approx((2.5, 1.2, 1.2))
    assert run.in_plane_mm == pytest.approx((1.2, 1.2))
    assert run.slice_thickness_mm == 4.0
    assert run.noise_hu == pytest.approx(12, rel=0.15)


def test_single_slices_are_scans_of_their_own(data: Path) -> None:
    _, second, third = read_training_scans(data)
    assert [scan.patient for scan in (second, third)] == ["P2", "P3"]
    assert second.name == "P2__x"
    assert np.array_equal(third.array, phantom(3, slices=1).array)
    assert third.spacing_mm[0] == third.slice_thickness_mm == 8.0
    assert third.kernel == "FC17"


@pytest.mark.parametrize("wanted", [{"P1"}, {"P3"}, {"P2", "P1"}, set()])
def test_only_the_patients_asked_for_are_read(data: Path, wanted: set[str]) -> None:
    assert {scan.patient for scan in read_training_scans(data, patients=wanted)} == wanted


def test_progress_counts_the_scans(data: Path) -> None:
    said: list[tuple[int, int]] = []
    read_training_scans(data, progress=lambda done, total: said.append((done, total)))
    assert said == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_gap_within_a_run_does_not_matter(data: Path) -> None:
    run = data / "ct" / "train" / "run"
    for path in run.iterdir():
        path.unlink()
    paths = write_phantom_scan(phantom(1, slices=7), run)
    paths[2].unlink()
    scan = read_training_scans(data)[0]
    assert np.array_equal(scan.array, phantom(1, slices=7).array[[0, 1, 3, 4, 5, 6]])
    assert scan.spacing_mm[0] == 2.5


@pytest.mark.real_data
def test_a_real_run_with_a_gap_keeps_all_its_slices(data_folder: Path) -> None:
    scans = read_training_scans(data_folder, patients={"TCGA-BC-A10X"})
    assert [(len(scan.array), scan.spacing_mm[0]) for scan in scans] == [(9, 8.0), (9, 8.0)]


def test_each_source_stands_in_the_index(data: Path) -> None:
    listed = read_index(data)
    assert [one.name for one in listed] == ["run", "P2__x", "P3__x"]
    assert [one.source for one in listed] == ["A et al. (CC BY 4.0)", "", ""]
    assert [one.is_single for one in listed] == [False, True, True]


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"id": "run"}]', '{"id": "run"}'])
def test_a_damaged_index_is_refused(data: Path, text: str) -> None:
    (data / "ct" / "index.json").write_text(text)
    with pytest.raises(UnreadableInput, match="cannot be understood"):
        read_index(data)


def test_a_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"no ct/index\.json"):
        read_training_scans(tmp_path)
