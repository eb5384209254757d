"""What is put right at every start, however the last process ended."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from sqlalchemy import select, update

from isocenter.core.errors import UnreadableInput
from isocenter.dicom.reading.instance_facts import instance_facts
from isocenter.gateway.store.instances import keep_instance
from isocenter.gateway.store.schema import instances, jobs, results
from isocenter.gateway.store.store import Store, note

RECOVERED = "recovered at start"


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What a start found.

    Attributes:
        parts: half-written files that were removed; nobody was told that they are safe.
        adopted: files without a row that have one now.
        unreadable: files without a row that cannot be read; they are left where they are.
        missing: rows whose file is gone.
        requeued: jobs that were running.
        work_folders: of jobs that have ended.
    """

    parts: int = 0
    adopted: int = 0
    unreadable: int = 0
    missing: int = 0
    requeued: int = 0
    work_folders: int = 0


def recover(store: Store, *, worker: str) -> Recovered:
    """Bring files and rows together, and queue again what this worker was doing.

    No file is removed that came from others.

    Raises:
        StoreBusy: the database cannot be reached.
    """
    parts = store.spool.clear_parts()
    with store.database.reading() as connection:
        rows = connection.execute(
            select(instances.c.id, instances.c.path).where(~instances.c.is_missing)
        ).all()
        made = set(connection.scalars(select(results.c.path)).all())
    on_disk = set(store.spool.kept())
    missing = [row.id for row in rows if row.path not in on_disk]
    adopted, unreadable = _adopt(store, sorted(on_disk - {row.path for row in rows}))
    for path in set(store.spool.kept(made=True)) - made:
        store.spool.remove(path)  # its job has not ended, and makes it again
    found = Recovered(
        parts=parts,
        adopted=adopted,
        unreadable=unreadable,
        missing=len(missing),
        requeued=_requeue(store, worker),
        work_folders=_clear_work(store),
    )
    with store.database.writing() as connection:
        for number in missing:
            connection.execute(
                update(instances).where(instances.c.id == number).values(is_missing=True)
            )
            note(connection, "file_missing", {"instance": number})
        note(connection, "started", vars(found))
    return found


def _adopt(store: Store, paths: list[str]) -> tuple[int, int]:
    """Give files without a row one, as far as they can be read."""
    adopted = unreadable = 0
    for path in paths:
        file = store.spool.file(path)
        try:
            facts = instance_facts(file)
        except UnreadableInput:
            unreadable += 1
            continue
        keep_instance(store, file, facts, source=RECOVERED)
        adopted += 1
    return adopted, unreadable


def _requeue(store: Store, worker: str) -> int:
    with store.database.writing() as connection:
        done = connection.execute(
            update(jobs)
            .where(jobs.c.state == "running", jobs.c.worker == worker)
            .values(state="queued", worker="")
        )
        return int(done.rowcount)


def _clear_work(store: Store) -> int:
    """Remove the work folders of jobs that have ended; those of others are gone on with."""
    with store.database.reading() as connection:
        going_on = set(
            connection.scalars(select(jobs.c.id).where(jobs.c.state.in_(("queued", "running"))))
        )
    ended = [each for each in store.spool.work.iterdir() if each.name not in going_on]
    for each in ended:
        shutil.rmtree(each, ignore_errors=True)
    return len(ended)
