"""``isocenter deidentify`` from the command line: options, documents, and what is never said."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from typer.testing import Result

Invoke = Callable[..., Result]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A folder, whose name is a patient's, with one CT image."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    dataset.PatientName, dataset.PatientID = "Okonkwo^Marieke", "HOSP-4471882"
    dataset.Modality, dataset.StudyDate, dataset.PatientAge = "CT", "20240229", "093Y"
    dataset.StudyDescription = "thorax, Okonkwo"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 2, 2, 1
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", b"12345678"
    folder = tmp_path / "okonkwo"
    folder.mkdir()
    dataset.save_as(folder / "1.dcm", enforce_file_format=True)
    return folder


def one_of(folder: Path) -> FileDataset:
    (path,) = folder.rglob("*.dcm")
    return pydicom.dcmread(path)


def test_a_folder_is_deidentified_and_counted(invoke: Invoke, scan: Path, tmp_path: Path) -> None:
    key, output = tmp_path / "keys" / "deid.key", tmp_path / "out"
    result = invoke("deidentify", str(scan), "-o", str(output), "--key", str(key), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["counts"]["out"] == {
        "written": 1,
        "set_aside": 0,
        "refused": 0,
        "copies": 0,
        "directories": 0,
        "other": 0,
    }
    assert document["result"]["elements"]["replaced"] >= 4
    assert "okonkwo" not in (output / "report.json").read_text().lower()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert one_of(output).StudyDate == ""


def test_options_are_those_of_the_standard(invoke: Invoke, scan: Path, tmp_path: Path) -> None:
    options = "--dates keep --clean descriptors --retain patient --retain uids --oldest-age 85"
    where = ["-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]
    result = invoke("deidentify", str(scan), *where, *options.split())
    assert result.exit_code == 0, result.output
    dataset = one_of(tmp_path / "out")
    assert dataset.StudyDate == "20240229"
    assert dataset.StudyDescription == "thorax"
    assert dataset.PatientAge == "086Y"
    assert dataset.SOPInstanceUID == "1.2.3.4"
    codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113106", "113108", "113110"]


def test_a_dry_run_shows_names_of_attributes_and_writes_nothing(
    invoke: Invoke, scan: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = invoke("deidentify", str(scan), "--dry-run", "--key", str(tmp_path / "key"))
    assert result.exit_code == 0, result.output
    assert "Patient's Name" in result.stdout
    assert "Nothing was written." in result.stdout
    assert "okonkwo" not in result.output.lower()
    assert sorted(tmp_path.rglob("*")) == before


def test_pixel_rules_and_a_list_of_private_elements_are_read(
    invoke: Invoke, scan: Path, tmp_path: Path
) -> None:
    rules, listed = tmp_path / "pixels.toml", tmp_path / "safe.csv"
    rules.write_text('[[rule]]\nModality = "CT"\nboxes = [[0, 0, 1, 2]]\n')
    listed.write_text("tag,creator,vr\n0019xx23,SEEDED,DS\n")
    where = ["-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]
    files = ["--clean-pixels", str(rules), "--safe-private", str(listed)]
    result = invoke("deidentify", str(scan), *where, *files, "--retain", "private")
    assert result.exit_code == 0, result.output
    dataset = one_of(tmp_path / "out")
    assert dataset.PixelData == b"\0\0\0\x005678"
    assert dataset.BurnedInAnnotation == "NO"


@pytest.mark.parametrize(
    "rules",
    [
        "boxes = []",
        "[[rule]]\nboxes = []",
        '[[rule]]\nModality = "CT"\nboxes = [[0, 0, 0, 2]]',
        '[[rule]]\nModality = "CT"\nboxes = [[0, 0, 2]]',
        '[[rule]]\nPatientName = "Okonkwo"\nboxes = []',
        "[[rule",
    ],
)
def test_pixel_rules_that_cannot_be_meant_are_refused(
    invoke: Invoke, scan: Path, tmp_path: Path, rules: str
) -> None:
    (tmp_path / "pixels.toml").write_text(rules)
    where = ["-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]
    result = invoke(
        "deidentify", str(scan), *where, "--clean-pixels", str(tmp_path / "pixels.toml")
    )
    assert result.exit_code == 2
    assert "okonkwo" not in result.output.lower()
    assert not (tmp_path / "out").exists()


def test_what_no_pixel_rule_is_for_is_set_aside(invoke: Invoke, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "pixels.toml").write_text('[[rule]]\nModality = "US"\nboxes = []\n')
    where = ["-o", str(tmp_path / "out"), "--key", str(tmp_path / "key")]
    rules = ["--clean-pixels", str(tmp_path / "pixels.toml"), "--quarantine", str(tmp_path / "q")]
    result = invoke("deidentify", str(scan), *where, *rules)
    assert result.exit_code == 0, result.output
    assert "1 file may show in pixels" in result.output
    assert json.loads((tmp_path / "q" / "reasons.json").read_text())["set_aside"][0]["reason"] == (
        "no_pixel_rule"
    )


def test_a_key_is_not_given_away_with_what_it_protects(
    invoke: Invoke, scan: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    result = invoke("deidentify", str(scan), "-o", str(output), "--key", str(output / "key"))
    assert result.exit_code == 2
    assert "given away" in result.stderr
    assert not output.exists()


def test_a_place_to_write_to_must_be_named(invoke: Invoke, scan: Path) -> None:
    result = invoke("deidentify", str(scan))
    assert result.exit_code == 2
    assert "--output" in result.stderr
