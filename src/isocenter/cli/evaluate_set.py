"""``isocenter evaluate-set``: a generated set of images against a real one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from isocenter.cli.answer import Answer, made
from isocenter.cli.output import complain, print_table, progress_bar, say
from isocenter.core.errors import IsocenterError, OutputRefused
from isocenter.core.files import folder_appearing_whole, named_path, write_json, writing_to

if TYPE_CHECKING:
    from isocenter.evaluation.sets.image_folder import ImageSet
    from isocenter.evaluation.sets.judge import SetComparison

_MADE = (
    ("figures", "All figures", "figures.json"),
    ("contact_sheet", "Contact sheet", "contact_sheet.png"),
    ("nearest_pairs", "Nearest pairs", "nearest_pairs.png"),
)


def evaluate_set(
    real: Annotated[
        Path,
        typer.Argument(
            help="Folder of real images: images/ and labels.csv with file, patient and, where "
            "known, class."
        ),
    ],
    generated: Annotated[
        Path, typer.Argument(help="Folder of generated images, of the same layout and size.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="Table of REAL where it lies elsewhere."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            metavar="FILE",
            help="Feature network (safetensors) to measure with; fixed filters without it.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="New folder for all figures (JSON) and two pictures.",
        ),
    ] = None,
    most: Annotated[
        int,
        typer.Option("--most", min=50, help="Images of either set; more are thinned out evenly."),
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same figures.")] = 0,
) -> Answer:
    """Compare a set of generated images with a real one: likeness, variety, copies."""
    folder = None if output is None else named_path(output)
    if folder is not None:
        _refuse_taken(folder)
    from isocenter.evaluation.sets.features import features_of_file
    from isocenter.evaluation.sets.judge import judge_sets

    network = None if features is None else features_of_file(named_path(features))
    table = None if labels is None else named_path(labels)
    first = _read("REAL", named_path(real), table, most)
    second = _read("GENERATED", named_path(generated), None, most)
    with progress_bar("Comparing") as progress:
        comparison = judge_sets(first, second, features=network, seed=seed, progress=progress)
    written = [] if folder is None else _write(comparison, first, second, folder, seed)
    for note in comparison.notes:
        complain(f"note: {note}")
    return Answer(
        show=partial(_print, comparison, written),
        result=comparison.as_dict(),
        counts_in={"real_images": len(first), "generated_images": len(second)},
        counts_out={"files": len(written), "copies": int(comparison.copies.is_copy.sum())},
        made=written,
        notes=comparison.notes,
    )


def _read(name: str, folder: Path, table: Path | None, most: int) -> ImageSet:
    from isocenter.evaluation.sets.image_folder import read_image_folder

    try:
        with progress_bar(f"Reading {name}") as progress:
            return read_image_folder(folder, table=table, most=most, progress=progress)
    except IsocenterError as error:
        error.add_note(name)
        raise


def _write(
    comparison: SetComparison, real: ImageSet, generated: ImageSet, folder: Path, seed: int
) -> list[dict[str, Any]]:
    from isocenter.evaluation.sets.contact_sheet import save_contact_sheet, save_nearest_pairs

    with writing_to(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_appearing_whole(folder) as partial_folder:
            paths = [partial_folder / name for _, _, name in _MADE]
            write_json(paths[0], comparison.as_dict())
            save_contact_sheet(real, generated, paths[1], seed=seed)
            save_nearest_pairs(real, generated, comparison.copies, paths[2])
    return [made(output, label, folder.absolute() / name) for output, label, name in _MADE]


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputRefused(
            f"{folder} exists already; name a new folder with --output", reason="output_taken"
        )


def _print(comparison: SetComparison, written: list[dict[str, Any]]) -> None:
    from isocenter.evaluation.sets.judge import COLUMNS

    table = Table(*COLUMNS)
    for row in comparison.rows():
        table.add_row(*map(escape, row))
    print_table(table)
    for one in written:
        say(one["label"], one["path"])
