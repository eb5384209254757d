"""A whole run on a folder of one's own, as small as it can be."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.wish import Wish
from isocenter.recipes.generate.configuration import GenerateRecipe, generators
from isocenter.recipes.generate.families import FAMILIES
from isocenter.recipes.generate.recipe import recipe_for, train
from isocenter.training.judges.fitting import FitSettings

PATIENTS = 80


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs, small or large, one image a patient."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    rows = []
    for number in range(PATIENTS):
        radius = (4, 9)[number % 2]
        center = rng.integers(10, 22, 2)
        disc = (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2
        gray = np.where(disc, 200, 20) + rng.normal(0, 5, disc.shape)
        Image.fromarray(gray.clip(0, 255).astype(np.uint8)).save(
            folder / "images" / f"{number}.png"
        )
        rows.append(
            {
                "file": f"{number}.png",
                "patient": f"p{number}",
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


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "run"
    train(tiny(data), data, output)
    return output


def test_a_folder_of_images_becomes_a_generator(run: Path) -> None:
    generator = ImageGenerator.from_pretrained(run / "model")
    assert generator.family.name == "own"
    assert generator.family.categories == {"class": ("large", "small")}
    (image,) = generator.generate([Wish(categories={"class": "large"})], [1], steps=2)
    assert image.values.shape == (32, 32)
    assert not generator.is_copy(image.values)
    assert generator.card["licence"] == "not stated"
    assert "images_and_patients" in generator.card
    assert (run / "model" / "README.md").read_text().count("generate table") == 2


def test_a_run_goes_on_to_the_same_weights(data: Path, run: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("denoiser: step 1 "):
            raise Stopped

    with pytest.raises(Stopped):
        train(tiny(data), data, tmp_path / "again", progress=stop)
    train(tiny(data), data, tmp_path / "again", resume=True)
    for part in ("denoiser", "autoencoder"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        assert (tmp_path / "again" / "model" / name).read_bytes() == (
            run / "model" / name
        ).read_bytes()


def test_a_run_is_not_begun_twice_nor_gone_on_with_otherwise(data: Path, run: Path) -> None:
    with pytest.raises(OutputRefused, match="--resume"):
        train(tiny(data), data, run)
    with pytest.raises(InputRefused, match="other settings"):
        train(replace(tiny(data), seed=9), data, run, resume=True)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"labels\.csv|missing"):
        train(replace(generators(["brain_t1c"]), families=("hearts",)), tmp_path, tmp_path / "run")


def test_shares_are_one_a_family() -> None:
    with pytest.raises(ValueError, match="one share a family"):
        replace(generators(), shares=(1.0,))
    one = generators(["chest_ct"])
    assert one.shares == (generators().share_of("chest_ct"),)
    assert set(generators().families) == set(FAMILIES)
    assert torch.tensor(generators().shares).min() > 0
