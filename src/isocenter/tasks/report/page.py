"""One page that shows what a run did: pictures, numbers, settings and limits.

The page stands alone and names no patient: it is made from pixels, geometry and the record only.
Its policy lets nothing be loaded and no script run but the viewer's, which its digest names. What
it says of a task's own matter comes from the task's observer.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from isocenter.core.files import write_text
from isocenter.core.record import RunRecord
from isocenter.tasks.report import viewer, words
from isocenter.tasks.report.content import Check, Page, Viewer
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Task

TEMPLATE = "report.html.j2"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the page is made from.

    Attributes:
        task: what was done.
        record: settings, versions and digests.
        card: what the model's maker says of it; empty for a task without a model.
        suitability: what the rules found.
        page: what the task says of the result.
        notes: what was left out while reading and what was guessed, in words.
    """

    task: Task[Any, Any]
    record: RunRecord
    card: Mapping[str, Any]
    suitability: Suitability
    page: Page
    notes: tuple[str, ...] = ()


def write_report(report: Report, path: Path) -> None:
    """Render the page into a file."""
    write_text(path, render(report))


def render(report: Report) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        words=words.in_words,
        kind=_kind_of,
        title=words.title,
        json=json.dumps,
        viewer_settings=viewer.settings_text,
    )
    template = (
        resources.files("isocenter.tasks.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )
    checks = checks_of(report)
    script = viewer.script() if _has_viewer(report.page) else ""
    return environment.from_string(template).render(
        report=report,
        page=report.page,
        record=report.record,
        card={
            name: part
            for name, part in report.card.items()
            if name not in ("name", "version", *report.page.shown_of_card)
        },
        checks=checks,
        conclusion=conclusion(checks),
        maker=maker_of(report),
        setting_notes=report.page.setting_notes or {},
        command=command_of(report.task, report.record),
        script=script,
        script_source=_source_of(script),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _has_viewer(page: Page) -> bool:
    return any(isinstance(part, Viewer) for section in page.sections for part in section.parts)


def _source_of(script: str) -> str:
    """The one script that a Content Security Policy lets run."""
    if not script:
        return "'none'"
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def checks_of(report: Report) -> tuple[Check, ...]:
    """What was checked on this one result; first, whether the task was made for the scan."""
    own = report.page.checks
    return (_check_rules(report), *own) if report.suitability.findings else own


def _check_rules(report: Report) -> Check:
    broken = report.suitability.broken
    names = ", ".join(finding.label.lower() for finding in broken)
    return Check(
        question=f"Is the scan one that the {maker_of(report)} was made for?",
        answer=f"No: {names}. The run was forced."
        if broken
        else f"Yes, by every rule of section {len(report.page.sections) + 1}.",
        passed=not broken,
    )


def maker_of(report: Report) -> str:
    """Whose limits the rules are: the model's, or those of a task without one."""
    return "model" if report.card else "task"


def conclusion(checks: Sequence[Check]) -> str:
    """How many checks need a look, in words."""
    doubtful = sum(check.passed is not True for check in checks)
    if doubtful == 0:
        return f"All {len(checks)} checks of this result passed."
    verb = "needs" if doubtful == 1 else "need"
    return f"{doubtful} of {len(checks)} checks of this result {verb} a look."


def command_of(task: Task[Any, Any], record: RunRecord) -> str:
    """The command line that makes the result again; inputs are not named."""
    own = fields(task.settings)
    reads = [each for each in task.reads if not each.optional]
    scans = ["INPUT"] if len(task.reads) == 1 else [f"--{each.name} INPUT" for each in reads]
    options = [
        option
        for name, default in (*((each.name, each.default) for each in own), ("device", None))
        if (option := _option(name, record.settings.get(name), default))
    ]
    if record.settings.get("written_as") == "DICOM":
        options.append("--dicom")
    if record.warnings:
        options.append("--force")
    return " ".join([f"isocenter {task.command}", *scans, "--output FOLDER", *options])


def _option(name: str, value: Any, default: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return "" if value == default else f"--{option}" if value else f"--no-{option}"
    if value is None:
        return ""
    return f"--{option} {str(value).removesuffix('.0') if isinstance(value, float) else value}"


def _kind_of(value: Any) -> str:
    """ "table", "list" or "text": how the page shows a value of the card."""
    if isinstance(value, Mapping):
        return "table"
    return "list" if isinstance(value, list | tuple) else "text"
