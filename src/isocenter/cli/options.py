"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import typer
from typer.core import TyperOption

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
