"""Jobs as rows: put in once, taken by one worker, ended once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from isocenter.core.version import __version__
from isocenter.gateway.store.schema import deliveries, jobs, results, steps
from isocenter.gateway.store.store import Store, note

OPEN = ("queued", "running")
ENDED = ("done", "refused", "failed", "superseded")


def key_of(request: Mapping[str, Any]) -> str:
    """What a job is: a digest of its task, model, settings and of each input instance."""
    model = str(request["model"])
    decisive = {
        "product_version": __version__,
        "task": request["task"],
        "settings": request["settings"],
        "model": [model, _model_digest(model)],
        "device": request["device"],
        "largest_run": request["largest_run"],
        "inputs": {
            name: sorted([uid, digest] for uid, digest, _ in instances)
            for name, instances in request["inputs"].items()
        },
    }
    text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _model_digest(model: str) -> str:
    """Of the checksums of a named model folder; the shipped one goes with the product."""
    if not model:
        return ""
    try:
        return hashlib.sha256((Path(model) / "SHA256SUMS").read_bytes()).hexdigest()
    except OSError:
        return ""


def put(
    connection: Connection,
    request: Mapping[str, Any],
    *,
    study_uid: str,
    generation: int,
    rule: str,
    destinations: Sequence[str],
    priority: int,
) -> tuple[str, bool]:
    """Queue a job, unless the very same was queued before; gives its key and whether it is new.

    Args:
        request: ``task``, ``settings``, ``model``, ``device``, ``largest_run``, and ``inputs``: for
            each name, (SOP Instance UID, pixel digest, path in the spool) of every instance.
    """
    key = key_of(request)
    present = connection.execute(select(jobs).where(jobs.c.id == key)).one_or_none()
    if present is not None:
        _send_also_to(connection, present, destinations)
        return key, False
    connection.execute(
        insert(jobs).values(
            id=key,
            study_uid=study_uid,
            generation=generation,
            rule=rule,
            task=request["task"],
            request=dict(request),
            destinations=list(destinations),
            priority=priority,
            state="queued",
            failures=0,
            worker="",
            reason="",
            message="",
            supersedes=_supersede(connection, request, study_uid, rule),
            at=time.time(),
        )
    )
    note(connection, "queued", {"job": key[:12], "rule": rule})
    return key, True


def _send_also_to(connection: Connection, job: Row[Any], destinations: Sequence[str]) -> None:
    """Let the results of a job that there is go to further archives."""
    new = [each for each in destinations if each not in job.destinations]
    if not new:
        return
    connection.execute(
        update(jobs).where(jobs.c.id == job.id).values(destinations=[*job.destinations, *new])
    )
    made = connection.scalars(select(results.c.id).where(results.c.job_id == job.id)).all()
    for number in made:
        _deliver(connection, number, new)


def _supersede(
    connection: Connection, request: Mapping[str, Any], study_uid: str, rule: str
) -> str:
    """The job whose result is out of date now: of the same rule, from the same series.

    One that has not begun is not begun any more.
    """
    query = (
        select(jobs).where(jobs.c.study_uid == study_uid, jobs.c.rule == rule).order_by(jobs.c.at)
    )
    earlier = [
        job
        for job in connection.execute(query)
        if job.request["series"] == request["series"] and job.state != "superseded"
    ]
    waiting = [job.id for job in earlier if job.state == "queued"]
    if waiting:
        connection.execute(
            update(jobs)
            .where(jobs.c.id.in_(waiting))
            .values(state="superseded", ended_at=time.time())
        )
    begun = [job.id for job in earlier if job.state in ("running", "done")]
    return begun[-1] if begun else ""


def take(store: Store, worker: str) -> Row[Any] | None:
    """The next job, now of this worker; None where there is none.

    Raises:
        StoreBusy: the database cannot be reached now.
    """
    with store.database.writing() as connection:
        job = connection.execute(
            select(jobs)
            .where(jobs.c.state == "queued")
            .order_by(jobs.c.priority.desc(), jobs.c.at, jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if job is not None:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job.id)
                .values(state="running", worker=worker, started_at=time.time())
            )
        return job


def end(
    connection: Connection, job_id: str, state: str, *, reason: str = "", message: str = ""
) -> None:
    """Write down how a job ended."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(state=state, reason=reason, message=message, ended_at=time.time(), worker="")
    )
    note(connection, state, {"job": job_id[:12], "reason": reason})


def fail(connection: Connection, job: Row[Any], *, tries: int, reason: str, message: str) -> None:
    """Count a failure: the job is tried again, or is listed as failed."""
    failures = job.failures + 1
    if failures >= tries:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(failures=failures))
        end(connection, job.id, "failed", reason=reason, message=message)
        return
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(state="queued", worker="", failures=failures, reason=reason, message=message)
    )
    note(connection, "tried_again", {"job": job.id[:12], "reason": reason})


def step_of(store: Store, job_id: str, name: str) -> dict[str, Any] | None:
    """What a step gave, None where it is not done."""
    with store.database.reading() as connection:
        return connection.scalar(
            select(steps.c.output).where(steps.c.job_id == job_id, steps.c.name == name)
        )


def record_step(connection: Connection, job_id: str, name: str, output: Mapping[str, Any]) -> None:
    """Write down that a step is done; a second time is an error of ours."""
    connection.execute(
        insert(steps).values(job_id=job_id, name=name, at=time.time(), output=dict(output))
    )


def _deliver(connection: Connection, result_id: int, archives: Sequence[str]) -> None:
    now = time.time()
    for archive in archives:
        connection.execute(
            insert(deliveries).values(
                result_id=result_id,
                archive=archive,
                state="due",
                attempts=0,
                next_at=now,
                since=now,
                reason="",
                message="",
            )
        )


def enter_result(connection: Connection, job: Row[Any], values: Mapping[str, Any]) -> None:
    """Write the row of one result, and one for each archive that it goes to.

    Raises:
        ValueError: the UID is that of a result with other pixels.
    """
    present = connection.execute(
        select(results).where(results.c.sop_uid == values["sop_uid"])
    ).one_or_none()
    if present is not None:
        if present.pixel_digest != values["pixel_digest"]:
            raise ValueError("one UID for two results")
        known = select(deliveries.c.archive).where(deliveries.c.result_id == present.id)
        there = set(connection.scalars(known).all())
        _deliver(connection, present.id, [each for each in job.destinations if each not in there])
        return
    number = connection.execute(
        insert(results).values(job_id=job.id, **values).returning(results.c.id)
    ).scalar_one()
    _deliver(connection, number, job.destinations)


def series_made(store: Store, job_id: str) -> tuple[str, ...]:
    """UIDs of the series that a job made."""
    if not job_id:
        return ()
    with store.database.reading() as connection:
        query = select(results.c.series_uid).where(results.c.job_id == job_id).distinct()
        return tuple(sorted(connection.scalars(query).all()))
