"""``isocenter evaluate``: two series of the same anatomy, compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from isocenter.cli.answer import Answer, made
from isocenter.cli.options import LargestRunOption, LimitOption, LimitsOption, chosen_limits
from isocenter.cli.output import complain, naming, print_table, progress_bar
from isocenter.core.errors import InputRefused, IsocenterError, OutputRefused
from isocenter.core.files import writing_to
from isocenter.core.outputs import HOUNSFIELD

if TYPE_CHECKING:
    from isocenter.evaluation.compare import Comparison
    from isocenter.evaluation.fidelity import Protocol


def evaluate(
    reference: Annotated[
        Path, typer.Argument(help="The series to compare with, such as the standard-dose scan.")
    ],
    test: Annotated[Path, typer.Argument(help="The series to judge, whoever made it.")],
    reference_series: Annotated[
        str | None,
        typer.Option("--reference-series", metavar="NUMBER|UID", help="Which series of REFERENCE."),
    ] = None,
    test_series: Annotated[
        str | None,
        typer.Option("--test-series", metavar="NUMBER|UID", help="Which series of TEST."),
    ] = None,
    largest_run: LargestRunOption = False,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            metavar="UNIT",
            help="What the numbers of volume files are; HU where neither you nor the file says it.",
        ),
    ] = None,
    score_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="LOW HIGH",
            help="Score fidelity over the whole image in this range; needed for other units "
            "than HU.",
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="FILE", help="Write all figures to a file (JSON)."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Write a picture of the comparison (PNG)."),
    ] = None,
    limit: LimitOption = None,
    limits: LimitsOption = None,
) -> Answer:
    """Compare two series of the same anatomy: fidelity, HU bias, noise, sharpness."""
    from isocenter.datasets.open_scan import open_scan
    from isocenter.evaluation.compare import evaluate as compare

    if picture is not None and picture.suffix.lower() != ".png":
        raise OutputRefused("the picture is a PNG; name a file that ends in .png")
    chosen = chosen_limits(limit, limits)
    both = (("REFERENCE", reference, reference_series), ("TEST", test, test_series))
    opened, notes = [], []
    for name, scan, series in both:
        try:
            with naming(f"--{name.lower()}-series"):
                source = open_scan(
                    scan,
                    series=series,
                    unit=unit,
                    assumed_unit=HOUNSFIELD.name,
                    largest_run=largest_run,
                    accept_enhanced=True,
                    limits=chosen,
                )
        except IsocenterError as error:
            error.add_note(name)
            raise
        opened.append(source)
        notes += [f"{name}: {note}" for note in source.notes]
        for note in source.notes:
            complain(f"note: {name}: {note}")
    protocols = None if score_range is None else [_stated(*score_range, unit=opened[0].unit)]
    with progress_bar("Comparing") as progress:
        comparison = compare(*opened, protocols=protocols, progress=progress)
    written = []
    for output, label, save, file in (
        ("figures", "All figures", comparison.save_json, figures),
        ("picture", "Picture", comparison.save_picture, picture),
    ):
        if file is not None:
            _write(save, file)
            written.append(made(output, label, file))
    of_reference, of_test = comparison.num_slices
    return Answer(
        show=partial(_print_comparison, comparison),
        result=comparison.as_dict(),
        counts_in={"reference_slices": of_reference, "test_slices": of_test},
        counts_out={"compared_slices": len(comparison.pairs), "files": len(written)},
        made=written,
        notes=notes,
    )


def _stated(low: float, high: float, *, unit: str) -> Protocol:
    from isocenter.evaluation.fidelity import stated_range

    if not math.isfinite(low) or not math.isfinite(high) or not high > low:
        raise InputRefused(f"--range needs a low and a higher value, got {low:g} and {high:g}")
    return stated_range(low, high, unit=unit)


def _print_comparison(comparison: Comparison) -> None:
    from isocenter.evaluation.comparison import COLUMNS

    table = Table(*COLUMNS)
    for row in comparison.rows():
        table.add_row(*map(escape, row))
    print_table(table)


def _write(save: Callable[[Path], Path], file: Path) -> None:
    with writing_to(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        save(file)
