"""``isocenter clean``: what killed runs left in a folder, found and removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isocenter.core.errors import InputRefused, OutputRefused

if TYPE_CHECKING:
    from isocenter.core.partial_folders import LeftOver


def clean(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where results were written to, not below it.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove what runs left that were killed; what still runs and what is not ours stays."""
    from isocenter.core.partial_folders import left_overs, remove

    if not folder.expanduser().is_dir():
        raise InputRefused("FOLDER is no folder; name the one that results were written to")
    try:
        found = left_overs(folder.expanduser())
    except OSError as error:
        raise InputRefused("FOLDER cannot be read; name one that you may read") from error
    ended = [each for each in found if not each.in_use]
    gone = ended if dry_run else [each for each in ended if remove(each)]
    for each in gone:
        typer.echo(f"{'would remove' if dry_run else 'removed'}  {each.name}  {_size([each])}")
    for each in found:
        if each.in_use:
            typer.echo(f"in use  {each.name}")
    typer.echo(
        f"{len(gone)} {'to remove' if dry_run else 'removed'}, {_size(gone)}; "
        f"{len(found) - len(ended)} in use"
    )
    if kept := len(ended) - len(gone):
        raise OutputRefused(
            f"{kept} could not be removed; they may be another user's, or the folder is not "
            "writable"
        )


def _size(left: Sequence[LeftOver]) -> str:
    return f"{sum(each.num_bytes for each in left) / 1e6:.1f} MB"
