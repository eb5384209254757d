"""``isocenter train``: a complete run of a recipe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.options import DeviceOption
from isocenter.cli.output import say
from isocenter.core.errors import InputRefused


class Recipe(StrEnum):
    """The complete training runs of ``isocenter.recipes``."""

    CT_ENHANCE = "ct_enhance"


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
    say("Model", folder)
