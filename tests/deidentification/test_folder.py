"""A whole tree: what is written, set aside and refused, and that nothing half-done stays."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import SecondaryCaptureImageStorage

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.deidentification import folder as folder_module
from isocenter.deidentification.folder import Result, deidentify_folder
from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.one_object import Deidentifier
from isocenter.deidentification.options import Options

Someone = Callable[..., FileDataset]
Save = Callable[[FileDataset, Path], Path]
PDF = "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.fixture
def tree(tmp_path: Path, someone: Someone, save: Save) -> Path:
    """Images of two patients, one to be set aside, a document, and files that are broken."""
    top = tmp_path / "okonkwo marieke"
    save(someone(), top / "a" / "1.dcm")
    save(someone(SOPInstanceUID="1.2.826.9.3.2"), top / "a" / "2.dcm")
    shutil.copy(top / "a" / "1.dcm", top / "a" / "1 copy.dcm")
    stranger = someone(PatientID="X-1", StudyInstanceUID="1.2.826.8", SOPInstanceUID="1.2.826.8.1")
    save(stranger, top / "b" / "1.dcm")
    capture = someone(SOPClassUID=SecondaryCaptureImageStorage, SOPInstanceUID="1.2.826.7")
    save(capture, top / "c" / "1.dcm")
    save(someone(SOPClassUID=PDF, SOPInstanceUID="1.2.826.6"), top / "d" / "doc.dcm")
    (top / "d" / "cut.dcm").write_bytes((top / "a" / "1.dcm").read_bytes()[:900])
    (top / "d" / "DICOMDIR").write_bytes((top / "a" / "1.dcm").read_bytes())
    (top / "d" / "okonkwo.txt").write_text("no DICOM")
    return top


def deidentified(source: Path, output: Path, key: SecretKey, **chosen: Any) -> Result:
    return deidentify_folder(source, output, Deidentifier(key=key, options=Options(**chosen)))


def test_every_file_is_accounted_for(tree: Path, tmp_path: Path, key: SecretKey) -> None:
    result = deidentified(tree, tmp_path / "out", key)
    assert result.summary.counts() == {
        "written": 3,
        "set_aside": 1,
        "refused": 2,
        "copies": 1,
        "directories": 1,
        "other": 1,
    }
    assert (result.summary.studies, result.summary.series) == (2, 2)
    files = [pydicom.dcmread(path) for path in result.folder.rglob("*.dcm")]
    assert len(files) == 3
    for dataset, path in zip(files, result.folder.rglob("*.dcm"), strict=True):
        assert path.stem == dataset.SOPInstanceUID
        assert path.parent.name == dataset.SeriesInstanceUID
        assert path.parent.parent.name == dataset.StudyInstanceUID


def test_reports_name_nobody(
    tree: Path, tmp_path: Path, key: SecretKey, identifiers: dict[str, str]
) -> None:
    result = deidentified(tree, tmp_path / "out", key)
    assert result.quarantine is not None
    texts = [result.report.read_text(), (result.quarantine / "reasons.json").read_text()]
    texts += [one.message for one in result.summary.refused] + result.summary.notes()
    words = {part for one in identifiers.values() for part in one.lower().replace("^", " ").split()}
    for text in texts:
        for word in words | {"1.2.826", "1.dcm", "doc.dcm", key.secret.hex()}:
            assert len(word) < 4 or word not in text.lower()
    report = json.loads(texts[0])
    assert [one["reason"] for one in report["refused"]] == ["unreadable", "document"]
    assert [one["reason"] for one in report["set_aside"]] == ["secondary_capture"]
    assert report["key"] == key.mark
    rows = {(row["name"], row["action"]): row["count"] for row in report["attributes"]}
    assert rows["Patient's Name", "replaced"] == 4
    assert ("Original Attributes Sequence", "removed") in rows


def test_what_is_set_aside_has_no_identity_in_its_header(
    tree: Path, tmp_path: Path, key: SecretKey
) -> None:
    result = deidentified(tree, tmp_path / "out", key)
    assert result.quarantine == tmp_path / "out-quarantine"
    (path,) = result.quarantine.glob("*.dcm")
    assert b"Okonkwo" not in path.read_bytes()
    assert stat.S_IMODE(result.quarantine.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_anything_to_look_at_there_is_no_quarantine(
    tree: Path, tmp_path: Path, key: SecretKey
) -> None:
    result = deidentified(tree / "a", tmp_path / "out", key)
    assert result.quarantine is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["okonkwo marieke", "out"]


@pytest.mark.parametrize("retain_uids", [False, True])
@pytest.mark.parametrize("uid", ["../../../escaped", "/etc/passwd", "1.2/../3", "", "1..2", "a.b"])
def test_a_uid_leads_nowhere_else(
    tmp_path: Path, someone: Someone, key: SecretKey, uid: str, retain_uids: bool
) -> None:
    dataset = someone()
    content = save_raw(dataset, uid)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "odd.dcm").write_bytes(content)
    with pytest.raises(InputRefused) as refused:
        deidentified(tmp_path / "in", tmp_path / "out", key, retain_uids=retain_uids)
    assert refused.value.reason == "identity"
    assert not uid or uid not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def save_raw(dataset: FileDataset, uid: str) -> bytes:
    """A file whose Study Instance UID is anything."""
    import io

    from pydicom.filewriter import dcmwrite

    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = "1" * 16
    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue().replace(b"1" * 16, uid.encode().ljust(16, b"\0"))


def test_retained_uids_are_no_names_of_folders(tree: Path, tmp_path: Path, key: SecretKey) -> None:
    result = deidentified(tree / "a", tmp_path / "out", key, retain_uids=True)
    path = next(result.folder.rglob("*.dcm"))
    dataset = pydicom.dcmread(path)
    assert dataset.StudyInstanceUID.startswith("1.2.826.9")
    assert "1.2.826" not in str(path.relative_to(result.folder))


def test_two_objects_of_one_uid_are_not_mixed_up(
    tmp_path: Path, someone: Someone, save: Save, key: SecretKey
) -> None:
    save(someone(), tmp_path / "in" / "1.dcm")
    save(someone(KVP="80"), tmp_path / "in" / "2.dcm")
    result = deidentified(tmp_path / "in", tmp_path / "out", key)
    (refused,) = result.summary.refused
    assert (refused.number, refused.reason) == (2, "identity")
    (path,) = result.folder.rglob("*.dcm")
    assert pydicom.dcmread(path).KVP == "120"


def test_a_failure_in_the_middle_leaves_nothing(
    tree: Path, tmp_path: Path, key: SecretKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))

    def written(*given: Any) -> bool:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        return keep(*given)

    keep = folder_module._written
    monkeypatch.setattr(folder_module, "_written", written)
    with pytest.raises(OutputRefused) as refused:
        deidentified(tree, tmp_path / "out", key)
    assert refused.value.reason == "disk_full"
    assert [path.name for path in tmp_path.iterdir()] == [tree.name]


def test_a_place_that_is_taken_is_refused(tree: Path, tmp_path: Path, key: SecretKey) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(OutputRefused) as refused:
        deidentified(tree, tmp_path / "out", key)
    assert refused.value.reason == "output_taken"
    with pytest.raises(OutputRefused, match="must not be"):
        deidentify_folder(
            tree,
            tmp_path / "new",
            Deidentifier(key=key),
            quarantine=tmp_path / "new" / "aside",
        )


def test_a_folder_of_broken_files_is_refused(tree: Path, tmp_path: Path, key: SecretKey) -> None:
    with pytest.raises(InputRefused, match="none of 2 files"):
        deidentified(tree / "d", tmp_path / "out", key)
    assert not (tmp_path / "out").exists()


def test_the_source_is_left_as_it_is(tree: Path, tmp_path: Path, key: SecretKey) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    deidentified(tree, tmp_path / "out", key)
    assert before == {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    assert os.listdir(tmp_path)
