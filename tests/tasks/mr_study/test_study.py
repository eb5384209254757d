"""One volume a contrast, and everything that must not go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.image.phantom_head import geometry, head

from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.image.volume_files import write_volume_file
from isocenter.tasks.mr_study.study import open_mr_study

WriteMr = Callable[..., None]


def refused(path: Path, reason: str, words: str, **options: Any) -> None:
    with pytest.raises(InputRefused, match=words) as refusal:
        open_mr_study(path, **options)
    assert refusal.value.reason == reason


def test_a_dicom_study_gives_one_volume_a_contrast(tmp_path: Path, write_mr: WriteMr) -> None:
    for number, contrast in enumerate(("T1", "T2", "FLAIR"), start=1):
        write_mr(tmp_path, contrast, number=number)
    study = open_mr_study(tmp_path)
    assert list(study.images) == ["T1", "T2", "FLAIR"]
    for contrast, image in study.images.items():
        np.testing.assert_array_equal(image.volume.array, head(contrast).array)
        assert image.source is not None
    assert not study.are_stripped
    words = study.images["FLAIR"].in_words()
    assert "series 3 is FLAIR, sure: TI 2500 ms" in words
    assert words.endswith("taken as the only one.")


def test_the_best_of_several_is_taken_and_it_is_said_why(tmp_path: Path, write_mr: WriteMr) -> None:
    fine = geometry((30, 60, 50), (4.0, 4.0, 4.0))
    write_mr(tmp_path, "T2", number=1)
    write_mr(tmp_path, "T2", number=2, volume=head("T2", grid=fine))
    write_mr(
        tmp_path,
        "T2",
        number=3,
        volume=head("T2", grid=fine),
        ImageType=["DERIVED", "SECONDARY", "MPR"],
    )
    write_mr(
        tmp_path, "T2", number=4, volume=head("T2", grid=geometry((12, 60, 50), (4.0, 4.0, 4.0)))
    )
    image = open_mr_study(tmp_path).images["T2"]
    assert image.label == "series 2"
    assert image.why == "of 4 images, the finest voxels (4 x 4 x 4 against 5 x 4 x 4 mm)"
    assert open_mr_study(tmp_path, named={"T2": 1}).images["T2"].label == "series 1"


def test_what_is_no_input_is_left_out_in_words(tmp_path: Path, write_mr: WriteMr) -> None:
    write_mr(tmp_path, "T2", number=1)
    write_mr(tmp_path, "FLAIR", number=2, InversionTime="160", RepetitionTime="4500", EchoTime="60")
    study = open_mr_study(tmp_path)
    assert list(study.images) == ["T2"]
    assert any("series 2 is left out: STIR" in note for note in study.notes)


def test_two_patients_are_refused_without_their_names(tmp_path: Path, write_mr: WriteMr) -> None:
    write_mr(tmp_path, "T1", number=1)
    write_mr(tmp_path, "T2", number=2, PatientID="P2", PatientName="Other^Name")
    with pytest.raises(UnsuitableScan) as refusal:
        open_mr_study(tmp_path)
    assert refusal.value.reason == "mixed_patients"
    assert "Patient ID, Patient's Name" in str(refusal.value)
    assert "P2" not in str(refusal.value)
    assert "Other" not in str(refusal.value)


def test_sessions_far_apart_are_refused(tmp_path: Path, write_mr: WriteMr) -> None:
    write_mr(tmp_path, "T1", number=1)
    write_mr(tmp_path, "T2", number=2, StudyDate="20260315", StudyInstanceUID="1.2.3")
    refused(tmp_path, "sessions_apart", "69 days apart")
    assert len(open_mr_study(tmp_path, most_days_apart=100).images) == 2
    write_mr(tmp_path, "FLAIR", number=3, StudyDate="", StudyInstanceUID="1.2.4")
    refused(tmp_path, "sessions_apart", "not all say on which day", most_days_apart=100)


def test_missing_slices_and_a_tilted_gantry_are_refused_by_name(
    tmp_path: Path, write_mr: WriteMr
) -> None:
    write_mr(tmp_path / "a", "T1", number=1)
    write_mr(tmp_path / "a", "T2", number=2, skip=7)
    refused(
        tmp_path / "a",
        "uneven_slices",
        "only T2 image, series 2, cannot be used: slices are missing",
    )
    assert list(open_mr_study(tmp_path / "a", without=["T2"]).images) == ["T1"]
    write_mr(tmp_path / "b", "T2", number=3, tilt_mm=1.0)
    refused(tmp_path / "b", "gantry_tilt", "tilted gantry")


def test_what_is_no_head_is_refused(tmp_path: Path, write_mr: WriteMr) -> None:
    write_mr(tmp_path / "a", "T1", BodyPartExamined="KNEE")
    refused(tmp_path / "a", "body_part", "another part of the body")
    large = replace(head("T1"), geometry=replace(geometry(), spacing_mm=(5.0, 9.0, 9.0)))
    write_mr(tmp_path / "b", "T1", number=2, volume=large)
    refused(tmp_path / "b", "body_part", "which is no head")
    refused(tmp_path / "nothing", "no_such_input", "does not exist")


def test_skulls_taken_away_from_some_alone_are_refused(tmp_path: Path) -> None:
    write_volume_file(head("T1"), tmp_path / "t1.nii.gz")
    write_volume_file(head("T2", stripped=True), tmp_path / "t2.nii.gz")
    refused(tmp_path, "skull", r"taken away from file 2 \(T2\)")
    write_volume_file(head("T1", stripped=True), tmp_path / "t1.nii.gz")
    assert open_mr_study(tmp_path).are_stripped


def test_a_wrong_name_is_refused(tmp_path: Path, write_mr: WriteMr) -> None:
    write_mr(tmp_path / "a", "T2", number=1)
    refused(tmp_path / "a", "contrast", "named FLAIR, but it is T2, sure", named={"FLAIR": 1})
    refused(tmp_path / "a", "series_choice", "no image number 9", named={"FLAIR": 9})
    (tmp_path / "b").mkdir()
    write_volume_file(head("T1"), tmp_path / "b" / "t2.nii.gz")
    refused(tmp_path / "b", "contrast", "extremes of its brain are dark")
    (tmp_path / "c").mkdir()
    write_volume_file(head("T2"), tmp_path / "c" / "sub-1_FLAIR.nii.gz")
    times = {"EchoTime": 0.1, "RepetitionTime": 5.0, "ScanningSequence": "SE"}
    (tmp_path / "c" / "sub-1_FLAIR.json").write_text(json.dumps(times))
    refused(tmp_path / "c", "contrast", "named FLAIR, but it is T2")


def test_an_image_that_headers_leave_open_can_be_named(tmp_path: Path, write_mr: WriteMr) -> None:
    write_mr(tmp_path, "T2", number=1, EchoTime="", RepetitionTime="")
    refused(tmp_path, "contrast", "name those that you know")
    study = open_mr_study(tmp_path, named={"T2": 1})
    assert "it was named so" in study.images["T2"].in_words()


def test_files_of_bids_are_read_with_their_sidecars(tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "ses-1" / "anat"
    folder.mkdir(parents=True)
    for suffix, contrast in (("T1w", "T1"), ("T2w", "T2"), ("FLAIR", "FLAIR")):
        write_volume_file(head(contrast), folder / f"sub-01_ses-1_{suffix}.nii.gz")
    write_volume_file(head("T1"), folder / "sub-01_ses-1_desc-brain_mask.nii.gz")
    times = {"EchoTime": 0.12, "RepetitionTime": 9.0, "InversionTime": 2.5}
    (folder / "sub-01_ses-1_FLAIR.json").write_text(json.dumps(times))
    derived = tmp_path / "derivatives" / "sub-01"
    derived.mkdir(parents=True)
    write_volume_file(head("T1"), derived / "sub-01_desc-x_T1w.nii.gz")
    study = open_mr_study(tmp_path)
    assert list(study.images) == ["T1", "T2", "FLAIR"]
    assert "nulls CSF" in study.images["FLAIR"].recognized.because
    assert any("No header names the part" in note for note in study.notes)
    other = tmp_path / "sub-01" / "ses-2"
    other.mkdir()
    write_volume_file(head("T1"), other / "sub-01_ses-2_T1w.nii.gz")
    refused(tmp_path, "sessions_apart", "2 sessions, by their names")
    assert list(open_mr_study(tmp_path, session="2").images) == ["T1"]
    write_volume_file(head("T1"), other / "sub-02_T1w.nii.gz")
    refused(tmp_path, "mixed_patients", "2 subjects")
