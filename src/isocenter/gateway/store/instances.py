"""Instances as they come: kept once, kept apart where a UID has two contents, never replaced."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from isocenter.dicom.reading.instance_facts import InstanceFacts
from isocenter.gateway.store.schema import instances, results, studies
from isocenter.gateway.store.store import Store, note

Kept = Literal["new", "duplicate", "conflict", "restored"]
_ROUNDS = 5


class Stored(NamedTuple):
    """A file in the spool: its path there, SHA-256 and bytes."""

    path: str
    sha256: str
    num_bytes: int


def keep_instance(store: Store, part: Path, facts: InstanceFacts, *, source: str) -> Kept:
    """Make an instance safe: when this returns, a power cut does not lose it.

    Args:
        part: a whole file in the spool's ``incoming``; it is moved.
        facts: what it says of itself.
        source: who sent it, for people.

    Returns:
        "conflict" where its UID is that of an instance with other pixels: both are kept.

    Raises:
        StoreBusy: the database is locked; nothing was acknowledged.
        OSError: the disk.
    """
    file = Stored(*store.spool.keep(part))
    for _ in range(_ROUNDS):
        try:
            with store.database.writing() as connection:
                kept, unneeded = _enter(connection, file, facts, source)
        except IntegrityError:  # the same instance came by another way at the same time
            continue
        if unneeded:
            store.spool.remove(file.path)
        return kept
    raise AssertionError("an instance was there and not there, again and again")


def _enter(
    connection: Connection, file: Stored, facts: InstanceFacts, source: str
) -> tuple[Kept, bool]:
    """Write the row of an instance; says too whether its file is not needed."""
    rows = connection.execute(select(instances).where(instances.c.sop_uid == facts.sop_uid)).all()
    same = next((row for row in rows if row.pixel_digest == facts.pixel_digest), None)
    if same is not None:
        return _enter_again(connection, same, file)
    number = _insert(connection, file, facts, source, is_conflict=bool(rows))
    if rows:
        note(connection, "uid_conflict", {"instance": number, "first": rows[0].id})
        return "conflict", False
    if not _is_ours(connection, facts):
        _touch_study(connection, facts.study_uid)
    return "new", False


def _enter_again(connection: Connection, row: Row[Any], file: Stored) -> tuple[Kept, bool]:
    if row.is_missing:
        connection.execute(
            update(instances)
            .where(instances.c.id == row.id)
            .values(path=file.path, file_digest=file.sha256, is_missing=False)
        )
        note(connection, "restored", {"instance": row.id})
        return "restored", False
    header_differs = row.file_digest != file.sha256
    note(connection, "duplicate", {"instance": row.id, "header_differs": header_differs})
    return "duplicate", row.path != file.path and not _is_named(connection, file.path)


def _is_named(connection: Connection, path: str) -> bool:
    """Whether a row needs the file of this path."""
    found = connection.scalar(select(instances.c.id).where(instances.c.path == path).limit(1))
    return found is not None


def _insert(
    connection: Connection, file: Stored, facts: InstanceFacts, source: str, *, is_conflict: bool
) -> int:
    query = (
        insert(instances)
        .values(
            sop_uid=facts.sop_uid,
            sop_class_uid=facts.sop_class_uid,
            series_uid=facts.series_uid,
            study_uid=facts.study_uid,
            transfer_syntax=facts.transfer_syntax,
            pixel_digest=facts.pixel_digest,
            file_digest=file.sha256,
            num_bytes=file.num_bytes,
            path=file.path,
            described=dict(facts.described),
            source=source[:160],
            at=time.time(),
            is_conflict=is_conflict,
            is_ours=_is_ours(connection, facts),
            is_missing=False,
        )
        .returning(instances.c.id)
    )
    return int(connection.execute(query).scalar_one())


def _is_ours(connection: Connection, facts: InstanceFacts) -> bool:
    """Whether it is a result that comes back, from which nothing must be made."""
    found = connection.scalar(select(results.c.id).where(results.c.sop_uid == facts.sop_uid))
    return found is not None


def _touch_study(connection: Connection, study_uid: str) -> None:
    """Count an instance that is new; a study that was complete opens again."""
    now = time.time()
    row = connection.execute(select(studies).where(studies.c.study_uid == study_uid)).one_or_none()
    if row is None:
        connection.execute(
            insert(studies).values(
                study_uid=study_uid,
                state="open",
                generation=1,
                num_instances=1,
                first_at=now,
                last_at=now,
                completed_by="",
                reasons=[],
            )
        )
        return
    values: dict[str, Any] = {"num_instances": studies.c.num_instances + 1, "last_at": now}
    if row.state != "open":
        values |= {"state": "open", "generation": row.generation + 1}
        note(connection, "opened_again", {"study": row.id, "generation": row.generation + 1})
    connection.execute(update(studies).where(studies.c.id == row.id).values(**values))


def sound_instances(connection: Connection, study_uid: str) -> list[Row[Any]]:
    """What a study holds to work on: no conflicts, nothing of ours, nothing whose file is gone."""
    query = (
        select(instances)
        .where(instances.c.study_uid == study_uid)
        .where(~instances.c.is_conflict, ~instances.c.is_ours, ~instances.c.is_missing)
        .order_by(instances.c.series_uid, instances.c.sop_uid)
    )
    return list(connection.execute(query).all())


def counts(connection: Connection) -> Mapping[str, int]:
    """How many instances there are, by what became of them."""
    query = select(
        func.count().label("all"),
        func.count().filter(instances.c.is_conflict).label("conflicts"),
        func.count().filter(instances.c.is_ours).label("ours"),
        func.count().filter(instances.c.is_missing).label("missing"),
    ).select_from(instances)
    return {name: int(number) for name, number in connection.execute(query).one()._mapping.items()}
