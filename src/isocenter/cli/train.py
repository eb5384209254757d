"""``isocenter train``: a complete run of a recipe."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.answer import Answer, made
from isocenter.cli.options import DeviceOption
from isocenter.cli.output import say, tell
from isocenter.core.errors import InputRefused


class Recipe(StrEnum):
    """The complete training runs of ``isocenter.recipes``."""

    CONTROL = "control"
    CT_ENHANCE = "ct_enhance"
    GENERATORS = "generators"
    LORA = "lora"


# Each has recipe_for(data) and train(recipe, data, output, resume=, device=, progress=).
RECIPE_MODULES = {
    Recipe.CONTROL: "isocenter.recipes.control.recipe",
    Recipe.CT_ENHANCE: "isocenter.recipes.ct_enhance.recipe",
    Recipe.GENERATORS: "isocenter.recipes.generate.recipe",
    Recipe.LORA: "isocenter.recipes.lora.recipe",
}


def train(
    recipe: Annotated[
        Recipe, typer.Argument(metavar="RECIPE", help="control, ct_enhance, generators or lora.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Folder of DICOM scans, or for generators and control with images and labels.csv.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the model is written.")
    ],
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the recipe, such as mean.steps=500; may be given several times.",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", help="Settings of the recipe in a TOML file; --set wins."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
    ] = False,
    device: DeviceOption = "cpu",
) -> Answer:
    """Train a model: a complete, reproducible run, split by patient."""
    try:
        chosen = import_module(RECIPE_MODULES[recipe])
    except ModuleNotFoundError as error:
        raise InputRefused(
            f"training needs {error.name}, which is not installed; install the extra `train`, "
            "such as by `pip install -e '.[train,generate]'`"
        ) from error

    from isocenter.core.settings import assignments_of, read_settings_file, with_settings
    from isocenter.modelpack.folder import verify
    from isocenter.training.processes import is_main_process

    named = (read_settings_file(settings) if settings else {}) | assignments_of(assignments or [])
    configuration = with_settings(chosen.recipe_for(data), named)
    folder = chosen.train(configuration, data, output, resume=resume, device=device, progress=tell)
    num_files = sum(path.is_file() for path in folder.rglob("*"))
    return Answer(
        show=partial(say, "Model", folder) if is_main_process() else _say_nothing,
        result={"weights_sha256": verify(folder)},
        counts_out={"outputs": 1, "files": num_files},
        made=[made("model", "Model", folder, num_files=num_files)],
    )


def _say_nothing() -> None:
    """Of several processes one tells."""
