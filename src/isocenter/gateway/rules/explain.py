"""What the rules say of a study, and what the tasks would, without making anything."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from isocenter.core.errors import InputRefused
from isocenter.gateway.rules.decide import Decision, Rule, Wanted, decide
from isocenter.gateway.rules.deciding import request_of
from isocenter.gateway.rules.description import Series
from isocenter.gateway.rules.study import facts_below, series_of
from isocenter.gateway.store.instances import sound_instances
from isocenter.gateway.store.schema import jobs, studies
from isocenter.gateway.store.store import Store

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class TaskSays:
    """What a task answered when it was asked for a rule that holds.

    Attributes:
        rule: its name.
        series: numbers of the series that it would read.
        accepts: whether it would work on them.
        reason, message: why not.
    """

    rule: str
    series: tuple[int, ...]
    accepts: bool
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Everything about one study.

    Attributes:
        series: what it holds.
        state: of a study in the store, in words; of a folder, that it is one.
        decisions: one a rule.
        says: what tasks answered, where they were asked.
        jobs: (rule, state, reason) of what was queued.
    """

    series: tuple[Series, ...]
    state: str
    decisions: tuple[Decision, ...]
    says: tuple[TaskSays, ...] = ()
    jobs: tuple[tuple[str, str, str], ...] = ()


def explain_folder(
    folder: Path, rules: Sequence[Rule], *, device: str, ask: Ask | None = None
) -> Explanation:
    """Explain a study that lies in a folder; nothing of it enters the store.

    Raises:
        InputRefused: there is nothing to read, or more than one study.
    """
    found = facts_below(folder)
    if not found:
        raise InputRefused("the folder holds no DICOM file that can be read; name that of a study")
    if len({facts.study_uid for facts in found.values()}) > 1:
        raise InputRefused("the folder holds several studies; name the folder of one")
    rows = [
        SimpleNamespace(
            sop_uid=facts.sop_uid,
            pixel_digest=facts.pixel_digest,
            series_uid=facts.series_uid,
            described=facts.described,
            path=path.absolute(),
        )
        for path, facts in found.items()
    ]
    return _explained(rows, rules, "a folder", device=device, ask=ask)


def explain_stored(
    store: Store, study: str, rules: Sequence[Rule], *, device: str, ask: Ask | None = None
) -> Explanation:
    """Explain a study of the store.

    Args:
        study: its number, as the status lists it, or its Study Instance UID.

    Raises:
        InputRefused: there is none of that name.
    """
    by_number = study.isdecimal() and len(study) < 10
    condition = studies.c.id == int(study) if by_number else studies.c.study_uid == study
    with store.database.reading() as connection:
        row = connection.execute(select(studies).where(condition)).one_or_none()
        if row is None:
            raise InputRefused(
                "the store has no such study; `isocenter gateway status` numbers them, or name a "
                "folder"
            )
        rows = [
            SimpleNamespace(
                sop_uid=each.sop_uid,
                pixel_digest=each.pixel_digest,
                series_uid=each.series_uid,
                described=each.described,
                path=store.spool.file(each.path),
            )
            for each in sound_instances(connection, row.study_uid)
        ]
        queued = connection.execute(
            select(jobs).where(jobs.c.study_uid == row.study_uid).order_by(jobs.c.at)
        ).all()
    state = {"open": "open: more may come", "complete": "complete", "decided": "decided"}[row.state]
    if row.completed_by:
        state += f"; complete by {row.completed_by}: {row.reasons[0]}"
    return _explained(
        rows,
        rules,
        state,
        device=device,
        ask=ask,
        queued=tuple((job.rule, job.state, job.message or job.reason) for job in queued),
    )


def _explained(
    rows: Sequence[Any],
    rules: Sequence[Rule],
    state: str,
    *,
    device: str,
    ask: Ask | None,
    queued: tuple[tuple[str, str, str], ...] = (),
) -> Explanation:
    series = series_of(rows)
    decisions = decide(rules, series)
    wanted = [each for decision in decisions for each in decision.wanted]
    says = [_asked(each, rows, device, ask) for each in wanted] if ask else []
    return Explanation(
        series=tuple(series),
        state=state,
        decisions=tuple(decisions),
        says=tuple(says),
        jobs=queued,
    )


def _asked(wanted: Wanted, rows: Sequence[Any], device: str, ask: Ask) -> TaskSays:
    """Ask the task of a rule, with links to the files in a folder of their own."""
    request = request_of(wanted, rows, device=device)
    with tempfile.TemporaryDirectory() as folder:
        inputs = {}
        for name, instances in request["inputs"].items():
            place = Path(folder) / name
            place.mkdir()
            inputs[name] = str(place)
            for number, (_, _, path) in enumerate(instances):
                (place / f"{number:06d}.dcm").symlink_to(path)
        asked = {
            key: request[key] for key in ("task", "settings", "model", "device", "largest_run")
        }
        answer = ask(asked | {"inputs": inputs})
    return TaskSays(
        rule=wanted.rule.keys.name,
        series=tuple(each.number for each in wanted.series.values()),
        accepts=answer.get("outcome") == "done",
        reason=str(answer.get("reason", "")),
        message=str(answer.get("message", "")),
    )
