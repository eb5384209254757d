"""``isocenter edit``: an image altered by a model that draws."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isocenter.cli.answer import Answer, made
from isocenter.cli.generate import (
    AsOption,
    ClassOption,
    ConditionOption,
    GeneratorOption,
    GuidanceOption,
    NameArgument,
    NumberOption,
    PlaneOption,
    PrivateOption,
    SeedOption,
    StepsOption,
    TextOption,
)
from isocenter.cli.options import DeviceOption, OutputOption
from isocenter.cli.output import print_made, progress_bar
from isocenter.core.settings import assignments_of
from isocenter.tasks.edit.settings import EditSettings
from isocenter.tasks.settings import help_of

if TYPE_CHECKING:
    from isocenter.tasks.edit.edit import EditResult


def edit(
    name: NameArgument,
    input: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A flat image of the model's size: PNG, NIfTI or MetaImage of one slice, DICOM.",
        ),
    ],
    output: OutputOption,
    strength: Annotated[
        float | None, typer.Option("--strength", help=help_of(EditSettings, "strength"))
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="Where the image may change, all but 0: .png, .npy, .nii or .nii.gz.",
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            "--box",
            metavar="X,Y,WIDTH,HEIGHT",
            help="The same as a box: center and size as fractions of the image, such as "
            "0.6,0.4,0.15,0.1.",
        ),
    ] = None,
    between: Annotated[
        Path | None,
        typer.Option(
            "--between", metavar="SECOND", help="A second image; gives images between the two."
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--number", "-n", help="How many images lie between the two; 5 by default."),
    ] = None,
    class_: ClassOption = None,
    plane: PlaneOption = None,
    condition: ConditionOption = None,
    set_number: NumberOption = None,
    text: TextOption = "",
    seed: SeedOption = 0,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    resize: Annotated[bool, typer.Option("--resize", help=help_of(EditSettings, "resize"))] = False,
    written_as: AsOption = "capture",
    model: GeneratorOption = None,
    device: DeviceOption = "cpu",
    private: PrivateOption = False,
) -> Answer:
    """Alter an image in whole or inside a region, or give the images between two."""
    conditions = assignments_of(condition or [], example="class=glioma")
    numbers = assignments_of(set_number or [], example="age=60")
    from isocenter.tasks.edit.edit import edit as alter

    with progress_bar("Editing") as progress:
        result = alter(
            name,
            input,
            output,
            strength=strength,
            mask=mask,
            box=box,
            between=between,
            number=number,
            class_=class_,
            plane=plane,
            conditions=conditions,
            numbers=numbers,
            text=text,
            seed=seed,
            steps=steps,
            guidance=guidance,
            resize=resize,
            written_as=written_as,
            model=model,
            device=device,
            private=private,
            progress=progress,
        )
    return _answer(result, inputs=1 if between is None else 2)


def _answer(result: EditResult, *, inputs: int) -> Answer:
    written = [
        made("images", "Images", result.folder / "images", num_files=len(result.images)),
        made("contact_sheet", "Before and after", result.contact_sheet),
    ]
    return Answer(
        show=partial(_print, result, written),
        result={
            "folder": result.folder,
            "contact_sheet": result.contact_sheet,
            "record": result.folder / "record.json",
            "pixels_kept": result.pixels_kept,
        },
        counts_in={"images": inputs},
        counts_out={
            "images": len(result.images),
            "outputs": len(written),
            "files": sum(one["num_files"] for one in written),
        },
        made=written,
        notes=result.notes,
        reason="already_there" if result.already_there else "done",
    )


def _print(result: EditResult, written: list[dict[str, Any]]) -> None:
    print_made(written, notes=result.notes, already_there=result.already_there)
    if result.pixels_kept:
        typer.echo(f"{result.pixels_kept} pixels outside the region are as they were.")
