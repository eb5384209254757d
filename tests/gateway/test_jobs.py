"""Children under limits, and jobs that end whatever their child does."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import func, select

from isocenter.gateway.configuration.configuration import JobKeys
from isocenter.gateway.jobs.host import Host, HostEnded, WorkLimits
from isocenter.gateway.jobs.work import work
from isocenter.gateway.jobs.worker import Worker
from isocenter.gateway.store.database import StoreBusy
from isocenter.gateway.store.instances import sound_instances
from isocenter.gateway.store.queueing import put
from isocenter.gateway.store.schema import deliveries, jobs, results, steps
from isocenter.gateway.store.spool import Spool
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]


def misbehave(request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "hog":
        bytearray(2**33)
    if request["do"] == "sleep":
        time.sleep(60)
    if request["do"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"outcome": "done", "pid": os.getpid()}


@pytest.fixture
def host() -> Iterator[Host]:
    opened = Host(misbehave, WorkLimits(memory_bytes=2**32, seconds=1.0))
    yield opened
    opened.close()


def test_each_request_has_a_process_of_its_own(host: Host) -> None:
    first, second = host.run({"do": "well"}), host.run({"do": "well"})
    assert first["outcome"] == second["outcome"] == "done"
    assert len({first["pid"], second["pid"], os.getpid()}) == 3


@pytest.mark.parametrize(
    ("do", "reason"), [("sleep", "too_slow"), ("die", "crashed"), ("hog", "crashed")]
)
def test_what_a_child_breaks_is_broken_in_the_child(host: Host, do: str, reason: str) -> None:
    answer = host.run({"do": do})
    assert (answer["outcome"], answer["reason"]) == ("crashed", reason)
    assert host.run({"do": "well"})["outcome"] == "done"


def test_who_waits_is_told_that_the_host_is_gone(host: Host) -> None:
    os.kill(host._pid, signal.SIGKILL)
    with pytest.raises(HostEnded):
        host.run({"do": "sleep"})


@pytest.fixture
def queued(store: Store, take: Callable[[Dataset], str], make_study: MakeStudy) -> str:
    study = make_study(size=16)
    for each in study:
        take(each)
    with store.database.writing() as connection:
        rows = sound_instances(connection, study[0].StudyInstanceUID)
        key, _ = put(
            connection,
            {
                "task": "copy",
                "settings": {"number": 0},
                "model": "",
                "device": "cpu",
                "largest_run": False,
                "series": {"input": rows[0].series_uid},
                "inputs": {"input": [[row.sop_uid, row.pixel_digest, row.path] for row in rows]},
            },
            study_uid=study[0].StudyInstanceUID,
            generation=1,
            rule="try",
            destinations=["main", "second"],
            priority=0,
        )
    return key


def job_of(store: Store) -> Any:
    with store.database.reading() as connection:
        return connection.execute(select(jobs)).one()


def num_of(store: Store, table: Any) -> int:
    with store.database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def test_a_job_is_done_once(store: Store, queued: str) -> None:
    worker = Worker(store, lambda request: work(dict(request)), JobKeys(), name="w")
    assert worker.work_once()
    assert not worker.work_once()
    assert job_of(store).state == "done"
    assert num_of(store, results) == 3
    assert num_of(store, deliveries) == 6
    assert not list(store.spool.work.iterdir())


@pytest.mark.parametrize("where", ["inputs", "result", "kept"])
def test_a_job_goes_on_where_it_was_killed(
    store: Store, queued: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(request: Mapping[str, Any]) -> dict[str, Any]:
        answer = work(dict(request))
        ran.append("again" if answer.get("already_there") else "made")
        return answer

    class Killed(BaseException):
        """Stands for the end of the process, just before a step is recorded."""

    from isocenter.gateway.store import queueing

    true_record = queueing.record_step

    def record(connection: Any, job_id: str, name: str, output: Any) -> None:
        if name == where:
            raise Killed
        true_record(connection, job_id, name, output)

    with monkeypatch.context() as patch:
        patch.setattr(queueing, "record_step", record)
        with pytest.raises(Killed):
            Worker(store, run, JobKeys(), name="w").work_once()
    assert job_of(store).state == "running"
    from isocenter.gateway.store.recovery import recover

    assert recover(store, worker="w").requeued == 1
    assert Worker(store, run, JobKeys(), name="w").work_once()
    assert job_of(store).state == "done"
    assert ran.count("made") == 1
    assert num_of(store, results) == 3
    assert num_of(store, steps) == 3


def test_a_job_that_crashes_is_tried_again_and_then_fails(store: Store, queued: str) -> None:
    crash = {"outcome": "crashed", "reason": "crashed", "message": "ended by SIGSEGV"}
    worker = Worker(store, lambda _: crash, JobKeys(tries=2), name="w")
    worker.work_once()
    assert job_of(store).state == "queued"
    worker.work_once()
    job = job_of(store)
    assert (job.state, job.failures, job.message) == ("failed", 2, "ended by SIGSEGV")
    assert not worker.work_once()


def test_a_full_disk_and_a_locked_database_are_waited_for(
    store: Store, queued: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(store, lambda request: work(dict(request)), JobKeys(tries=1), name="w")
    true_keep, refusals = Spool.keep, [OSError(errno.ENOSPC, "full"), StoreBusy("locked")]

    def keep(self: Spool, part: Path, *, made: bool = False) -> tuple[str, str, int]:
        if refusals:
            raise refusals.pop(0)
        return true_keep(self, part, made=made)

    monkeypatch.setattr(Spool, "keep", keep)
    assert not worker.work_once()
    with pytest.raises(StoreBusy):
        worker.work_once()
    assert job_of(store).state == "running"
    assert worker.work_once()
    assert job_of(store).state == "done"
    assert num_of(store, results) == 3


def test_a_refusal_is_an_end(store: Store, queued: str) -> None:
    refusal = {"outcome": "refused", "reason": "trunk", "message": "a head"}
    Worker(store, lambda _: refusal, JobKeys(), name="w").work_once()
    job = job_of(store)
    assert (job.state, job.reason, job.message) == ("refused", "trunk", "a head")
    assert num_of(store, deliveries) == 0


def test_an_input_that_is_gone_fails_the_job(store: Store, queued: str) -> None:
    shutil.rmtree(store.spool.objects)
    Worker(store, lambda _: {}, JobKeys(tries=1), name="w").work_once()
    job = job_of(store)
    assert (job.state, job.reason) == ("failed", "file_missing")


def test_a_task_can_be_asked_without_being_run(make_study: MakeStudy, tmp_path: Path) -> None:
    make_study(size=16)
    request = {"task": "copy", "settings": {"number": 0}, "model": "", "device": "cpu"}
    folder = str(tmp_path / "study-1-3-16")
    answer = work({**request, "largest_run": False, "inputs": {"input": folder}})
    assert answer["outcome"] == "done"
    answer = work({**request, "largest_run": False, "inputs": {"input": str(tmp_path / "none")}})
    assert (answer["outcome"], answer["reason"]) == ("refused", "no_such_input")
