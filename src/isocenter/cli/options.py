"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer
from typer.core import TyperOption

if TYPE_CHECKING:
    from isocenter.core.limits import Limits

ScanArgument = Annotated[
    Path, typer.Argument(metavar="INPUT", help="DICOM file, folder, or tree with several series.")
]
LargestRunOption = Annotated[
    bool,
    typer.Option(
        "--largest-run",
        help="Where slices are missing or uneven or files are damaged, take the largest even run.",
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option("--model", metavar="FOLDER", help="Model folder; the shipped weights without it."),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Where the network runs: cpu, cuda, cuda:N or auto.")
]
OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FOLDER", help="New folder for what is written."),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help="What an input may cost before it is refused, such as frames=40000; may be given "
        "several times.",
    ),
]
LimitsOption = Annotated[
    Path | None,
    typer.Option("--limits", metavar="FILE", help="Limits in a TOML file; --limit wins."),
]


def chosen_limits(limit: list[str] | None, limits: Path | None) -> Limits:
    """The limits that were given, the defaults for others.

    Raises:
        InputRefused: there is no such limit or file, or a value is of another kind.
    """
    from isocenter.core.limits import DEFAULT_LIMITS
    from isocenter.core.settings import assignments_of, read_settings_file, with_settings

    named = (read_settings_file(limits) if limits else {}) | assignments_of(limit or [])
    return with_settings(DEFAULT_LIMITS, named) if named else DEFAULT_LIMITS


def telling_options() -> list[click.Parameter]:
    """Options of every command.

    The session reads them before the command line is understood, so that one that cannot be
    understood is told in the same way.
    """
    return [
        TyperOption(
            param_decls=["--json"],
            is_flag=True,
            expose_value=False,
            help="Print one JSON document instead, however the command ends.",
        ),
        TyperOption(
            param_decls=["--log"],
            type=str,
            metavar="FILE",
            expose_value=False,
            help="Append what happens to FILE, as lines of JSON without identifiers.",
        ),
    ]
