"""``isocenter simulate``: an examination of nobody, with the truth behind it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from isocenter.cli.answer import Answer, made
from isocenter.cli.options import OutputOption
from isocenter.cli.output import print_made, progress_bar
from isocenter.physics.phantom.choices import ALL_CONTRASTS
from isocenter.tasks.settings import help_of
from isocenter.tasks.simulate.settings import SimulateSettings

if TYPE_CHECKING:
    from isocenter.tasks.simulate.simulate import SimulateResult


def _help(name: str) -> str:
    return help_of(SimulateSettings, name)


def simulate(
    what: Annotated[
        Literal["brain"],
        typer.Argument(metavar="WHAT", help="What is simulated: brain, an MR of the head."),
    ],
    output: OutputOption,
    lesion: Annotated[
        Literal["none", "plaques", "tumor", "infarct"],
        typer.Option("--lesion", help=_help("lesion")),
    ] = "none",
    contrasts: Annotated[
        str, typer.Option("--contrasts", metavar="NAMES", help=_help("contrasts"))
    ] = ",".join(ALL_CONTRASTS),
    seed: Annotated[int, typer.Option("--seed", help=_help("seed"))] = 0,
    field: Annotated[float, typer.Option("--field", help=_help("field"))] = 3.0,
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map",
            metavar="FILE",
            help="Head to begin with: NIfTI or MetaImage file of FreeSurfer's labels; a head of "
            "ellipsoids without it.",
        ),
    ] = None,
    slice: Annotated[float, typer.Option("--slice", help=_help("slice"))] = 4.0,
    pixel: Annotated[float, typer.Option("--pixel", help=_help("pixel"))] = 0.9,
    size: Annotated[int, typer.Option("--size", help=_help("size"))] = 256,
    noise: Annotated[float, typer.Option("--noise", help=_help("noise"))] = 1.0,
    flaws: Annotated[float, typer.Option("--flaws", help=_help("flaws"))] = 1.0,
    bending: Annotated[float, typer.Option("--bending", help=_help("bending"))] = 1.0,
    age_hours: Annotated[float | None, typer.Option("--age-hours", help=_help("age_hours"))] = None,
    artery: Annotated[str | None, typer.Option("--artery", help=_help("artery"))] = None,
    plaques: Annotated[int | None, typer.Option("--plaques", help=_help("plaques"))] = None,
    format: Annotated[
        Literal["dicom", "nifti"], typer.Option("--format", help=_help("format"))
    ] = "dicom",
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="Make folders and files for their owner alone (0700 and 0600)."
        ),
    ] = False,
) -> Answer:
    """Simulate an MR examination of a head of nobody, with all truth, marked as synthetic."""
    settings = SimulateSettings(
        lesion=lesion,
        contrasts=contrasts,
        seed=seed,
        field=field,
        slice=slice,
        pixel=pixel,
        size=size,
        noise=noise,
        flaws=flaws,
        bending=bending,
        age_hours=age_hours,
        artery=artery,
        plaques=plaques,
        format=format,
    )
    from isocenter.tasks.simulate.simulate import simulate_brain

    with progress_bar("Simulating") as progress:
        result = simulate_brain(
            output, label_map=label_map, settings=settings, private=private, progress=progress
        )
    return _answer(result)


def _answer(result: SimulateResult) -> Answer:
    folder = result.folder
    written = [_made(name, f"{name} images", files) for name, files in result.images.items()]
    written += [
        _made(f"mask_{name.replace(' ', '_')}", f"Mask, {name}", files)
        for name, files in result.masks.items()
    ]
    written += [
        made("labels", "Labels", result.labels),
        made("overview", "Overview", result.overview),
    ]
    return Answer(
        show=partial(print_made, written, notes=(), already_there=result.already_there),
        result={
            "folder": folder,
            "overview": result.overview,
            "labels": result.labels,
            "head": dict(result.head),
            "record": folder / "record.json",
        },
        counts_out={
            "contrasts": len(result.images),
            "outputs": len(written),
            "files": sum(one["num_files"] for one in written),
        },
        made=written,
        reason="already_there" if result.already_there else "done",
    )


def _made(output: str, label: str, files: tuple[Path, ...]) -> dict[str, Any]:
    first = files[0]
    is_dicom = first.suffix == ".dcm"
    uid = None
    if is_dicom:
        from isocenter.dicom.writing.files import series_uid_of

        uid = series_uid_of(first)
    place = first.parent if is_dicom else first
    return made(output, label, place, num_files=len(files), series_uid=uid)
