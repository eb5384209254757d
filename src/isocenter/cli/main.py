"""The program: its commands, and how every way to fail becomes a sentence and an exit code."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from isocenter.cli.clean import clean
from isocenter.cli.demo import demo
from isocenter.cli.evaluate import evaluate
from isocenter.cli.model import show_model
from isocenter.cli.output import complain
from isocenter.cli.series import list_series
from isocenter.cli.task_command import task_command
from isocenter.cli.train import train
from isocenter.cli.usage import no_such_command, without_what_was_typed
from isocenter.core.errors import IsocenterError
from isocenter.core.files import disk_error, refusal_in_words
from isocenter.core.version import __version__
from isocenter.tasks.registry import TASKS, task_of

REFUSED = 2
UNEXPECTED = 1
INTERRUPTED = 130


class _Commands(TyperGroup):
    """The written commands and one a registered task; tasks are looked up when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*TASKS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in TASKS:
            return task_command(task_of(cmd_name))
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            raise no_such_command(args[0], self.list_commands(ctx), ctx) from None

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise without_what_was_typed(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("Stopped.")
            raise typer.Exit(INTERRUPTED) from None
        except click.UsageError as error:
            # Of the command alone: what this group says of itself is in our words already.
            raise (error if error.ctx is ctx else without_what_was_typed(error)) from None
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise typer.Exit(_explain(error)) from None


def _explain(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(error, IsocenterError):
        complain(": ".join([*getattr(error, "__notes__", ()), str(error)]))
        return REFUSED
    if (cause := disk_error(error)) is not None and cause.errno:
        complain(f"The system refused: {refusal_in_words(cause)}.")
        return UNEXPECTED
    # A library's own message may quote a header, so only the kind and the place are shown.
    place = traceback.extract_tb(error.__traceback__)[-1]
    complain(
        f"Unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
        "Run 'isocenter --debug ...' for the traceback, which may quote the scan's headers."
    )
    return UNEXPECTED


app = typer.Typer(
    name="isocenter",
    cls=_Commands,
    suggest_commands=False,  # click does already
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` without the program's name, None for those given."""
    signal.signal(signal.SIGTERM, _leave)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hang_up)  # ignored already: under nohup
    app(args=arguments, prog_name="isocenter")


def _leave(number: int, _: object) -> None:
    """End on a request to terminate as on Ctrl-C: what is half done is cleared away."""
    raise SystemExit(128 + number)


def _hang_up(number: int, frame: object) -> None:
    """The same where the terminal is gone: nothing can be said any more, so nothing may try to."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    _leave(number, frame)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isocenter {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback when something fails.")
    ] = False,
) -> None:
    """Generative medical imaging that can be trusted. DICOM in, DICOM out. Not for diagnosis."""


app.command(name="series")(list_series)
app.command()(evaluate)
app.command()(demo)
app.command()(train)
app.command()(clean)
app.command(name="model")(show_model)
