"""``isocenter register``: one MR image of a head onto the grid of another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isocenter.cli.answer import Answer, made
from isocenter.cli.options import LimitOption, LimitsOption, OutputOption, chosen_limits
from isocenter.cli.output import complain, print_made

if TYPE_CHECKING:
    from isocenter.tasks.register.register import RegisterResult


def register(
    moving: Annotated[Path, typer.Argument(help="The image to move: an MR series or volume file.")],
    fixed: Annotated[Path, typer.Argument(help="The image that gives the grid, of the same head.")],
    output: OutputOption,
    moving_series: Annotated[
        str | None,
        typer.Option("--moving-series", metavar="NUMBER|UID", help="Which series of MOVING."),
    ] = None,
    fixed_series: Annotated[
        str | None,
        typer.Option("--fixed-series", metavar="NUMBER|UID", help="Which series of FIXED."),
    ] = None,
    deformable: Annotated[
        bool, typer.Option("--deformable", help="Follow with a free-form deformation.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write the result also where the check fails.")
    ] = False,
    limit: LimitOption = None,
    limits: LimitsOption = None,
) -> Answer:
    """Lay one MR image of a head on another, and check that it lies right."""
    from isocenter.tasks.register.register import COVERED, IMAGE, PICTURE, RECORD, register_images

    result = register_images(
        moving,
        fixed,
        output,
        moving_series=moving_series,
        fixed_series=fixed_series,
        deformable=deformable,
        force=force,
        limits=chosen_limits(limit, limits),
    )
    written = [
        made("registered", "Registered", result.folder / IMAGE),
        made("covered", "Covered", result.folder / COVERED),
        made("picture", "Picture", result.folder / PICTURE),
        made("record", "Motion and check", result.folder / RECORD),
    ]
    return Answer(
        show=partial(_print, result, written),
        result=_plain(result),
        counts_in={"inputs": 2},
        counts_out={"outputs": len(written), "files": len(written)},
        made=written,
        warnings=result.warnings,
        reason="forced" if result.warnings else "done",
    )


def _plain(result: RegisterResult) -> dict[str, object]:
    from isocenter.tasks.register.register import record_of

    return {"folder": result.folder, **record_of(result.motion, result.check)}


def _print(result: RegisterResult, written: list[dict[str, object]]) -> None:
    print_made(written, notes=(), already_there=False)
    check = result.check
    typer.echo(f"The head was moved by {check.motion_mm:.1f} mm and {check.angle_deg:.1f} degrees.")
    typer.echo(
        f"Edges agree {check.edge_peak:.1f} times as well as 8 mm apart; there and back misses by "
        f"{check.round_trip_mm or 0:.1f} mm; {check.covered:.0%} of the head is covered."
    )
    for warning in result.warnings:
        complain(f"warning: {warning}")
