"""``isocenter model``: whether a model's weights are whole, and its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def show_model(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Model folder; the shipped weights without it."),
    ] = None,
) -> None:
    """Verify a model's weights and print its card."""
    from isocenter.modelpack.folder import load

    enhancer = load(folder)
    typer.echo(f"{enhancer.name} {enhancer.version}")
    typer.echo(f"weights verified, SHA-256 {enhancer.weights_sha256}")
    measured = getattr(enhancer, "measured", None)  # not every kind of model has figures
    if measured is not None:
        promised = f"{100 * measured.coverage.promised:.0f} % interval"
        typer.echo(f"{promised} held {measured.coverage.in_words()}")
    typer.echo(json.dumps(enhancer.card, indent=2, ensure_ascii=False))
