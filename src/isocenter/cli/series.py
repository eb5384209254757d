"""``isocenter series``: what lies in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from isocenter.cli.answer import Answer
from isocenter.cli.options import LimitOption, LimitsOption, ScanArgument, chosen_limits
from isocenter.cli.output import print_table

if TYPE_CHECKING:
    from isocenter.dicom.reading.open import SeriesSummary


def list_series(
    scan: ScanArgument,
    uids: Annotated[
        bool, typer.Option("--uids", help="Show each Series Instance UID too, an identifier.")
    ] = False,
    folders: Annotated[
        bool,
        typer.Option("--folders", help="Show each folder too; its name may hold a patient's."),
    ] = False,
    limit: LimitOption = None,
    limits: LimitsOption = None,
) -> Answer:
    """List the series of a folder: which can be enhanced, why others cannot, what MR shows."""
    from isocenter.dicom.reading.open import find_series

    chosen = chosen_limits(limit, limits)
    found = find_series(scan, limits=chosen)
    if any(one.modality == "MR" for one in found):
        of_mr = {one.key: one for one in find_series(scan, modality="MR", limits=chosen)}
        found = [
            replace(one, contrast=of_mr[one.key].contrast) if one.key in of_mr else one
            for one in found
        ]
    return Answer(
        show=partial(_print, found, uids=uids, folders=folders),
        result={"series": [_plain(one, uids=uids, folders=folders) for one in found]},
        counts_in={
            "series": len(found),
            "fitting": sum(one.fits for one in found),
            "images": sum(one.num_images for one in found),
        },
    )


def _plain(one: SeriesSummary, *, uids: bool, folders: bool) -> dict[str, Any]:
    """One series; what identifies a patient's study only where it is asked for."""
    plain: dict[str, Any] = {
        "number": one.number,
        "series_number": one.series_number,
        "modality": one.modality,
        "kind": one.sop_class_name,
        "num_images": one.num_images,
        "rows": one.rows,
        "columns": one.columns,
        "slice_thickness_mm": one.slice_thickness_mm,
        "exposure_mas": one.exposure_mas,
        "kernel": one.kernel,
        "num_damaged": one.num_damaged,
        "num_unreadable": one.num_unreadable,
        "fits": one.fits,
        "reason": one.reason,
        "why_not": one.why_not,
    }
    if one.contrast is not None:
        plain["contrast"] = {
            "name": one.contrast.contrast,
            "technique": one.contrast.technique,
            "confidence": one.contrast.confidence,
            "reason": one.contrast.because,
            "with_agent": one.contrast.with_agent,
        }
    if uids:
        plain["series_instance_uid"] = one.key
    if folders:
        plain["folder"] = one.folder or "."
    return plain


def _print(found: Sequence[SeriesSummary], *, uids: bool, folders: bool) -> None:
    table = Table(
        "No.", "Series number", "Kind", "Images", "Size", "Slice", "Kernel", "mAs", "Fits"
    )
    for one in found:
        table.add_row(
            str(one.number),
            "" if one.series_number is None else str(one.series_number),
            escape(_kind(one)),
            str(one.num_images),
            f"{one.rows} x {one.columns}" if one.rows else "",
            f"{one.slice_thickness_mm:g} mm" if one.slice_thickness_mm else "",
            escape(one.kernel),
            f"{one.exposure_mas:g}" if one.exposure_mas else "",
            "yes" if one.fits else "no",
        )
    print_table(table)
    for one in found:
        if uids:
            typer.echo(f"UID of {one.number}: {one.key}")
        if folders:
            typer.echo(f"Folder of {one.number}: {one.folder or '.'}")
    reasons: dict[str, list[int]] = {}
    for one in found:
        if not one.fits:
            reasons.setdefault(one.why_not, []).append(one.number)
    for reason, numbers in reasons.items():
        typer.echo(f"{_ranges(numbers)}: {reason}")
    for one in found:
        if one.contrast is not None:
            typer.echo(f"Contrast of {one.number}: {one.contrast.in_words()}")


def _kind(summary: SeriesSummary) -> str:
    """What kind of object, without the words that all kinds share."""
    kind = summary.sop_class_name.removesuffix(" Storage")
    modality = summary.modality
    return kind if not modality or modality in kind else f"{kind} ({modality})"


def _ranges(numbers: Sequence[int]) -> str:
    """Rising numbers in words, such as "1, 3-5"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
