"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
