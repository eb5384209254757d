"""What a gateway is doing, out of its store; it need not run for that."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, func, select

from isocenter.gateway.deliver.dead_letters import dead_letters
from isocenter.gateway.store.instances import counts
from isocenter.gateway.store.schema import deliveries, jobs, studies
from isocenter.gateway.store.store import Store


@dataclass(frozen=True, kw_only=True)
class StudyLine:
    """One study; it is named by its number alone."""

    number: int
    state: str
    num_instances: int
    generation: int
    last_at: float
    jobs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What there is and what is due.

    Attributes:
        instances: how many, by what became of them.
        studies, jobs, deliveries: how many, by state.
        dead_letters: how many a person has to look at.
        free_bytes: of the disk of the spool.
        latest: studies, the last first.
    """

    instances: Mapping[str, int]
    studies: Mapping[str, int]
    jobs: Mapping[str, int]
    deliveries: Mapping[str, int]
    dead_letters: int
    free_bytes: int
    latest: tuple[StudyLine, ...]


def status_of(store: Store, *, most: int = 20) -> Status:
    """Look at a store.

    Args:
        most: studies that are listed.

    Raises:
        StoreBusy: the database cannot be reached now.
    """
    with store.database.reading() as connection:

        def by_state(column: Column[Any]) -> dict[str, int]:
            query = select(column, func.count()).group_by(column).order_by(column)
            return {str(state): int(number) for state, number in connection.execute(query)}

        rows = connection.execute(
            select(studies).order_by(studies.c.last_at.desc(), studies.c.id.desc()).limit(most)
        ).all()
        latest = tuple(
            StudyLine(
                number=row.id,
                state=row.state,
                num_instances=row.num_instances,
                generation=row.generation,
                last_at=row.last_at,
                jobs=tuple(
                    f"{job.rule}: {job.state}"
                    for job in connection.execute(
                        select(jobs).where(jobs.c.study_uid == row.study_uid).order_by(jobs.c.at)
                    )
                ),
            )
            for row in rows
        )
        found = Status(
            instances=counts(connection),
            studies=by_state(studies.c.state),
            jobs=by_state(jobs.c.state),
            deliveries=by_state(deliveries.c.state),
            dead_letters=0,
            free_bytes=shutil.disk_usage(store.spool.folder).free,
            latest=latest,
        )
    return Status(**{**vars(found), "dead_letters": len(dead_letters(store))})
