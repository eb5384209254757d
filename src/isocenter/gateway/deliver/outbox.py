"""Rows that are due, sent to one archive, until each has arrived or is dead."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Row, select, update

from isocenter.dicom.network.commitment import Commitments
from isocenter.gateway.configuration.configuration import MEBIBYTE, Archive, RetryKeys
from isocenter.gateway.deliver.answers import Answer
from isocenter.gateway.deliver.archive_dimse import DimseArchive
from isocenter.gateway.deliver.archive_web import Seen, Sendable, WebArchive
from isocenter.gateway.store.schema import deliveries, jobs, results
from isocenter.gateway.store.store import Store, note

_HOUR_S = 3600.0


class Sender(Protocol):
    """Sends results and says what was answered of each."""

    def send(self, results: Sequence[Sendable], /) -> Mapping[str, Answer]:
        """Send; nothing is raised."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Due:
    row: Row[Any]
    result: Sendable


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What becomes of one delivery: "delivered", "due" (again) or "dead"; and why, in a word."""

    state: str
    code: str = ""
    message: str = ""


class Outbox:
    """Delivers to one archive; for one thread."""

    def __init__(
        self,
        store: Store,
        archive: Archive,
        retry: RetryKeys,
        *,
        commitments: Commitments | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare to deliver.

        Args:
            commitments: hears reports on storage commitment; None takes one of its own.
            clock: seconds since 1970; it may jump.
            rng: jitter of pauses; None takes one of its own.

        Raises:
            SettingRefused: a secret of the archive is not set.
        """
        self._store = store
        self._archive = archive
        self._retry = retry
        self._clock = clock
        self._rng = rng or random.Random()
        self._web = WebArchive(archive) if archive.url else None
        self._dimse = DimseArchive(archive, commitments or Commitments())
        self._sender: Sender = self._dimse
        if archive.send == "stow" and self._web is not None:
            self._sender = self._web

    def close(self) -> None:
        """Let go of connections."""
        if self._web is not None:
            self._web.close()

    def deliver_some(self) -> bool:
        """Deliver what is due, as much as one request takes; False where nothing is.

        Raises:
            StoreBusy: the database cannot be reached now; nothing is lost, all is due again.
        """
        due = self._take()
        if not due:
            return False
        outcomes: dict[int, _Outcome] = {}
        unsent = []
        # What an earlier attempt may have brought there is not sent again.
        before = self._look([each for each in due if each.row.attempts])
        for each in due:
            seen = before.get(each.result.sop_uid, "unknown")
            if seen in ("same", "other"):
                outcomes[each.row.id] = self._outcome(each, Answer(kind="unknown"), seen)
            else:
                unsent.append(each)
        if unsent:
            answers = self._sender.send([each.result for each in unsent])
            after = self._look(unsent)
            for each in unsent:
                uid = each.result.sop_uid
                outcomes[each.row.id] = self._outcome(each, answers[uid], after[uid])
        self._write(due, outcomes)
        return True

    def _take(self) -> list[_Due]:
        """The next rows, their attempt counted before it is made."""
        now = self._clock()
        with self._store.database.writing() as connection:
            rows = connection.execute(
                select(deliveries, results, jobs.c.priority)
                .join_from(deliveries, results, deliveries.c.result_id == results.c.id)
                .join(jobs, results.c.job_id == jobs.c.id)
                .where(deliveries.c.archive == self._archive.name, deliveries.c.state == "due")
                # A pause longer than any was made by a clock that has been set back.
                .where(
                    (deliveries.c.next_at <= now)
                    | (deliveries.c.next_at > now + 2 * self._retry.longest_s)
                )
                .order_by(jobs.c.priority.desc(), deliveries.c.attempts, deliveries.c.id)
                .limit(self._archive.most_instances)
            ).all()
            rows = self._one_request(rows)
            taken = [row.id for row in rows]
            if taken:
                connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id.in_(taken))
                    .values(attempts=deliveries.c.attempts + 1)
                )
        return [_Due(row=row, result=self._sendable(row)) for row in rows]

    def _one_request(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """As many as a request takes; what failed before goes alone, to spare its neighbors."""
        if rows and rows[0].attempts:
            return [rows[0]]
        left = self._archive.largest_request_mib * MEBIBYTE
        chosen: list[Row[Any]] = []
        for row in rows:
            left -= row.num_bytes
            if row.attempts or (chosen and left < 0):
                break
            chosen.append(row)
        return chosen

    def _sendable(self, row: Row[Any]) -> Sendable:
        return Sendable(
            file=self._store.spool.file(row.path),
            sop_class_uid=row.sop_class_uid,
            sop_uid=row.sop_uid,
            series_uid=row.series_uid,
            study_uid=row.study_uid,
            transfer_syntax=row.transfer_syntax,
            pixel_digest=row.pixel_digest,
            num_bytes=row.num_bytes,
        )

    def _look(self, due: Sequence[_Due]) -> dict[str, Seen]:
        """What the archive has, by UID, as far as it is asked and tells."""
        if due and self._archive.verify == "commitment":
            return self._dimse.committed([each.result for each in due])
        seen: dict[str, Seen] = {each.result.sop_uid: "unknown" for each in due}
        if self._archive.verify == "read_back" and self._web is not None:
            for each in due:
                with self._store.spool.part() as part:
                    seen[each.result.sop_uid] = self._web.look(each.result, part)
        return seen

    def _outcome(self, due: _Due, answer: Answer, seen: Seen) -> _Outcome:
        """What the archive has decides, where it tells; what it answered only explains."""
        if seen == "same":
            return _Outcome(state="delivered", message=answer.message)
        if seen == "other":
            return _Outcome(
                state="dead",
                code="other_pixels",
                message="the archive has other pixels under this UID and keeps them",
            )
        if self._archive.verify == "none" and answer.kind in ("accepted", "unknown"):
            return _Outcome(state="delivered", message=answer.message)
        if answer.kind == "permanent":
            return _Outcome(state="dead", code="refused", message=answer.message)
        message = answer.message
        if answer.kind == "accepted":
            message = "the archive said that it stored it, but when asked "
            message += "it has nothing" if seen == "absent" else "it did not tell"
        if self._clock() - due.row.since > self._retry.give_up_hours * _HOUR_S:
            return _Outcome(state="dead", code="gave_up", message=message)
        return _Outcome(state="due", code="tried_again", message=message)

    def _write(self, due: Sequence[_Due], outcomes: Mapping[int, _Outcome]) -> None:
        now = self._clock()
        with self._store.database.writing() as connection:
            for each in due:
                outcome = outcomes[each.row.id]
                connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id == each.row.id)
                    .values(
                        state=outcome.state,
                        reason=outcome.code,
                        message=outcome.message,
                        delivered_at=now if outcome.state == "delivered" else None,
                        next_at=now + pause_s(each.row.attempts + 1, self._retry, self._rng),
                    )
                )
                if outcome.state != "due":
                    detail = {"delivery": each.row.id, "reason": outcome.code}
                    note(connection, outcome.state, detail)


def pause_s(attempts: int, retry: RetryKeys, rng: random.Random) -> float:
    """How long to wait after so many attempts: doubling, capped, and jittered by a half."""
    longest = min(retry.longest_s, retry.first_s * 2.0 ** min(attempts - 1, 60))
    return longest * rng.uniform(0.5, 1.0)
