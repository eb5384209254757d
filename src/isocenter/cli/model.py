"""``isocenter model``: whether a model's weights are whole, and its card."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isocenter.cli.answer import Answer

if TYPE_CHECKING:
    from isocenter.modelpack.ct_enhance.model import CtEnhancer


def show_model(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Model folder; the shipped weights without it."),
    ] = None,
) -> Answer:
    """Verify a model's weights and print its card."""
    from isocenter.modelpack.folder import load

    enhancer = load(folder)
    return Answer(
        show=partial(_print, enhancer),
        result={
            "name": enhancer.name,
            "version": enhancer.version,
            "weights_sha256": enhancer.weights_sha256,
            "card": enhancer.card,
        },
    )


def _print(enhancer: CtEnhancer) -> None:
    typer.echo(f"{enhancer.name} {enhancer.version}")
    typer.echo(f"weights verified, SHA-256 {enhancer.weights_sha256}")
    measured = getattr(enhancer, "measured", None)  # not every kind of model has figures
    if measured is not None:
        promised = f"{100 * measured.coverage.promised:.0f} % interval"
        typer.echo(f"{promised} held {measured.coverage.in_words()}")
    typer.echo(json.dumps(enhancer.card, indent=2, ensure_ascii=False))
