"""``isocenter generate``: new images of what is asked for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from isocenter.cli.answer import Answer, made
from isocenter.cli.options import DeviceOption, OutputOption
from isocenter.cli.output import print_made, progress_bar
from isocenter.core.settings import assignments_of
from isocenter.modelpack.generator.defaults import OWN_SAMPLER
from isocenter.tasks.generate.settings import GenerateSettings
from isocenter.tasks.settings import help_of

if TYPE_CHECKING:
    from isocenter.tasks.generate.generate import GenerateResult

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="What draws: a model that is shipped, such as brain_t1c, or a folder."
    ),
]
GeneratorOption = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="FOLDER", help="Model folder to take in place of the shipped one."
    ),
]
ClassOption = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="What an image shows, or any (left free)."),
]
PlaneOption = Annotated[
    str | None, typer.Option("--plane", metavar="NAME", help="How it lies, or any (left free).")
]
ConditionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--condition",
        metavar="NAME=VALUE",
        help="Any category or number of the model; may be given several times.",
    ),
]
NumberOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set-number",
        metavar="NAME=VALUE",
        help="A number of the model, such as age=60; may be given several times.",
    ),
]
TextOption = Annotated[
    str, typer.Option("--text", metavar="WORDS", help="What to draw, in the model's words.")
]
PrivateOption = Annotated[
    bool,
    typer.Option(
        "--private",
        help="Make folders and files for their owner alone (0700 and 0600); else the system's "
        "defaults hold.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help=help_of(GenerateSettings, "seed"))]
StepsOption = Annotated[
    int | None, typer.Option("--steps", help=help_of(GenerateSettings, "steps"))
]
GuidanceOption = Annotated[
    float | None, typer.Option("--guidance", help=help_of(GenerateSettings, "guidance"))
]
AsOption = Annotated[
    Literal["capture", "modality"],
    typer.Option("--as", help=help_of(GenerateSettings, "written_as")),
]


def generate(
    name: NameArgument,
    output: OutputOption,
    number: Annotated[
        int | None, typer.Option("--number", "-n", help="How many images; 1 by default.")
    ] = None,
    class_: ClassOption = None,
    plane: PlaneOption = None,
    condition: ConditionOption = None,
    set_number: NumberOption = None,
    box: Annotated[
        str | None,
        typer.Option(
            "--box",
            metavar="X,Y,WIDTH,HEIGHT",
            help="Where it lies: center and size as fractions of the image, such as "
            "0.6,0.4,0.15,0.1.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="Label map that guides every image: .png, .npy, .nii or .nii.gz.",
        ),
    ] = None,
    text: TextOption = "",
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="Another image that every image goes by: .png, .npy, .nii or .nii.gz.",
        ),
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(
            "--control",
            metavar="FOLDER",
            help="ControlNet fitted beside the model, which --mask or --reference then steers.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="CSV file that asks for one image a row."),
    ] = None,
    seed: SeedOption = 0,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    sampler: Annotated[
        str, typer.Option("--sampler", help=help_of(GenerateSettings, "sampler"))
    ] = OWN_SAMPLER,
    format: Annotated[
        Literal["dicom", "png", "nifti"],
        typer.Option("--format", help=help_of(GenerateSettings, "format")),
    ] = "dicom",
    written_as: AsOption = "capture",
    attention: Annotated[
        bool, typer.Option("--attention", help=help_of(GenerateSettings, "attention"))
    ] = False,
    model: GeneratorOption = None,
    device: DeviceOption = "cpu",
    private: PrivateOption = False,
) -> Answer:
    """Draw new images that show what is asked for, marked as synthetic, of no patient."""
    conditions = assignments_of(condition or [], example="class=glioma")
    numbers = assignments_of(set_number or [], example="age=60")
    from isocenter.tasks.generate.generate import generate as draw

    with progress_bar("Generating") as progress:
        result = draw(
            name,
            output,
            number=number,
            class_=class_,
            plane=plane,
            conditions=conditions,
            numbers=numbers,
            box=box,
            mask=mask,
            text=text,
            reference=reference,
            control=control,
            labels=labels,
            seed=seed,
            steps=steps,
            guidance=guidance,
            sampler=sampler,
            format=format,
            written_as=written_as,
            attention=attention,
            model=model,
            device=device,
            private=private,
            progress=progress,
        )
    return _answer(result)


def _answer(result: GenerateResult) -> Answer:
    folder = result.folder
    written = [
        made("images", "Images", folder / "images", num_files=len(result.images)),
        made("contact_sheet", "Contact sheet", result.contact_sheet),
    ]
    if result.labels is not None:
        written.append(made("labels", "Labels", result.labels))
    if result.attention:
        place = result.attention[0].parent
        written.append(
            made("attention", "Where words acted", place, num_files=len(result.attention))
        )
    return Answer(
        show=partial(print_made, written, notes=result.notes, already_there=result.already_there),
        result={
            "folder": folder,
            "contact_sheet": result.contact_sheet,
            "labels": result.labels,
            "record": folder / "record.json",
            "copies_replaced": result.copies_replaced,
        },
        counts_out={
            "images": len(result.images),
            "copies_replaced": result.copies_replaced,
            "outputs": len(written),
            "files": sum(one["num_files"] for one in written),
        },
        made=written,
        notes=result.notes,
        reason="already_there" if result.already_there else "done",
    )
