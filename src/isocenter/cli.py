"""The ``isocenter`` command.

Whatever is heavy is imported inside the command that needs it, so that ``isocenter --help`` answers
at once. Deliberate refusals end with exit code 2, surprises with 1, Ctrl-C with 130.
"""

from __future__ import annotations

import json
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from isocenter.core.errors import (
    InputRefused,
    IsocenterError,
    OutputRefused,
    SeriesChoiceNeeded,
)
from isocenter.core.version import __version__

if TYPE_CHECKING:
    from isocenter.dicom.reading.open import Run, SeriesSummary
    from isocenter.evaluation.compare import Comparison
    from isocenter.tasks.ct_enhance.enhance import EnhanceResult

REFUSED = 2
UNEXPECTED = 1
INTERRUPTED = 130


class Recipe(StrEnum):
    """The complete training runs of ``isocenter.recipes``."""

    CT_ENHANCE = "ct_enhance"


class _Commands(TyperGroup):
    """Turns every way a command can fail into a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _complain("Stopped.")
            raise typer.Exit(INTERRUPTED) from None
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise typer.Exit(_explain(error)) from None


def _explain(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(error, IsocenterError):
        _complain(": ".join([*getattr(error, "__notes__", ()), str(error)]))
        return REFUSED
    if isinstance(error, OSError) and error.strerror:
        _complain(f"The system refused: {error.strerror}.")
        return UNEXPECTED
    # A library's own message may quote a header, so only the kind and the place are shown.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _complain(
        f"Unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
        "Run 'isocenter --debug ...' for the traceback, which may quote the scan's headers."
    )
    return UNEXPECTED


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]isocenter:[/] {escape(message)}")


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
    app(args=arguments, prog_name="isocenter")


def _leave(number: int, _: object) -> None:
    """End on a request to terminate as on Ctrl-C: what is half done is cleared away."""
    raise SystemExit(128 + number)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isocenter {__version__}")
        raise typer.Exit


@app.callback()
def _about(
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


# Options that several commands share

SeriesOption = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="NUMBER|UID",
        help="Which series of INPUT: its number in the listing, its UID or the end of it.",
    ),
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
ScanArgument = Annotated[
    Path, typer.Argument(metavar="INPUT", help="DICOM file, folder, or tree with several series.")
]


@app.command()
def enhance(
    scan: ScanArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="New folder for what is written."),
    ],
    series: SeriesOption = None,
    largest_run: LargestRunOption = False,
    strength: Annotated[
        str,
        typer.Option(
            "--strength",
            metavar="0..1|low|medium|high",
            help="0 writes the most likely image, 1 the texture of a standard-dose scan; low is "
            "0.25, medium 0.5, high 1.",
        ),
    ] = "0",
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Posterior samples to average at strength > 0.")
    ] = 1,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=8, help="Bridge steps of each sample.")
    ] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same pixels.")] = 0,
    dose_fraction: Annotated[
        float | None,
        typer.Option(
            "--dose-fraction",
            metavar="0..1",
            help="Dose of the scan over a standard one, if known; else guessed from the noise.",
        ),
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Go on outside what the model was trained for; the warning is written into "
            "report and DICOM.",
        ),
    ] = False,
) -> None:
    """Enhance a low-dose CT: derived series, uncertainty map and report."""
    from isocenter.tasks.ct_enhance.enhance import enhance as enhance_scan

    with _naming("--series"), _progress_bar("Enhancing") as progress:
        result = enhance_scan(
            scan,
            output,
            series=series,
            largest_run=largest_run,
            strength=strength,
            samples=samples,
            steps=steps,
            seed=seed,
            dose_fraction=dose_fraction,
            model=model,
            device=device,
            force=force,
            progress=progress,
        )
    _print_result(result)


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Say by which option a series is named, where one must be."""
    try:
        yield
    except SeriesChoiceNeeded as error:
        raise SeriesChoiceNeeded(f"{error}\nGive the number with {option}.") from None


@contextmanager
def _progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left, driven by how many slices are done, of how many."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: list[Any] = []

        def report(done: int, total: int) -> None:
            if not tasks:  # a refusal before the work shows no bar
                tasks.append(bar.add_task(what))
            bar.update(tasks[0], completed=done, total=total)

        yield report


def _print_result(result: EnhanceResult) -> None:
    if result.already_there:
        typer.echo("An earlier run had made this very result; it was checked and left as it is.")
    for note in result.notes:
        _complain(f"note: {note}")
    for warning in result.warnings:
        _complain(f"warning: {warning}")
    _say("Enhanced series", result.series_folder)
    for folder in sorted({path.parent for path in result.uncertainty_files}):
        _say("Uncertainty map", folder)
    _say("Report", result.report)


def _say(label: str, path: Path) -> None:
    typer.echo(f"{label + ':':<17}{path}")


@app.command(name="series")
def list_series(
    scan: ScanArgument,
    uids: Annotated[
        bool, typer.Option("--uids", help="Show each Series Instance UID too, an identifier.")
    ] = False,
    folders: Annotated[
        bool,
        typer.Option("--folders", help="Show each folder too; its name may hold a patient's."),
    ] = False,
) -> None:
    """List the series of a folder: which can be enhanced, and why others cannot."""
    from isocenter.dicom.reading.open import find_series

    found = find_series(scan)
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
    _print_table(table)
    for one in found:
        if uids:
            typer.echo(f"UID of {one.number}: {one.key}")
        if folders:
            typer.echo(f"Folder of {one.number}: {one.folder or '.'}")
    reasons: dict[str, list[int]] = {}
    for one in found:
        if not one.fits:
            reasons.setdefault(one.why_not, []).append(one.number)
        elif one.num_damaged:
            remark = f"{one.num_damaged} damaged or empty files lie in the same folders"
            reasons.setdefault(remark, []).append(one.number)
    for reason, numbers in reasons.items():
        typer.echo(f"{_ranges(numbers)}: {reason}")


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


def _print_table(table: Table) -> None:
    """Whole cells on a terminal of any width; a pipe gets lines that are not cut."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


@app.command()
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
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all figures as JSON, '-' to print."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Write a picture of the comparison (PNG)."),
    ] = None,
) -> None:
    """Compare two series of the same anatomy: fidelity, HU bias, noise, sharpness."""
    from isocenter.dicom.reading.open import open_ct_series
    from isocenter.evaluation.compare import evaluate as compare

    if picture is not None and picture.suffix.lower() != ".png":
        raise OutputRefused("the picture is a PNG; name a file that ends in .png")
    both = (("REFERENCE", reference, reference_series), ("TEST", test, test_series))
    run: Run = "largest" if largest_run else "all"
    opened = []
    for name, scan, series in both:
        try:
            with _naming(f"--{name.lower()}-series"):
                opened.append(open_ct_series(scan, series=series, run=run, accept_enhanced=True))
        except IsocenterError as error:
            error.add_note(name)
            raise
    with _progress_bar("Comparing") as progress:
        comparison = compare(*opened, progress=progress)
    if json_file == Path("-"):
        typer.echo(json.dumps(comparison.as_dict(), indent=2, allow_nan=False))
    else:
        _print_comparison(comparison)
        if json_file is not None:
            _write(comparison.save_json, json_file)
    if picture is not None:
        _write(comparison.save_picture, picture)


def _print_comparison(comparison: Comparison) -> None:
    from isocenter.evaluation.comparison import COLUMNS

    table = Table(*COLUMNS)
    for row in comparison.rows():
        table.add_row(*map(escape, row))
    _print_table(table)


def _write(save: Callable[[Path], Path], file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save(file)
    except OSError as error:
        raise OutputRefused(
            f"cannot write {file}: {error.strerror}; name a file in a folder you may write to"
        ) from error


@app.command()
def demo(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="New folder for what is written."),
    ] = Path("isocenter-demo"),
    slices: Annotated[int, typer.Option("--slices", min=3, help="Length of the phantom scan.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same phantom and pixels.")] = 0,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Make a low-dose phantom scan, enhance it and compare it with the known truth."""
    _refuse_taken(output)
    from isocenter.dicom.writing.phantom_scan import write_phantom_scan
    from isocenter.evaluation.compare import evaluate as compare
    from isocenter.modelpack.folder import load_folder
    from isocenter.physics.ct_phantom import low_dose_phantom
    from isocenter.tasks.ct_enhance.enhance import enhance as enhance_scan

    enhancer = load_folder(model, kind="CtEnhancer", device=device)
    _tell("Making a phantom scan at full and at low dose")
    low_dose, full_dose = low_dose_phantom(seed=seed, num_slices=slices)
    scan = output / "low-dose"
    scan.mkdir(parents=True)
    write_phantom_scan(low_dose, scan)
    with _progress_bar("Enhancing") as progress:
        result = enhance_scan(
            scan, output / "result", seed=seed, model=enhancer, device=device, progress=progress
        )
    _tell("Comparing with the full dose, which only a simulation knows")
    before = compare(full_dose, low_dose)
    after = compare(full_dose, result.series_folder)
    _print_before_and_after(before, after)
    _say("Low-dose scan", scan.absolute())
    _print_result(result)


def _tell(message: str) -> None:
    Console(stderr=True).print(message, highlight=False)


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputRefused(f"{folder} exists already; name a new folder with --output")


def _print_before_and_after(before: Comparison, after: Comparison) -> None:
    table = Table("Against the full dose", "Low dose", "Enhanced", "Full dose")
    for earlier, later in zip(before.fidelity, after.fidelity, strict=True):
        name = earlier.protocol.name
        table.add_row(f"PSNR, {name}", f"{earlier.psnr_db:.1f} dB", f"{later.psnr_db:.1f} dB")
        table.add_row(f"SSIM, {name}", f"{earlier.ssim:.3f}", f"{later.ssim:.3f}")
    if before.noise and after.noise:
        spectra = (before.noise.test, after.noise.test, after.noise.reference)
        noise = [spectrum.noise_hu for spectrum in spectra]
        table.add_row("Noise, mean of even regions", *(f"{level:.1f} HU" for level in noise))
    _print_table(table)


@app.command()
def train(
    recipe: Annotated[Recipe, typer.Argument(metavar="RECIPE", help="Such as ct_enhance.")],
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", help="Folder of the training scans.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the model is written.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
    ] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Train a model: a complete, reproducible run, split by patient."""
    try:
        from isocenter.recipes.ct_enhance import recipe as ct_enhance
    except ModuleNotFoundError as error:
        raise InputRefused(
            f"training needs {error.name}, which is not installed; install the extra `train`, "
            "such as by `pip install -e '.[train]'`"
        ) from error

    runs = {Recipe.CT_ENHANCE: ct_enhance.train}
    folder = runs[recipe](data=data, output=output, resume=resume, device=device)
    _say("Model", folder)


@app.command(name="model")
def show_model(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Model folder; the shipped weights without it."),
    ] = None,
) -> None:
    """Verify a model's weights and print its card."""
    from isocenter.modelpack.folder import load_folder

    enhancer = load_folder(folder, kind="CtEnhancer")
    typer.echo(f"{enhancer.name} {enhancer.version}")
    typer.echo(f"weights verified, SHA-256 {enhancer.weights_sha256}")
    typer.echo(json.dumps(enhancer.card, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
