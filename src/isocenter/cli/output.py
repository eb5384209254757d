"""What commands print: results to standard output, all else to standard error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isocenter.core.errors import SeriesChoiceNeeded
from isocenter.core.progress import Progress

if TYPE_CHECKING:
    from isocenter.core.outputs import WrittenOutput
    from isocenter.tasks.run import RunResult


def complain(message: str) -> None:
    """A sentence beside the results."""
    Console(stderr=True, soft_wrap=True).print(f"[bold red]isocenter:[/] {escape(message)}")


def tell(message: str) -> None:
    """What happens now, beside the results."""
    Console(stderr=True, soft_wrap=True).print(escape(message), highlight=False)


def say(label: str, path: Path) -> None:
    """Where a result lies."""
    typer.echo(f"{label + ': ':<17}{path}")


def print_table(table: Table) -> None:
    """Whole cells on a terminal of any width; a pipe gets lines that are not cut."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def print_result(result: RunResult, outputs: Sequence[WrittenOutput]) -> None:
    """Where everything lies that a task wrote, after what is to be noted."""
    _print_before(result.already_there, result.notes)
    for warning in result.warnings:
        complain(f"warning: {warning}")
    for output in outputs:
        say(output.label, result.folder / output.name)
    say("Report", result.report)


def print_made(
    written: Sequence[Mapping[str, Any]], *, notes: Sequence[str], already_there: bool
) -> None:
    """Where everything lies that was made, each as :func:`isocenter.cli.answer.made` tells it."""
    _print_before(already_there, notes)
    for one in written:
        say(one["label"], one["path"])


def _print_before(already_there: bool, notes: Sequence[str]) -> None:
    if already_there:
        typer.echo("An earlier run had made this very result; it was checked and left as it is.")
    for note in notes:
        complain(f"note: {note}")


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Say by which option a series is named, where one must be.

    A note of the error names the one of several scans whose series it is about.
    """
    try:
        yield
    except SeriesChoiceNeeded as error:
        notes = getattr(error, "__notes__", ())
        named = f"--{notes[0]}-series" if notes else option
        raise SeriesChoiceNeeded(f"{error}\nGive the number with {named}.") from None


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """A bar with the time left, driven by how many slices are done, of how many."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks: list[Any] = []

        context = click.get_current_context(silent=True)
        session: Any = None if context is None else context.find_root().obj

        def report(done: int, total: int, /) -> None:
            if session is not None:
                session.tell_progress(done, total)
            if not tasks:  # a refusal before the work shows no bar
                tasks.append(bar.add_task(what))
            bar.update(tasks[0], completed=done, total=total)

        yield report
