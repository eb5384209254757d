"""Ask the rules about every study that is complete, and queue what they want, at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select, update

from isocenter.gateway.rules.decide import Decision, Rule, Wanted, decide
from isocenter.gateway.rules.study import series_of
from isocenter.gateway.store.instances import sound_instances
from isocenter.gateway.store.queueing import put
from isocenter.gateway.store.schema import studies
from isocenter.gateway.store.store import Store, note


def decide_complete(store: Store, rules: Sequence[Rule], *, device: str = "cpu") -> int:
    """Decide every study that is complete; gives how many jobs are new.

    Reasons, jobs and the state of the study are one transaction: a kill leaves all or none.

    Raises:
        StoreBusy: the database cannot be reached now.
    """
    with store.database.reading() as connection:
        waiting = connection.execute(select(studies).where(studies.c.state == "complete")).all()
    return sum(_decide(store, rules, study, device) for study in waiting)


def _decide(store: Store, rules: Sequence[Rule], study: Row[Any], device: str) -> int:
    with store.database.writing() as connection:
        rows = sound_instances(connection, study.study_uid)
        decisions = decide(rules, series_of(rows))
        done = connection.execute(
            update(studies)
            .where(studies.c.id == study.id, studies.c.state == "complete")
            .where(studies.c.generation == study.generation)
            .values(state="decided", reasons=[*study.reasons[:1], *in_words(decisions)])
        )
        if not done.rowcount:  # something new came meanwhile
            return 0
        new = 0
        for wanted in (each for decision in decisions for each in decision.wanted):
            keys = wanted.rule.keys
            _, is_new = put(
                connection,
                request_of(wanted, rows, device=device),
                study_uid=study.study_uid,
                generation=study.generation,
                rule=keys.name,
                destinations=keys.to,
                priority=keys.priority,
            )
            new += is_new
        note(connection, "decided", {"study": study.id, "jobs": new})
        return new


def request_of(wanted: Wanted, rows: Sequence[Any], *, device: str) -> dict[str, Any]:
    """What a job needs to know, of JSON's types."""
    keys = wanted.rule.keys
    return {
        "task": keys.task,
        "settings": dict(wanted.rule.settings),
        "model": keys.model,
        "device": device,
        "largest_run": keys.largest_run,
        "series": {name: series.series_uid for name, series in sorted(wanted.series.items())},
        "inputs": {
            name: [
                [row.sop_uid, row.pixel_digest, row.path]
                for row in rows
                if row.series_uid == series.series_uid
            ]
            for name, series in sorted(wanted.series.items())
        },
    }


def in_words(decisions: Sequence[Decision]) -> list[str]:
    """Every rule's answer, a line each."""
    lines = []
    for decision in decisions:
        lines.append(f"{decision.rule}: {'holds' if decision.wanted else 'does not hold'}")
        lines += [f"{decision.rule}: {reason}" for reason in decision.reasons]
    return lines
