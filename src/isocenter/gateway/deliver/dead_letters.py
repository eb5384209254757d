"""What did not arrive or could not be made: listed, mended and tried again by command."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from isocenter.core.errors import InputRefused
from isocenter.dicom.reading.instance_facts import instance_facts
from isocenter.gateway.store.schema import deliveries, jobs, results, steps
from isocenter.gateway.store.store import Store, note


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One thing that a person has to look at.

    Attributes:
        id: to name it by: ``d17`` for a delivery, ``j`` and the start of its key for a job.
        kind: what it is.
        what: the archive, or the rule.
        reason, message: why it ended.
        attempts: that were made.
        file: that could not be delivered, within the spool.
    """

    id: str
    kind: Literal["delivery", "job"]
    what: str
    reason: str
    message: str
    attempts: int
    file: str = ""


def dead_letters(store: Store) -> list[DeadLetter]:
    """All of them, deliveries first.

    Raises:
        StoreBusy: the database cannot be reached now.
    """
    with store.database.reading() as connection:
        query = (
            select(deliveries, results.c.path)
            .join_from(deliveries, results, deliveries.c.result_id == results.c.id)
            .where(deliveries.c.state == "dead")
            .order_by(deliveries.c.id)
        )
        found = [
            DeadLetter(
                id=f"d{row.id}",
                kind="delivery",
                what=row.archive,
                reason=row.reason,
                message=row.message,
                attempts=row.attempts,
                file=row.path,
            )
            for row in connection.execute(query)
        ]
        failed = select(jobs).where(jobs.c.state == "failed").order_by(jobs.c.at)
        found += [
            DeadLetter(
                id=f"j{row.id[:12]}",
                kind="job",
                what=row.rule,
                reason=row.reason,
                message=row.message,
                attempts=row.failures,
            )
            for row in connection.execute(failed)
        ]
    return found


def named(store: Store, names: Sequence[str]) -> list[DeadLetter]:
    """Those of these names; of ``all``, every one.

    Raises:
        InputRefused: there is none of a name.
    """
    found = {each.id: each for each in dead_letters(store)}
    if list(names) == ["all"]:
        return list(found.values())
    for name in names:
        if name not in found:
            raise InputRefused(
                "there is no dead letter of that name; `isocenter gateway dead-letters list` names "
                "them, or give all"
            )
    return [found[name] for name in names]


def send_again(store: Store, letters: Sequence[DeadLetter], *, archive: str = "") -> None:
    """Put letters back: deliveries are due at once, jobs are queued.

    Args:
        archive: where deliveries go instead; empty leaves it.
    """
    now = time.time()
    with store.database.writing() as connection:
        for letter in letters:
            if letter.kind == "job":
                key = connection.scalar(
                    select(jobs.c.id).where(jobs.c.id.like(letter.id[1:] + "%"))
                )
                connection.execute(delete(steps).where(steps.c.job_id == key))
                values = {"state": "queued", "failures": 0, "reason": "", "message": ""}
                connection.execute(update(jobs).where(jobs.c.id == key).values(**values))
            else:
                again = {"state": "due", "next_at": now, "since": now, "attempts": 1}
                again |= {"reason": "", "message": ""} | ({"archive": archive} if archive else {})
                _redirect(connection, int(letter.id[1:]), again)
            note(connection, "sent_again", {"letter": letter.id})


def _redirect(connection: Connection, number: int, values: dict[str, object]) -> None:
    """Make a delivery due again; for another archive a new one takes its place."""
    row = connection.execute(select(deliveries).where(deliveries.c.id == number)).one()
    other = values.get("archive")
    if other is not None and other != row.archive:
        there = connection.scalar(
            select(deliveries.c.id).where(
                deliveries.c.result_id == row.result_id, deliveries.c.archive == other
            )
        )
        dropped = {"state": "dropped", "reason": "redirected"}
        connection.execute(update(deliveries).where(deliveries.c.id == number).values(**dropped))
        if there is None:
            fresh = {"result_id": row.result_id} | values | {"attempts": 0}
            connection.execute(insert(deliveries).values(**fresh))
        return
    connection.execute(update(deliveries).where(deliveries.c.id == number).values(**values))


def drop(store: Store, letters: Sequence[DeadLetter]) -> None:
    """Give letters up; their files and rows stay, and they are listed no more."""
    with store.database.writing() as connection:
        for letter in letters:
            if letter.kind == "job":
                key = connection.scalar(
                    select(jobs.c.id).where(jobs.c.id.like(letter.id[1:] + "%"))
                )
                connection.execute(update(jobs).where(jobs.c.id == key).values(state="dropped"))
            else:
                number = int(letter.id[1:])
                connection.execute(
                    update(deliveries).where(deliveries.c.id == number).values(state="dropped")
                )
            note(connection, "dropped", {"letter": letter.id})


def mend(store: Store, letter: DeadLetter, file: Path) -> None:
    """Send another file in the place of one that an archive does not take.

    Raises:
        InputRefused: it is no delivery, or the file has another UID or other pixels: then it is
            another object, which must not have this one's UID.
        UnreadableInput: the file.
    """
    if letter.kind != "delivery":
        raise InputRefused("only a delivery has a file to mend; send a job again instead")
    facts = instance_facts(file)
    with store.database.reading() as connection:
        row = connection.execute(
            select(results)
            .join(deliveries, deliveries.c.result_id == results.c.id)
            .where(deliveries.c.id == int(letter.id[1:]))
        ).one()
    known = (row.sop_uid, row.series_uid, row.study_uid, row.pixel_digest)
    given = (facts.sop_uid, facts.series_uid, facts.study_uid, facts.pixel_digest)
    if known != given:
        raise InputRefused(
            "the file has other UIDs or other pixels than what was made, so it is another object; "
            "change only the rest of its header"
        )
    with store.spool.part() as part:
        shutil.copyfile(file, part)
        path, _, num_bytes = store.spool.keep(part, made=True)
    with store.database.writing() as connection:
        connection.execute(
            update(results).where(results.c.id == row.id).values(path=path, num_bytes=num_bytes)
        )
    send_again(store, [letter])
