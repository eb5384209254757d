"""A task as a function: ``isocenter.COMMAND(input, output, ...)``, with settings as keywords."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from isocenter.core.limits import DEFAULT_LIMITS
from isocenter.tasks.map_forms import has_maps
from isocenter.tasks.settings import check_names, facts_of, settings_from
from isocenter.tasks.task import Task

_COMMON = {
    "series": (None, "which series, where an input holds several that fit"),
    "largest_run": (False, "where slices are missing, take the largest even run"),
    "model": (None, "a model folder or a loaded model; None takes the shipped weights"),
    "device": ("cpu", '"cpu", "cuda", "cuda:1" and so on, or "auto"'),
    "force": (False, "go on with a scan that the task does not accept, with warnings"),
    "dicom": (False, "write DICOM also where nothing that was read has a DICOM header"),
    "maps": ("parametric", 'how maps are written as DICOM: "parametric", "images" or "both"'),
    "color_map": (False, "write maps in color over the image too"),
    "private": (False, "make folders and files for their owner alone (0700 and 0600)"),
    "limits": (
        DEFAULT_LIMITS,
        "what a file and a folder may cost before they are refused; see Limits",
    ),
    "progress": (None, "called after every slice with how many are done, of how many"),
}


def python_call(task: Task[Any, Any]) -> Callable[..., Any]:
    """The function that runs a task; its signature and help name what the task takes."""
    signature = inspect.Signature([*_parameters(task)])

    def call(*arguments: Any, **options: Any) -> Any:
        from isocenter.tasks.run import run

        check_names(options, signature.parameters)
        given = signature.bind(*arguments, **options).arguments
        inputs = {each.name: given.pop(each.name, None) for each in task.reads}
        values = {each.name: given.pop(each.name) for each in _settings(task) if each.name in given}
        return run(task, inputs, settings=settings_from(task.settings, values), **given)

    call.__name__ = call.__qualname__ = task.command
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = _help(task)
    return call


def _settings(task: Task[Any, Any]) -> tuple[Any, ...]:
    return fields(task.settings)


def common_options(task: Task[Any, Any]) -> tuple[str, ...]:
    """Options that do not change a pixel's meaning and that this task has a use for."""
    useless = set()
    if not task.reads:
        useless |= {"series", "largest_run", "limits"}
    if task.load_model is None:
        useless |= {"model", "device"}
    if task.judge is None:
        useless |= {"force"}
    if task.reads and all(each.opener for each in task.reads):
        useless |= {"dicom"}
    if not has_maps(task.outputs):
        useless |= {"maps", "color_map"}
    return tuple(name for name in _COMMON if name not in useless)


def _parameters(task: Task[Any, Any]) -> Iterator[inspect.Parameter]:
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    for each in task.reads:
        if not each.optional:
            yield inspect.Parameter(each.name, positional)
    yield inspect.Parameter("output", positional)
    for each in task.reads:
        if each.optional:
            yield inspect.Parameter(each.name, keyword, default=None)
    for each in _settings(task):
        yield inspect.Parameter(each.name, keyword, default=each.default, annotation=each.type)
    for name in common_options(task):
        yield inspect.Parameter(name, keyword, default=_COMMON[name][0])


def _help(task: Task[Any, Any]) -> str:
    lines = [task.summary, "", "Args:"]
    lines += [f"    {each.name}: {each.what}" for each in task.reads]
    lines += ["    output: folder for the results; new or empty"]
    lines += [f"    {each.name}: {facts_of(each).help}" for each in _settings(task)]
    lines += [f"    {name}: {_COMMON[name][1]}" for name in common_options(task)]
    return "\n".join(lines) + "\n"
