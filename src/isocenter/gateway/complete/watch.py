"""Look at the open studies again and again, and close those that are complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select, update

from isocenter.gateway.complete.evidence import Known, Told, Verdict, judge
from isocenter.gateway.configuration.configuration import CompletenessKeys
from isocenter.gateway.store.instances import sound_instances
from isocenter.gateway.store.schema import evidence, studies
from isocenter.gateway.store.store import Store, note

Count = Callable[[str], int | None]
"""How many instances of a study an archive has; None where it cannot say."""


@dataclass
class _Watched:
    """What this process saw of one study, by a clock that cannot jump."""

    num_instances: int
    since: float
    counts: list[int] = field(default_factory=list)
    next_count: float = 0.0


class Watch:
    """Decides which studies are complete.

    How long a study has been quiet is counted from when this process saw its number of instances
    change: a clock that is set does not matter, and after a start quiet begins anew.
    """

    def __init__(
        self,
        store: Store,
        keys: CompletenessKeys,
        *,
        count: Count | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to watch.

        Args:
            count: asks the archive; None asks nobody.
            clock: seconds that never go back.
        """
        self._store = store
        self._keys = keys
        self._count = count
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    def look(self) -> Sequence[tuple[str, Verdict]]:
        """Look at every open study once; gives the UID and verdict of each.

        Raises:
            StoreBusy: the database cannot be reached now.
        """
        with self._store.database.reading() as connection:
            rows = connection.execute(select(studies).where(studies.c.state == "open")).all()
            told = {row.study_uid: _told(connection, row.study_uid) for row in rows}
        for gone in set(self._watched) - {row.study_uid for row in rows}:
            del self._watched[gone]
        found = []
        for row in rows:
            verdict = judge(self._known(row, told[row.study_uid]), self._keys)
            if not verdict.is_complete or self._close(row, verdict):
                found.append((row.study_uid, verdict))
        return found

    def _known(self, row: Row[Any], told: Sequence[Told]) -> Known:
        now = self._clock()
        seen = self._watched.get(row.study_uid)
        if seen is None or seen.num_instances != row.num_instances:
            seen = _Watched(num_instances=row.num_instances, since=now)
            self._watched[row.study_uid] = seen
        quiet_s = now - seen.since
        if self._count is not None and quiet_s >= self._keys.quiet_s and now >= seen.next_count:
            seen.next_count = now + self._keys.archive_poll_s
            if (counted := self._count(row.study_uid)) is not None:
                seen.counts.append(counted)
        return Known(
            num_instances=row.num_instances,
            quiet_s=quiet_s,
            told=told,
            asks_archive=self._count is not None,
            archive_counts=seen.counts[-2:],
        )

    def _close(self, row: Row[Any], verdict: Verdict) -> bool:
        """Mark a study as complete, unless something new came since it was looked at."""
        with self._store.database.writing() as connection:
            done = connection.execute(
                update(studies)
                .where(studies.c.id == row.id, studies.c.state == "open")
                .where(studies.c.num_instances == row.num_instances)
                .values(
                    state="complete",
                    completed_at=time.time(),
                    completed_by=verdict.by,
                    reasons=[verdict.why],
                )
            )
            if done.rowcount:
                note(connection, "complete", {"study": row.id, "by": verdict.by})
            return bool(done.rowcount)


def _told(connection: Connection, study_uid: str) -> list[Told]:
    """Lists of instances of a study, against what is here."""
    rows = connection.execute(select(evidence).where(evidence.c.study_uid == study_uid)).all()
    if not rows:
        return []
    here = {row.sop_uid for row in sound_instances(connection, study_uid)}
    return [
        Told(
            kind=row.kind,
            num_listed=len(set(row.sop_uids)),
            num_missing=len(set(row.sop_uids) - here),
        )
        for row in rows
    ]
