"""From the scanner to the archive, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from sqlalchemy import select

from isocenter.gateway.configuration.configuration import Configuration
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.service import Gateway
from isocenter.gateway.store.schema import jobs
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]
CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENCE_S = 60.0


def send(port: int, datasets: list[Dataset]) -> list[int]:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(CT)
    opened = entity.associate("127.0.0.1", port, ae_title="GATEWAY")
    assert opened.is_established
    try:
        return [opened.send_c_store(each).Status for each in datasets]
    finally:
        opened.release()


def until(condition: Callable[[], Any]) -> Any:
    ends_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it took too long")


@pytest.fixture
def configured(tmp_path: Path, archive: Any) -> Configuration:
    return read_table(
        Configuration,
        {
            "store": {"folder": str(tmp_path / "store"), "keep_free_mib": 0},
            "dicom": {
                "ae_title": "GATEWAY",
                "port": 0,
                "peers": [{"ae_title": "SCANNER", "addresses": ["127.0.0.1"]}],
            },
            "completeness": {"quiet_s": 0.3},
            "retry": {"first_s": 0.1, "longest_s": 0.2},
            "archives": [{"name": "main", "url": archive.url, "timeout_s": 5.0}],
            "rules": [
                {
                    "name": "try the way",
                    "task": "copy",
                    "to": ["main"],
                    "inputs": {"input": {"Modality": "CT", "BodyPartExamined": "chest"}},
                }
            ],
        },
    )


def test_a_scan_is_received_worked_on_and_delivered(
    configured: Configuration, archive: Any, make_study: MakeStudy
) -> None:
    study = make_study(size=16)
    with Gateway(configured) as gateway:
        assert send(gateway.dicom_port, study) == [0, 0, 0]
        until(lambda: len(archive.held) == 3)
        first = {uid: dcmread(BytesIO(file)) for uid, file in archive.held.items()}
        late = make_study(num_slices=4, size=16)[3]
        late.StudyInstanceUID = study[0].StudyInstanceUID
        assert send(gateway.dicom_port, [late]) == [0]
        until(lambda: len(archive.held) == 7)
    later = [dcmread(BytesIO(file)) for uid, file in archive.held.items() if uid not in first]
    (earlier_series,) = {each.SeriesInstanceUID for each in first.values()}
    assert {each.StudyInstanceUID for each in later} == {study[0].StudyInstanceUID}
    assert len({each.SeriesInstanceUID for each in later} - {earlier_series}) == 1
    for each in later:
        named = {item.SeriesInstanceUID for item in each.RelatedSeriesSequence}
        assert earlier_series in named
    sources = {each.PixelData for each in study}
    assert {each.PixelData for each in first.values()} == sources


def test_what_a_task_refuses_is_reported_and_ends(
    configured: Configuration, archive: Any, make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(size=16)
    study[1].ImagePositionPatient[2] += 1.5
    with Gateway(configured) as gateway:
        send(gateway.dicom_port, study)
        store = Store(configured.store)

        def ended() -> Any:
            with store.database.reading() as connection:
                query = select(jobs).where(jobs.c.state == "refused")
                return connection.execute(query).one_or_none()

        job = until(ended)
        store.close()
    assert job.reason == "uneven_slices"
    assert "slice" in job.message
    assert not archive.held
