from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from isocenter.core.errors import UnsuitableScan
from isocenter.dicom.reading.runs import list_runs, open_even_runs

Write = Callable[..., Any]
# Steps of 2 mm with gaps after the third and before the last slice.
UNEVEN = np.array([[0.0, 0.0, z] for z in (0, 2, 4, 9, 11, 13, 15, 20)])


def test_an_even_series_is_one_run(write_classic_ct: Write) -> None:
    scan = write_classic_ct(shape=(4, 16, 16))
    (run,) = open_even_runs(scan.folder)
    assert np.array_equal(run.positions_mm, scan.positions_mm)


def test_an_uneven_series_is_cut_at_its_gaps_and_keeps_every_slice(write_classic_ct: Write) -> None:
    scan = write_classic_ct(shape=(8, 16, 16), positions_mm=UNEVEN)
    runs = open_even_runs(scan.folder)
    assert [run.positions_mm[:, 2].tolist() for run in runs] == [
        [0, 2, 4],
        [9, 11, 13, 15],
        [20],
    ]
    values = np.concatenate([[run.stored(k) for k in range(len(run))] for run in runs])
    assert np.array_equal(values, scan.stored)
    assert runs[1].geometry.spacing_mm[0] == 2


def test_other_rules_hold(write_classic_ct: Write) -> None:
    def tilt(dataset: Dataset, index: int) -> None:
        dataset.ImagePositionPatient[1] += index

    scan = write_classic_ct(edit=tilt)
    with pytest.raises(UnsuitableScan) as refusal:
        open_even_runs(scan.folder)
    assert refusal.value.reason == "gantry_tilt"


def named(patient: str, **more: str) -> Callable[[Dataset, int], None]:
    def edit(dataset: Dataset, index: int) -> None:
        dataset.PatientID = patient
        for keyword, value in more.items():
            setattr(dataset, keyword, value)

    return edit


def test_people_are_told_apart_by_patient_id_and_never_named(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    people = [named("A1"), named("A1"), named("B2"), named(""), named("A1", IssuerOfPatientID="X")]
    for seed, edit in enumerate(people):
        write_classic_ct(folder=tmp_path / "all" / str(seed), seed=seed, edit=edit)
    found = {one.summary.folder: one.person for one in list_runs(tmp_path / "all")}
    patients = [found[str(seed)].patient for seed in range(5)]
    assert patients[0] == patients[1]
    assert len(set(patients)) == 4
    assert patients[3] == ""
    assert not any("A1" in text or "B2" in text for one in found.values() for text in one)
    assert len({one.study for one in found.values()}) == 5


def test_a_series_of_two_patients_is_refused(write_classic_ct: Write) -> None:
    def mixed(dataset: Dataset, index: int) -> None:
        dataset.PatientID = f"P{index % 2}"

    scan = write_classic_ct(edit=mixed)
    (found,) = list_runs(scan.folder)
    assert "different patients" in found.why_not
    assert not found.runs


def test_what_is_not_ct_is_listed_with_its_reason(write_classic_ct: Write, tmp_path: Path) -> None:
    write_classic_ct(folder=tmp_path / "all" / "ct", seed=1)
    write_classic_ct(
        folder=tmp_path / "all" / "mr",
        seed=2,
        edit=lambda dataset, _: dataset.update({"Modality": "MR"}),
    )
    by_folder = {one.summary.folder: one for one in list_runs(tmp_path / "all")}
    assert by_folder["ct"].runs
    assert not by_folder["ct"].why_not
    assert "not a CT image series" in by_folder["mr"].why_not
