"""A folder of one's own with planted images, and a recipe for it with few steps."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isocenter.recipes.generate.configuration import GenerateRecipe
from isocenter.recipes.generate.recipe import recipe_for
from isocenter.training.judges.fitting import FitSettings


def discs(folder: Path, *, patients: int, each: int = 1, gray: int = 200) -> Path:
    """Discs, small or large, in a folder with its table."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(gray - 200)
    y, x = np.mgrid[:32, :32]
    rows = []
    for number in range(patients * each):
        radius = (4, 9)[number % 2]
        center = rng.integers(10, 22, 2)
        disc = (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2
        image = np.where(disc, gray, 20) + rng.normal(0, 5, disc.shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(
            folder / "images" / f"{number}.png"
        )
        rows.append(
            {
                "file": f"{number}.png",
                "patient": f"p{number // each}",
                "class": ("small", "large")[number % 2],
            }
        )
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def tiny(data: Path) -> GenerateRecipe:
    """The recipe of a folder with few steps of small networks."""
    recipe = recipe_for(data)
    quick: dict[str, Any] = {
        "workers": 0,
        "warm_up_steps": 1,
        "validate_every": 2,
        "checkpoint_every": 1,
    }
    return replace(
        recipe,
        validation_cases=4,
        text=replace(
            recipe.text,
            width=16,
            layers=1,
            heads=2,
            feed_forward=16,
            validation_items=4,
            loop=replace(recipe.text.loop, steps=1, batch_size=2, **quick),
        ),
        autoencoder=replace(
            recipe.autoencoder,
            channels=(16, 16),
            latent_channels=2,
            crop=32,
            loop=replace(recipe.autoencoder.loop, steps=2, batch_size=2, **quick),
        ),
        refine=replace(
            recipe.refine,
            losses=replace(recipe.refine.losses, adversary_first_step=1),
            loop=replace(recipe.refine.loop, steps=2, batch_size=2, **quick),
        ),
        features=replace(
            recipe.features,
            widths=(16,),
            blocks=(1,),
            side=16,
            projected=4,
            fit=FitSettings(steps=2, batch_size=4),
        ),
        denoiser=replace(
            recipe.denoiser,
            channels=(16, 32),
            head_channels=16,
            loop=replace(recipe.denoiser.loop, steps=3, batch_size=2, **quick),
        ),
        guard=replace(
            recipe.guard,
            channels=8,
            side=32,
            grid=2,
            widths=(16, 32),
            blocks=(1, 1),
            fit=FitSettings(steps=2, batch_size=4),
        ),
    )
