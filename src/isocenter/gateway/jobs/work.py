"""What a child does: run a task on files, or only ask it whether it would."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from isocenter.core.errors import IsocenterError, OutputRefused
from isocenter.core.reasons import reason_of
from isocenter.gateway.known_tasks.named import task_named
from isocenter.tasks.settings import settings_from

_MOST_WORDS = 4000
PRELOADED = (
    "isocenter.tasks.run",
    "isocenter.dicom.reading.open",
    "isocenter.dicom.writing.derived_series",
    "isocenter.dicom.writing.rehearsal",
    "isocenter.tasks.report.page",
    "isocenter.gateway.known_tasks.copy",
)


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Run a request; every way to fail becomes an answer.

    Args:
        request: ``task``, ``inputs`` (folders by name), ``settings``, ``model``, ``device``,
            ``largest_run``, and ``output`` (folder), which is left out to ask only.

    Returns:
        ``outcome`` ("done", "refused", "again" or "crashed"), ``reason`` and ``message``; of a run
        that is done ``files`` by output and whether it was ``already_there``.
    """
    warnings.simplefilter("ignore")
    try:
        return _run(request) if "output" in request else _ask(request)
    except OutputRefused as error:
        return _told("again", error)
    except IsocenterError as error:
        return _told("refused", error)
    except MemoryError:
        return {"outcome": "crashed", "reason": "out_of_memory", "message": "out of memory"}
    except Exception as error:
        # Its text may quote a header; the kind of error does not.
        name = type(error).__name__
        return {"outcome": "crashed", "reason": reason_of(error), "message": f"{name} was raised"}


def _told(outcome: str, error: IsocenterError) -> dict[str, Any]:
    return {"outcome": outcome, "reason": error.reason, "message": str(error)[:_MOST_WORDS]}


def _run(request: dict[str, Any]) -> dict[str, Any]:
    from isocenter.tasks.run import run

    task = task_named(request["task"])
    result = run(
        task,
        {name: Path(folder) for name, folder in request["inputs"].items()},
        Path(request["output"]),
        settings=settings_from(task.settings, request["settings"]),
        model=request["model"] or None,
        device=request["device"],
        largest_run=request["largest_run"],
        private=True,
    )
    return {
        "outcome": "done",
        "reason": "done",
        "message": "",
        "files": {name: [path.name for path in paths] for name, paths in result.files.items()},
        "notes": list(result.notes),
        "already_there": result.already_there,
    }


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    """As much of a run as can refuse, without its work."""
    from isocenter.core.device import resolve_device
    from isocenter.tasks.inputs import open_inputs
    from isocenter.tasks.suitability import refuse_unsuitable
    from isocenter.tasks.task import Case

    task = task_named(request["task"])
    opened = open_inputs(
        task.reads,
        {name: Path(folder) for name, folder in request["inputs"].items()},
        series={},
        largest_run=request["largest_run"],
    )
    model = None
    if task.load_model is not None:
        folder = Path(request["model"]) if request["model"] else None
        model = task.load_model(folder, resolve_device(request["device"]))
    case = Case(
        scans={each.name: each.source for each in opened},
        settings=settings_from(task.settings, request["settings"]),
        model=model,
    )
    for judge in (task.judge_header, task.judge):
        if judge is not None:
            refuse_unsuitable(judge(case))
    return {"outcome": "done", "reason": "done", "message": "the task accepts it"}
