"""Tasks by the name that rules call them by."""

from __future__ import annotations

import difflib
from typing import Any

from isocenter.core.errors import SettingRefused
from isocenter.tasks.registry import TASKS, task_of
from isocenter.tasks.task import Task

COPY = "copy"


def task_named(name: str, *, where: str = "task") -> Task[Any, Any]:
    """A registered task by its command, or the copy.

    Raises:
        SettingRefused: there is none of that name.
    """
    if name == COPY:
        from isocenter.gateway.known_tasks.copy import TASK

        return TASK
    if name not in TASKS:
        names = [*TASKS, COPY]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise SettingRefused(f"{where}: there is no task {name!r}; {hint}")
    return task_of(name)
