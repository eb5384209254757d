"""``isocenter model``: whether a model's weights are whole, and its card."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

import typer

from isocenter.cli.answer import Answer


def show_model(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A model that is shipped, such as brain_t1c, or a model folder; ct_enhance "
            "without it.",
        ),
    ] = None,
) -> Answer:
    """Verify a model's weights and print its card."""
    from isocenter.modelpack.folder import load

    found = load(model)
    return Answer(
        show=partial(_print, found),
        result={
            "name": found.name,
            "version": found.version,
            "weights_sha256": found.weights_sha256,
            "card": found.card,
        },
    )


def _print(model: Any) -> None:
    typer.echo(f"{model.name} {model.version}")
    typer.echo(f"weights verified, SHA-256 {model.weights_sha256}")
    coverage = getattr(getattr(model, "measured", None), "coverage", None)  # of CT alone
    if coverage is not None:
        typer.echo(f"{100 * coverage.promised:.0f} % interval held {coverage.in_words()}")
    for note in getattr(model, "notes", ()):
        typer.echo(note)
    typer.echo(json.dumps(model.card, indent=2, ensure_ascii=False))
