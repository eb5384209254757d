"""Kept once, kept apart, never replaced; and what a start puts right."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from sqlalchemy import func, insert, select

from isocenter.core.errors import OutputRefused
from isocenter.gateway.receive.intake import Intake, NotTaken
from isocenter.gateway.store.instances import counts, sound_instances
from isocenter.gateway.store.recovery import recover
from isocenter.gateway.store.schema import events, instances, jobs, studies
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]
Take = Callable[[Dataset], str]


def kinds(store: Store) -> list[str]:
    with store.database.reading() as connection:
        return list(connection.scalars(select(events.c.kind).order_by(events.c.id)))


def with_other_pixels(dataset: Dataset) -> Dataset:
    other = deepcopy(dataset)
    other.PixelData = bytes(255 - byte for byte in dataset.PixelData)
    return other


def test_the_same_instance_is_one(take: Take, make_study: MakeStudy, store: Store) -> None:
    (first, *_) = make_study()
    assert [take(first), take(first)] == ["new", "duplicate"]
    other_header = deepcopy(first)
    other_header.SeriesDescription = "sent again by another system"
    assert take(other_header) == "duplicate"
    assert len(list(store.spool.kept())) == 1


def test_other_pixels_under_the_same_uid_are_kept_apart(
    take: Take, make_study: MakeStudy, store: Store
) -> None:
    (first, *_) = make_study()
    other = with_other_pixels(first)
    assert [take(first), take(other), take(first), take(other)] == [
        "new",
        "conflict",
        "duplicate",
        "duplicate",
    ]
    with store.database.reading() as connection:
        (row,) = sound_instances(connection, first.StudyInstanceUID)
        assert counts(connection) == {"all": 2, "conflicts": 1, "ours": 0, "missing": 0}
    assert store.spool.file(row.path).read_bytes().endswith(first.PixelData)
    assert len(list(store.spool.kept())) == 2
    assert kinds(store).count("uid_conflict") == 1


def test_many_at_once_keep_one(intake: Intake, make_study: MakeStudy, store: Store) -> None:
    (first, *_) = make_study()
    versions = [first, with_other_pixels(first)] * 8

    def take_one(dataset: Dataset) -> str:
        with intake.part() as part:
            dataset.save_as(part, enforce_file_format=True)
            try:
                return intake.take(part, source="test").kept
            except NotTaken:  # locked for too long: the sender tries again
                return "not taken"

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(take_one, versions))
    assert found.count("new") == 1
    assert found.count("conflict") <= 1
    with store.database.reading() as connection:
        assert connection.scalar(select(studies.c.num_instances)) == 1
        rows = connection.scalar(select(func.count()).select_from(instances))
    assert rows == len(list(store.spool.kept()))


def test_a_late_slice_opens_a_study_again(take: Take, make_study: MakeStudy, store: Store) -> None:
    first, second, _ = make_study()
    take(first)
    with store.database.writing() as connection:
        connection.execute(studies.update().values(state="decided"))
    take(first)
    with store.database.reading() as connection:
        assert connection.scalar(select(studies.c.state)) == "decided"
    take(second)
    with store.database.reading() as connection:
        row = connection.execute(select(studies)).one()
    assert (row.state, row.generation, row.num_instances) == ("open", 2, 2)


def test_a_start_gives_files_without_a_row_one(
    take: Take, make_study: MakeStudy, store: Store
) -> None:
    for each in make_study():
        take(each)
    with store.database.writing() as connection:
        connection.execute(instances.delete())
        connection.execute(studies.delete())
    (store.spool.incoming / "0.part").write_bytes(b"half")
    (store.spool.objects / "00" / ("0" * 64 + ".dcm")).write_bytes(b"no DICOM at all")
    found = recover(store, worker="w")
    assert (found.adopted, found.unreadable, found.parts) == (3, 1, 1)
    assert recover(store, worker="w").adopted == 0
    with store.database.reading() as connection:
        assert connection.scalar(select(studies.c.num_instances)) == 3


def test_a_start_reports_rows_without_a_file_and_takes_them_again(
    take: Take, make_study: MakeStudy, store: Store
) -> None:
    (first, *_) = make_study()
    take(first)
    (path,) = store.spool.kept()
    store.spool.file(path).unlink()
    assert recover(store, worker="w").missing == 1
    with store.database.reading() as connection:
        assert not sound_instances(connection, first.StudyInstanceUID)
    assert take(first) == "restored"
    assert recover(store, worker="w").missing == 0
    with store.database.reading() as connection:
        assert len(sound_instances(connection, first.StudyInstanceUID)) == 1


def test_a_start_queues_again_what_it_was_doing(store: Store) -> None:
    with store.database.writing() as connection:
        for name in ("w", "other"):
            values: dict[str, Any] = dict.fromkeys(("rule", "reason", "message", "supersedes"), "")
            values |= {"id": name, "study_uid": "1.2", "task": "copy", "worker": name, "at": 0.0}
            values |= {"generation": 1, "priority": 0, "failures": 0, "state": "running"}
            connection.execute(insert(jobs).values(request={}, destinations=[], **values))
    (store.spool.work / "gone").mkdir()
    found = recover(store, worker="w")
    assert (found.requeued, found.work_folders) == (1, 1)
    with store.database.reading() as connection:
        states = dict(connection.execute(select(jobs.c.id, jobs.c.state)).all())
    assert states == {"w": "queued", "other": "running"}


def test_one_gateway_on_a_folder(store: Store) -> None:
    with (
        store.spool.only_user(),
        pytest.raises(OutputRefused, match="Another gateway"),
        store.spool.only_user(),
    ):
        raise AssertionError("two at once")


def test_what_is_no_dicom_is_not_taken(intake: Intake, store: Store) -> None:
    with intake.part() as part:
        part.write_bytes(b"\0" * 128 + b"DICM" + b"rubbish" * 9)
        with pytest.raises(NotTaken) as refusal:
            intake.take(part, source="test")
    assert refusal.value.refusal == "not_understood"
    assert not list(store.spool.incoming.iterdir())


def test_a_uid_never_becomes_a_path(intake: Intake, make_study: MakeStudy, store: Store) -> None:
    (first, *_) = make_study()
    first.SOPInstanceUID = UID("1.2.3.4.5.6.7.8.90")
    with intake.part() as part:
        first.save_as(part, enforce_file_format=True)
        hostile = part.read_bytes().replace(b"1.2.3.4.5.6.7.8.90", b"../../../etc/cron.")
        part.write_bytes(hostile)
        with pytest.raises(NotTaken):
            intake.take(part, source="test")
    assert not list(store.spool.kept())
