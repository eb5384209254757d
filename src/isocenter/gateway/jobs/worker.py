"""One job after the other, each in steps that are recorded when they are done."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from isocenter.core.files import flush
from isocenter.core.reasons import reason_of
from isocenter.dicom.reading.instance_facts import instance_facts
from isocenter.gateway.configuration.configuration import JobKeys
from isocenter.gateway.store import queueing as queue
from isocenter.gateway.store.schema import jobs
from isocenter.gateway.store.store import Store

RunRequest = Callable[[Mapping[str, Any]], dict[str, Any]]
_PATIENCE = 20
_PAUSE_S = 0.25
INPUTS, RESULT, KEPT = "inputs", "result", "kept"


class _Ended(Exception):
    """A step ended the job; its row says how."""


class _Waiting(Exception):
    """The disk is full: the job goes on when there is room."""


class Worker:
    """Takes jobs and does them; several may work on one store, each with a name of its own."""

    def __init__(self, store: Store, run: RunRequest, keys: JobKeys, *, name: str) -> None:
        """Start a worker.

        Args:
            run: runs a request elsewhere, as :meth:`isocenter.gateway.jobs.host.Host.run`.
            name: of this worker; jobs that it was doing are queued again at the next start.
        """
        self._store = store
        self._run = run
        self._keys = keys
        self._name = name
        self._unfinished: Row[Any] | None = None

    def work_once(self) -> bool:
        """Do one job as far as it goes; False where none is queued or the disk is full.

        Raises:
            StoreBusy: the database cannot be reached now; the next call goes on with the job.
        """
        job = self._unfinished or queue.take(self._store, self._name)
        if job is None:
            return False
        self._unfinished = job
        try:
            self._do_steps(job)
        except _Waiting:
            return False
        if not self._is_open(job.id):
            shutil.rmtree(self._folder(job), ignore_errors=True)
        self._unfinished = None
        return True

    def _do_steps(self, job: Row[Any]) -> None:
        with suppress(_Ended):
            try:
                self._step(job, INPUTS, self._link_inputs)
                made = self._step(job, RESULT, self._make)
                self._keep(job, made)
            except OSError as error:
                if (reason := reason_of(error)) == "disk_full":
                    raise _Waiting from None
                self._fail(job, reason, "the system refused to read or write a file")

    def _folder(self, job: Row[Any]) -> Path:
        return self._store.spool.work / str(job.id)

    def _is_open(self, job_id: str) -> bool:
        with self._store.database.reading() as connection:
            state = connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id))
        return state in queue.OPEN

    def _step(
        self, job: Row[Any], name: str, do: Callable[[Row[Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do a step, unless it was done before; gives what it gave."""
        done = queue.step_of(self._store, job.id, name)
        if done is not None:
            return done
        output = do(job)
        with self._store.database.writing() as connection:
            queue.record_step(connection, job.id, name, output)
        return output

    def _link_inputs(self, job: Row[Any]) -> dict[str, Any]:
        """A folder for each input, with links to its files; it appears whole."""
        final = self._folder(job) / "inputs"
        partial = self._folder(job) / "inputs.part"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(final, ignore_errors=True)
        number = 0
        for name, instances in job.request["inputs"].items():
            folder = partial / name
            folder.mkdir(parents=True)
            for _, _, path in instances:
                number += 1
                try:
                    _link(self._store.spool.file(path), folder / f"{number:06d}.dcm")
                except FileNotFoundError:
                    self._fail(job, "file_missing", "a file of the input is gone from the spool")
        os.rename(partial, final)
        return {"files": number}

    def _make(self, job: Row[Any]) -> dict[str, Any]:
        """Run the task in a process of its own; its folder appears whole or not at all."""
        request = request_in(self._folder(job), job.task, job.request)
        answer = self._run(request)
        for _ in range(_PATIENCE):  # what a killed gateway ran may take a moment to end
            if answer.get("outcome") != "again" or answer.get("reason") == "disk_full":
                break
            time.sleep(_PAUSE_S)
            answer = self._run(request)
        reason, message = str(answer.get("reason", "")), str(answer.get("message", ""))
        if answer.get("outcome") == "refused":
            with self._store.database.writing() as connection:
                queue.end(connection, job.id, "refused", reason=reason, message=message)
            raise _Ended
        if reason == "disk_full":
            raise _Waiting
        if answer.get("outcome") != "done":
            self._fail(job, reason, message)
        return answer

    def _fail(self, job: Row[Any], reason: str, message: str) -> None:
        with self._store.database.writing() as connection:
            queue.fail(connection, job, tries=self._keys.tries, reason=reason, message=message)
        raise _Ended

    def _keep(self, job: Row[Any], made: Mapping[str, Any]) -> None:
        """Bring the results into the spool; they, their deliveries and the end are one."""
        superseded = queue.series_made(self._store, job.supersedes)
        rows = [
            self._keep_file(job, self._folder(job) / "result" / name / file, superseded)
            for name, files in made["files"].items()
            for file in files
            if file.endswith(".dcm")
        ]
        with self._store.database.writing() as connection:
            current = connection.execute(select(jobs).where(jobs.c.id == job.id)).one()
            for row in rows:
                queue.enter_result(connection, current, row)
            queue.record_step(connection, job.id, KEPT, {"results": len(rows)})
            queue.end(connection, job.id, "done", reason="done")

    def _keep_file(self, job: Row[Any], file: Path, superseded: Sequence[str]) -> dict[str, Any]:
        with self._store.spool.part() as part:
            if superseded:
                from isocenter.dicom.writing.superseding import write_superseding

                write_superseding(file, part, study_uid=job.study_uid, superseded=tuple(superseded))
            else:
                shutil.copyfile(file, part)
            facts = instance_facts(part)
            path, _, num_bytes = self._store.spool.keep(part, made=True)
        return {
            "sop_uid": facts.sop_uid,
            "sop_class_uid": facts.sop_class_uid,
            "series_uid": facts.series_uid,
            "study_uid": facts.study_uid,
            "transfer_syntax": facts.transfer_syntax,
            "pixel_digest": facts.pixel_digest,
            "num_bytes": num_bytes,
            "path": path,
        }


def request_in(folder: Path, task: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a child is asked, of a job whose inputs lie in a folder."""
    return {
        "task": task,
        "inputs": {name: str(folder / "inputs" / name) for name in request["inputs"]},
        "output": str(folder / "result"),
        "settings": request["settings"],
        "model": request["model"],
        "device": request["device"],
        "largest_run": request["largest_run"],
    }


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
        flush(target)
