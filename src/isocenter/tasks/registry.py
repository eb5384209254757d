"""Every task: its command, and the module that declares it. A new task adds one line here.

The command line, Python and other fronts find tasks in this table alone. Nothing is imported before
it is asked for, and a declaration loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from isocenter.tasks.task import Task

TASKS = {
    "enhance": "isocenter.tasks.ct_enhance.task",
    "adc": "isocenter.tasks.adc.task",
}


def task_of(command: str) -> Task[Any, Any]:
    """The task of a command; its module holds it as ``TASK``."""
    task: Task[Any, Any] = import_module(TASKS[command]).TASK
    assert task.command == command
    return task
