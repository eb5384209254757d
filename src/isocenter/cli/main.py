"""The program: its commands, and how every way to fail becomes a sentence and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import click
import typer
from typer.core import TyperGroup

from isocenter.cli.clean import clean
from isocenter.cli.deidentify import deidentify
from isocenter.cli.demo import demo
from isocenter.cli.edit import edit
from isocenter.cli.evaluate import evaluate
from isocenter.cli.evaluate_set import evaluate_set
from isocenter.cli.gateway import gateway_app
from isocenter.cli.generate import generate
from isocenter.cli.model import show_model
from isocenter.cli.options import telling_options
from isocenter.cli.outcome import BY_SIGNAL
from isocenter.cli.register import register
from isocenter.cli.series import list_series
from isocenter.cli.session import Session
from isocenter.cli.simulate import simulate
from isocenter.cli.task_command import task_command
from isocenter.cli.train import train
from isocenter.cli.usage import no_such_command, without_what_was_typed
from isocenter.core.version import __version__
from isocenter.tasks.registry import TASKS, task_of

C = TypeVar("C", bound=click.Command)


class _Commands(TyperGroup):
    """The written commands and one a registered task; tasks are looked up when they are needed."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        _telling(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*TASKS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in TASKS:
            return _telling(task_command(task_of(cmd_name)))
        command = super().get_command(ctx, cmd_name)
        return None if command is None else _telling(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            found = super().resolve_command(ctx, args)
        except click.UsageError:
            raise no_such_command(args[0], self.list_commands(ctx), ctx) from None
        if (session := ctx.find_object(Session)) is not None:
            session.command = found[0]
        return found

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
        except click.UsageError as error:
            # Of the command alone: what this group says of itself is in our words already.
            raise (error if error.ctx is ctx else without_what_was_typed(error)) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave the program; every end is told by the session."""
        arguments = sys.argv[1:] if args is None else list(args)
        session = Session(arguments)

        def work() -> Any:
            if any("\0" in argument for argument in arguments):
                raise click.UsageError(
                    "An argument holds a NUL character, which no name may hold; check how the "
                    "command line was put together."
                )
            return super(_Commands, self).main(
                arguments, prog_name, complete_var, standalone_mode=False, obj=session, **extra
            )

        sys.exit(session.run(work, show_usage=_show_usage))


def _telling(command: C) -> C:
    """The command with the options that all have; the session has read them already."""
    known = {parameter.name for parameter in command.params}
    command.params += [option for option in telling_options() if option.name not in known]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _telling(inner)
    return command


def _show_usage(error: click.ClickException) -> None:
    from typer.rich_utils import rich_format_error

    rich_format_error(error)


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
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored already: under nohup
        signal.signal(signal.SIGHUP, _hang_up)
    app(args=arguments, prog_name="isocenter")


def _leave(number: int, _: object) -> None:
    """End on a request to end as on Ctrl-C: what is half done is cleared away."""
    raise SystemExit(BY_SIGNAL + number)


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
    ctx: typer.Context,
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
    if (session := ctx.find_object(Session)) is not None:
        session.debug = debug


app.command(name="series")(list_series)
app.command()(evaluate)
app.command(name="evaluate-set")(evaluate_set)
app.command()(demo)
app.command()(generate)
app.command()(edit)
app.command()(simulate)
app.command()(register)
app.command()(train)
app.command()(deidentify)
app.command()(clean)
app.command(name="model")(show_model)
app.add_typer(gateway_app)
