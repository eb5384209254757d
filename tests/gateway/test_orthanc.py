"""Against a real Orthanc, where it is installed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from isocenter.core.errors import InputRefused
from isocenter.dicom.reading.instance_facts import instance_facts
from isocenter.gateway.configuration.configuration import Archive
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.deliver.archive_web import Sendable, WebArchive
from isocenter.gateway.demo import free_port, installed_orthanc, orthanc

MakeStudy = Callable[..., list[Dataset]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        program, plugin = installed_orthanc()
    except InputRefused:
        pytest.skip("Orthanc with DICOMweb is not installed")
    port = free_port()
    with orthanc(program, plugin, tmp_path_factory.mktemp("orthanc"), port):
        yield f"http://127.0.0.1:{port}/dicom-web"


@pytest.fixture
def web(url: str) -> Iterator[WebArchive]:
    opened = WebArchive(read_table(Archive, {"name": "orthanc", "url": url}))
    yield opened
    opened.close()


def sendable(dataset: Dataset, file: Path) -> Sendable:
    dataset.save_as(file, enforce_file_format=True)
    facts = instance_facts(file)
    return Sendable(
        file=file,
        sop_class_uid=facts.sop_class_uid,
        sop_uid=facts.sop_uid,
        series_uid=facts.series_uid,
        study_uid=facts.study_uid,
        transfer_syntax=facts.transfer_syntax,
        pixel_digest=facts.pixel_digest,
        num_bytes=file.stat().st_size,
    )


def test_what_is_stored_is_read_back_and_counted(
    web: WebArchive, make_study: MakeStudy, tmp_path: Path
) -> None:
    results = [
        sendable(each, tmp_path / f"{number}.dcm") for number, each in enumerate(make_study(seed=5))
    ]
    back = tmp_path / "back.dcm"
    assert web.look(results[0], back) == "absent"
    assert web.count(results[0].study_uid) in (0, None)
    answers = web.send(results)
    assert {answer.kind for answer in answers.values()} == {"accepted"}
    assert [web.look(each, back) for each in results] == ["same"] * 3
    assert web.count(results[0].study_uid) == 3


def test_a_changed_object_is_acknowledged_and_not_kept(
    web: WebArchive, make_study: MakeStudy, tmp_path: Path
) -> None:
    dataset = make_study(seed=6)[0]
    first = sendable(dataset, tmp_path / "first.dcm")
    web.send([first])
    dataset.PixelData = random.Random(0).randbytes(len(dataset.PixelData))
    changed = sendable(dataset, tmp_path / "changed.dcm")
    answers = web.send([changed])
    assert answers[changed.sop_uid].kind == "accepted"  # it lies
    assert web.look(changed, tmp_path / "back.dcm") == "other"


def test_a_truncated_part_does_not_hide_that_its_neighbor_was_stored(
    web: WebArchive, make_study: MakeStudy, tmp_path: Path
) -> None:
    good, bad, _ = (
        sendable(each, tmp_path / f"{number}.dcm") for number, each in enumerate(make_study(seed=7))
    )
    bad.file.write_bytes(bad.file.read_bytes()[:300])
    answers = web.send([good, bad])
    assert answers[good.sop_uid].kind == "accepted"
    assert answers[bad.sop_uid].kind != "accepted"
    assert web.look(good, tmp_path / "back.dcm") == "same"
    assert web.look(bad, tmp_path / "back.dcm") == "absent"
