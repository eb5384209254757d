"""``isocenter clean``: what killed runs left in a folder, found and removed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isocenter.cli.answer import Answer
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
) -> Answer:
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
    in_use = [each for each in found if each.in_use]
    show = partial(_print, gone, in_use, dry_run=dry_run)
    if kept := len(ended) - len(gone):
        show()
        raise OutputRefused(
            f"{kept} could not be removed; they may be another user's, or the folder is not "
            "writable",
            reason="not_writable",
        )
    return Answer(
        show=show,
        result={
            "dry_run": dry_run,
            "removed": [{"name": each.name, "num_bytes": each.num_bytes} for each in gone],
        },
        counts_in={"left_overs": len(found), "in_use": len(in_use)},
        counts_out={"removed": 0 if dry_run else len(gone)},
    )


def _print(gone: Sequence[LeftOver], in_use: Sequence[LeftOver], *, dry_run: bool) -> None:
    for each in gone:
        typer.echo(f"{'would remove' if dry_run else 'removed'}  {each.name}  {_size([each])}")
    for each in in_use:
        typer.echo(f"in use  {each.name}")
    typer.echo(
        f"{len(gone)} {'to remove' if dry_run else 'removed'}, {_size(gone)}; {len(in_use)} in use"
    )


def _size(left: Sequence[LeftOver]) -> str:
    return f"{sum(each.num_bytes for each in left) / 1e6:.1f} MB"
