"""Names and sidecars of BIDS, and the plain names that people give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.datasets.bids_names import (
    BidsName,
    contrast_of_name,
    derivative_name,
    parse_bids_name,
    read_sidecar,
    write_derivative_description,
    write_sidecar,
)


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("sub-01_ses-1_T1w.nii.gz", "T1"),
        ("sub-01_ce-gadolinium_T1w.nii.gz", "T1c"),
        ("sub-01_FLAIR.nii.gz", "FLAIR"),
        ("sub-01_acq-tse_run-2_T2w.nii", "T2"),
        ("sub-01_PDw.nii.gz", "PD"),
        ("sub-01_space-MNI152_desc-preproc_T2w.nii.gz", "T2"),
        ("sub-01_dwi.nii.gz", "DWI"),
        ("sub-01_T2star.nii.gz", None),
        ("sub-01_desc-brain_mask.nii.gz", None),
        ("t1.nii.gz", "T1"),
        ("T1c.nii", "T1c"),
        ("t1_gd.nii.gz", "T1c"),
        ("BraTS-GLI-00001-000-t1n.nii.gz", "T1"),
        ("BraTS-GLI-00001-000-t1c.nii.gz", "T1c"),
        ("BraTS-GLI-00001-000-t2w.nii.gz", "T2"),
        ("BraTS-GLI-00001-000-t2f.nii.gz", "FLAIR"),
        ("BraTS19_2013_1_t1ce.nii", "T1c"),
        ("patient_FLAIR.mha", "FLAIR"),
        ("T2_FLAIR.nii.gz", "FLAIR"),
        ("axial.T2.nii.gz", "T2"),
        ("PD.nii", "PD"),
        ("MPRAGE.nii", "T1"),
        ("t1_to_flair.nii", None),
        ("left1.nii", None),
        ("T2star.nii", None),
        ("brain.nii", None),
    ],
)
def test_names_say_a_contrast_or_none(name: str, contrast: str | None) -> None:
    assert contrast_of_name(Path("folder") / name) == contrast


@pytest.mark.parametrize(
    "name",
    [
        "T1w.nii.gz",
        "sub-_T1w.nii",
        "sub-01_ses_T1w.nii",
        "sub-01_sub-02_T1w.nii",
        "sub-a+b_T1w.nii",
    ],
)
def test_what_is_no_name_of_bids_is_not_taken_for_one(name: str) -> None:
    assert parse_bids_name(name) is None


LABELS = st.text("abcXYZ0189", min_size=1, max_size=6)


@given(
    entities=st.dictionaries(st.sampled_from("ses acq ce run space desc".split()), LABELS),
    subject=LABELS,
    suffix=st.sampled_from("T1w T2w FLAIR PDw".split()),
    ending=st.sampled_from([".nii", ".nii.gz"]),
)
def test_names_come_back(entities: dict[str, str], subject: str, suffix: str, ending: str) -> None:
    name = BidsName(entities={"sub": subject, **entities}, suffix=suffix)
    assert parse_bids_name(name.file_name(ending)) == name


def test_derivatives_are_named_by_what_they_are_made_of() -> None:
    source = "sub-07_ses-2_acq-tse_run-1_T2w.nii.gz"
    assert (
        derivative_name(source, contrast="FLAIR", description="synthesized")
        == "sub-07_ses-2_desc-synthesized_FLAIR.nii.gz"
    )
    assert (
        derivative_name("t2.nii", contrast="T1c", description="synthesized")
        == "sub-01_ce-gadolinium_desc-synthesized_T1w.nii.gz"
    )
    with pytest.raises(OutputRefused, match="letters and digits"):
        derivative_name(source, contrast="T1", description="a_b")
    with pytest.raises(OutputRefused, match="contrasts that BIDS names"):
        derivative_name(source, contrast="MRA", description="a")


def test_times_of_a_sidecar_are_in_seconds(tmp_path: Path) -> None:
    image = tmp_path / "sub-01_FLAIR.nii.gz"
    assert read_sidecar(image) is None
    said = {
        "EchoTime": 0.09, "RepetitionTime": 9, "InversionTime": 2.5, "FlipAngle": 150,
        "ScanningSequence": "SE_IR", "SequenceVariant": "SK\\SP\\MP",
        "ImageType": ["ORIGINAL", "PRIMARY", "M"], "MRAcquisitionType": "2D",
        "ContrastBolusIngredient": "GADOLINIUM",
    }  # fmt: skip
    (tmp_path / "sub-01_FLAIR.json").write_text(json.dumps(said))
    facts = read_sidecar(image)
    assert facts is not None
    times = (facts.echo_time_ms, facts.repetition_time_ms, facts.inversion_time_ms)
    assert times == (90.0, 9000.0, 2500.0)
    assert facts.scanning_sequence == ("SE", "IR")
    assert facts.sequence_variant == ("SK", "SP", "MP")
    assert (facts.is_3d, facts.has_contrast_agent) == (False, True)


@pytest.mark.parametrize("text", ["{", "[1]", '"a"', "[" * 100_000, "\udcff"])
def test_a_sidecar_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, errors="surrogateescape")
    with pytest.raises(InputRefused, match="sidecar"):
        read_sidecar(tmp_path / "a.nii.gz")


@given(value=st.one_of(st.none(), st.text(), st.booleans(), st.floats(), st.lists(st.integers())))
def test_values_of_no_use_are_unknown(value: object) -> None:
    from isocenter.datasets.bids_names import _acquisition

    facts = _acquisition(
        dict.fromkeys(("EchoTime", "FlipAngle", "ImageType", "BodyPartExamined"), value)
    )
    assert facts.echo_time_ms is None or facts.echo_time_ms > 0


def test_derived_images_say_what_made_them(tmp_path: Path) -> None:
    image = tmp_path / "sub-01_desc-synthesized_FLAIR.nii.gz"
    path = write_sidecar(image, sources=["sub-01_T2w.nii.gz"], facts={"Seed": 3}, synthetic=True)
    said = json.loads(path.read_text())
    assert path.name == "sub-01_desc-synthesized_FLAIR.json"
    assert said["SyntheticData"] is True
    assert (said["Sources"], said["Seed"]) == (["sub-01_T2w.nii.gz"], 3)
    described = json.loads(write_derivative_description(tmp_path, name="Made images").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "isocenter"
    with pytest.raises(OutputRefused, match="NIfTI"):
        write_sidecar(tmp_path / "a.mha", sources=[], facts={}, synthetic=False)
