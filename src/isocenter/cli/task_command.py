"""A registered task as a command: its settings become options, what it reads becomes arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import Field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import typer

from isocenter.cli.answer import Answer, answer_of_run
from isocenter.cli.options import (
    DeviceOption,
    LargestRunOption,
    LimitOption,
    LimitsOption,
    ModelOption,
    OutputOption,
    chosen_limits,
)
from isocenter.cli.output import naming, print_result, progress_bar
from isocenter.tasks.map_forms import MAP_FORMS, PARAMETRIC, MapForms
from isocenter.tasks.python_call import common_options
from isocenter.tasks.settings import facts_of, settings_from, type_of_settings
from isocenter.tasks.task import Reads, Task

_COMMON: dict[str, tuple[Any, Any]] = {
    "largest_run": (LargestRunOption, False),
    "model": (ModelOption, None),
    "device": (DeviceOption, "cpu"),
    "force": (
        Annotated[
            bool,
            typer.Option(
                "--force",
                help="Go on outside what the task was checked for; the warning is written into "
                "report and DICOM.",
            ),
        ],
        False,
    ),
    "dicom": (
        Annotated[
            bool,
            typer.Option(
                "--dicom",
                help="Write DICOM also where what is read has no DICOM header, as nobody's "
                "patient.",
            ),
        ],
        False,
    ),
    "maps": (
        Annotated[
            Literal[MAP_FORMS],
            typer.Option(
                "--map",
                help="How a map is written as DICOM: parametric (numbers and unit), images "
                "(16 bits, for every viewer) or both.",
            ),
        ],
        PARAMETRIC,
    ),
    "color_map": (
        Annotated[
            bool,
            typer.Option("--color-map", help="Write a map in color over the image too."),
        ],
        False,
    ),
    "private": (
        Annotated[
            bool,
            typer.Option(
                "--private",
                help="Make folders and files for their owner alone (0700 and 0600); else the "
                "system's defaults hold.",
            ),
        ],
        False,
    ),
    "limits": (LimitsOption, None),
}


def task_command(task: Task[Any, Any]) -> click.Command:
    """The command of a task."""

    def command(output: Path, **given: Any) -> Answer:
        return _run(task, output, given)

    command.__doc__ = task.summary
    command.__name__ = task.command
    parameters = [*_scans(task), _parameter("output", OutputOption), *_options(task)]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        sorted(parameters, key=lambda each: each.default is not inspect.Parameter.empty)
    )
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    single = typer.Typer(
        add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
    )
    single.command(name=task.command)(command)
    return typer.main.get_command(single)


def _run(task: Task[Any, Any], output: Path, given: dict[str, Any]) -> Answer:
    from isocenter.tasks.run import run

    inputs = {each.name: given.pop(each.name) for each in task.reads}
    named = {each.name: given.pop(_series_name(task, each)) for each in task.reads}
    values = {each.name: given.pop(each.name) for each in fields(task.settings)}
    if "limits" in given:
        given["limits"] = chosen_limits(given.pop("limit"), given["limits"])
    with naming("--series"), progress_bar(_doing(task)) as progress:
        result = run(
            task,
            inputs,
            output,
            settings=settings_from(task.settings, values),
            series={name: series for name, series in named.items() if series is not None},
            progress=progress,
            **given,
        )
    forms = MapForms(maps=given.get("maps", PARAMETRIC), color=given.get("color_map", False))
    written = forms.written(task.outputs)
    return answer_of_run(result, written, partial(print_result, result, written))


def _doing(task: Task[Any, Any]) -> str:
    """What stands before the bar, such as "Enhancing" for "enhance"."""
    return task.doing or f"{task.command.removesuffix('e').capitalize()}ing"


def _parameter(name: str, annotation: Any, *default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=annotation,
        default=default[0] if default else inspect.Parameter.empty,
    )


def _scans(task: Task[Any, Any]) -> Iterator[inspect.Parameter]:
    """One scan is an argument; of several, each is an option of its name."""
    for each in task.reads:
        if len(task.reads) == 1:
            text = f"{each.what[:1].upper()}{each.what[1:]}: DICOM file, folder, or tree with "
            text += "several series"
            text += "." if each.opener else "; or a NIfTI or MetaImage file."
            argument = typer.Argument(metavar=_shown_name(each), help=text)
            yield _parameter(each.name, Annotated[Path, argument])
        else:
            option = typer.Option(f"--{_dashed(each.name)}", metavar="INPUT", help=f"{each.what}.")
            kind: Any = Path | None if each.optional else Path
            default = (None,) if each.optional else ()
            yield _parameter(each.name, Annotated[kind, option], *default)


def _options(task: Task[Any, Any]) -> Iterator[inspect.Parameter]:
    for each in task.reads:
        name = _series_name(task, each)
        text = (
            f"Which series of {_shown_name(each)}: its number in the listing, its UID or the end "
        )
        text += "of it"
        text += "; several with commas between." if each.opener else "."
        option = typer.Option(f"--{_dashed(name)}", metavar="NUMBER|UID", help=text)
        yield _parameter(name, Annotated[str | None, option], None)
    common = common_options(task)
    if "largest_run" in common:
        yield _parameter("largest_run", *_COMMON["largest_run"])
    kinds = type_of_settings(task.settings)
    for field in fields(task.settings):
        yield _setting(field, *kinds[field.name])
    for name, (annotation, default) in _COMMON.items():
        if name in common and name != "largest_run":
            yield _parameter(name, annotation, default)
    if "limits" in common:
        yield _parameter("limit", LimitOption, None)


def _shown_name(reads: Reads) -> str:
    """What the help calls an input."""
    return reads.name.upper() if reads.opener else "INPUT"


def _series_name(task: Task[Any, Any], reads: Reads) -> str:
    return "series" if len(task.reads) == 1 else f"{reads.name}_series"


def _setting(field: Field[Any], plain: type, may_be_none: bool) -> inspect.Parameter:
    facts = facts_of(field)
    kind: Any = plain
    if facts.choices:
        kind = Literal[facts.choices]
    elif facts.parse is not None:
        kind = str
    default = field.default
    if kind is str and isinstance(default, float):
        default = f"{default:g}"
    option = typer.Option(
        f"--{_dashed(field.name)}",
        metavar=facts.metavar or None,
        help=facts.help,
        min=facts.at_least if kind is int else None,
        max=facts.at_most if kind is int else None,
    )
    return _parameter(field.name, Annotated[kind | None if may_be_none else kind, option], default)


def _dashed(name: str) -> str:
    return name.replace("_", "-")
