"""Few patients, with and without a model to start from: ``python -m benchmarks.transfer``.

A denoiser learns FLAIR images of a few real heads three times with the same images, steps and
draws: from nothing, from a generator of other images, and from it with a part of its weights
frozen. The autoencoder is that of the generator throughout, so errors are of the same latents. The
error is that of heads that were not trained on, at the same noise each time.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.generate.tables import number, table
from benchmarks.transfer.flair import write_folder
from isocenter.core.files import write_json
from isocenter.datasets.splits import TRAIN, VALIDATION
from isocenter.recipes.generate.beginning import Beginning
from isocenter.recipes.generate.collection import OWN, Collection, gather
from isocenter.recipes.generate.configuration import (
    AUTOENCODER,
    DENOISER,
    GenerateRecipe,
)
from isocenter.recipes.generate.recipe import recipe_for
from isocenter.recipes.generate.stages import encode, fit_autoencoder, fit_denoiser


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to begin.

    Attributes:
        name: in words.
        parts: networks whose weights are taken over.
        freeze: patterns of weights of the denoiser that stay.
    """

    name: str
    parts: tuple[str, ...]
    freeze: tuple[str, ...] = ()


SCRATCH = "from nothing"
ARMS = (
    Arm(name=SCRATCH, parts=(AUTOENCODER,)),
    Arm(name="from the generator", parts=(AUTOENCODER, DENOISER)),
    Arm(
        name="from the generator, the way down frozen",
        parts=(AUTOENCODER, DENOISER),
        freeze=("network.conv_in.*", "network.down_blocks.*"),
    ),
)

Errors = dict[int, float]
_WARM_UP_STEPS = 50


def main() -> None:
    """Parse the command line, fit every arm and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mri")
    parser.add_argument("--model", default="brain_t1c", help="generator to start from")
    parser.add_argument("--output", type=Path, default=Path("runs/bench_transfer"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--validate-every", type=int, default=50)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    own = arguments.output / "own"
    say(
        "; ".join(
            f"{name}: {count} slices" for name, count in write_folder(arguments.data, own).items()
        )
    )
    recipe = recipe_of(
        own,
        model=arguments.model,
        steps=arguments.steps,
        validate_every=arguments.validate_every,
        batch_size=arguments.batch,
    )
    found, counts = measured(recipe, own, arguments.output)
    write_json(
        arguments.output / "transfer.json",
        {"model": arguments.model, "images and patients": counts, "errors": found},
        indent=1,
    )
    print(markdown(found, counts))


def say(line: str, /) -> None:
    """On the terminal, at once."""
    print(line, flush=True)


def recipe_of(
    own: Path, *, model: str, steps: int, validate_every: int, batch_size: int
) -> GenerateRecipe:
    """The usual recipe of one's own images, begun with a model whose autoencoder is kept."""
    usual = recipe_for(own)
    loop = replace(
        usual.denoiser.loop,
        steps=steps,
        validate_every=validate_every,
        batch_size=batch_size,
        warm_up_steps=min(_WARM_UP_STEPS, steps // 4),
        workers=0,
    )
    return replace(
        usual,
        start=model,
        autoencoder=replace(usual.autoencoder, kept=True),
        denoiser=replace(usual.denoiser, loop=loop),
    )


def measured(
    recipe: GenerateRecipe, own: Path, output: Path
) -> tuple[dict[str, Errors], dict[str, tuple[int, int]]]:
    """The error on held-out heads by arm and step, and (images, patients) of the parts.

    Args:
        recipe: begins with a model; what it takes over is the arms' to say.
        own: folder with ``images`` and ``labels.csv``.
        output: keeps the runs; one that is finished is read, and one that stopped goes on.
    """
    found: dict[str, Errors] = {}
    counts: dict[str, tuple[int, int]] = {}
    for arm in ARMS:
        begun = replace(recipe, start_parts=arm.parts, freeze=arm.freeze)
        folder = output / arm.name.replace(" ", "_").replace(",", "")
        say(arm.name)
        counts = fit(begun, own, folder).counts()[OWN]
        found[arm.name] = read_errors(folder)
    return found, counts


def fit(recipe: GenerateRecipe, own: Path, folder: Path) -> Collection:
    """Fit the denoiser alone."""
    beginning = Beginning.of(recipe)
    assert beginning is not None
    collection = gather(recipe, own, folder, say=say)
    autoencoder = fit_autoencoder(
        recipe, collection.sets, folder, resume=True, begin=beginning.autoencoder, say=say
    )
    text = beginning.model.text
    encoded = encode(
        recipe,
        collection.families,
        collection.sets,
        autoencoder,
        text,
        folder,
        scale=beginning.model.scale,
        say=say,
    )
    fit_denoiser(
        recipe,
        encoded,
        folder,
        text_width=text.width,
        resume=True,
        begin=beginning.denoiser,
        say=say,
    )
    return collection


def read_errors(folder: Path) -> Errors:
    """What the run's validations found, by step; less is better."""
    with (folder / DENOISER / "validation.csv").open(newline="", encoding="utf-8") as file:
        return {int(row["step"]): -float(row[DENOISER]) for row in csv.DictReader(file)}


def markdown(found: Mapping[str, Errors], counts: Mapping[str, tuple[int, int]]) -> str:
    """A line an arm, a column a validation."""
    steps = sorted(set.intersection(*(set(errors) for errors in found.values())))
    rows = []
    for name, errors in found.items():
        reached = _steps_to_reach(errors, found[SCRATCH][steps[-1]])
        rows.append((name, *(number(errors[step], "{:.3f}") for step in steps), reached))
    fitted, judged = counts[TRAIN], counts[VALIDATION]
    said = (
        f"Error of the denoiser on {judged[0]} FLAIR slices of {judged[1]} heads that were not "
        f"trained on, fitted to {fitted[0]} slices of {fitted[1]} heads:"
    )
    last = f"steps to what {SCRATCH} reaches in {steps[-1]}"
    return f"{said}\n\n" + table(("began", *(f"step {step}" for step in steps), last), rows)


def _steps_to_reach(errors: Errors, wanted: float) -> str:
    return next((str(step) for step in sorted(errors) if errors[step] <= wanted), "not reached")


if __name__ == "__main__":
    main()
