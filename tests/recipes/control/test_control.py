"""A ControlNet beside a frozen generator."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.modelpack.generator.tiny import tiny_generator

from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.modelpack.control.model import ImageControl, pooled_labels
from isocenter.modelpack.folder import verify
from isocenter.modelpack.generator.model import UNGUARDED_CONTROL, ImageGenerator
from isocenter.modelpack.generator.wish import Wish
from isocenter.networks.latent_unet import LatentControlNet
from isocenter.recipes.control.configuration import ControlRecipe
from isocenter.recipes.control.recipe import train
from isocenter.tasks.generate.generate import generate

CARD = {
    "name": "new",
    "version": "0",
    "intended_use": "Tests.",
    "licence": "not stated",
    "not_for": ["Anything else."],
    "limits": ["It adds nothing."],
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "model"
    tiny_generator().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright discs, and a mask that says where each is."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    rows = []
    for number in range(24):
        center = rng.integers(8, 24, 2)
        disc = (y - center[0]) ** 2 + (x - center[1]) ** 2 < 49
        for name, image in (("image", np.where(disc, 220, 20)), ("mask", disc)):
            Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{name}{number}.png")
        rows.append(
            {
                "file": f"image{number}.png",
                "patient": f"p{number // 2}",
                "mask": f"mask{number}.png",
                "reference": f"image{number}.png",
            }
        )
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def recipe_of(start: Path, **changes: str) -> ControlRecipe:
    recipe = ControlRecipe(start=str(start), family="heads", validation_cases=8)
    loop = replace(
        recipe.loop,
        steps=10,
        batch_size=4,
        learning_rate=3e-3,
        warm_up_steps=1,
        workers=0,
        validate_every=10,
        average_decay=0.5,
    )
    return replace(recipe, loop=loop, **changes)  # type: ignore[arg-type]


def mask_of(column: int) -> np.ndarray:
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, column : column + 12] = 1
    return mask


def drawn(generator: ImageGenerator) -> np.ndarray:
    (image,) = generator.generate([Wish()], [3], steps=2)
    return image.values


def test_a_fitted_control_changes_images_and_not_its_base(
    start: Path, data: Path, tmp_path: Path
) -> None:
    before = verify(start)
    folder = train(recipe_of(start), data, tmp_path / "run")
    assert verify(start) == before
    generator = ImageGenerator.from_pretrained(start, family="heads")
    plain = drawn(generator)
    steered = drawn(generator.with_control(folder, mask_of(4)))
    assert not np.array_equal(plain, steered)
    assert not np.array_equal(steered, drawn(generator.with_control(folder, mask_of(16))))
    assert np.array_equal(drawn(generator), plain)
    control = ImageControl.from_pretrained(folder)
    assert control.labels == ("label 1",)
    assert control.base["weights_sha256"] == before
    assert str(start) not in (folder / "training.json").read_text()
    with pytest.raises(InputRefused, match="label 2"):
        generator.with_control(folder, mask_of(4) * 2)
    with pytest.raises(InputRefused, match="takes 32 x 32"):
        generator.with_control(folder, mask_of(4)[:16])


def test_images_are_drawn_with_a_control_and_say_so(start: Path, tmp_path: Path) -> None:
    generator = ImageGenerator.from_pretrained(start, family="heads")
    new_control(generator).save_pretrained(tmp_path / "control")
    options: dict[str, Any] = {"steps": 2, "format": "png", "model": start}
    with pytest.raises(InputRefused, match="give it by mask"):
        generate("heads", tmp_path / "none", control=tmp_path / "control", **options)
    made = generate(
        "heads", tmp_path / "out", control=tmp_path / "control", mask=mask_of(4), **options
    )
    assert len(made.images) == 1
    said = made.record.settings["control"]
    assert said["name"] == "new"
    assert len(said["mask_sha256"]) == 64
    assert "mask_sha256" not in made.record.settings["wish"]
    assert made.notes == (UNGUARDED_CONTROL,)


def test_another_image_steers_too(start: Path, data: Path, tmp_path: Path) -> None:
    folder = train(recipe_of(start, told="image"), data, tmp_path / "run")
    generator = ImageGenerator.from_pretrained(start, family="heads")
    bright = generator.with_control(folder, np.full((32, 32), 200.0))
    assert not np.array_equal(drawn(bright), drawn(generator))


def new_control(generator: ImageGenerator, *, digest: str = "") -> ImageControl:
    return ImageControl(
        control=LatentControlNet.beside(generator.denoiser, control_channels=2),
        family="heads",
        told="mask",
        labels=("disc",),
        base={
            "name": generator.name,
            "version": generator.version,
            "weights_sha256": digest or generator.weights_sha256,
        },
        card=CARD,
    )


def test_a_new_control_leaves_images_bit_for_bit(start: Path) -> None:
    generator = ImageGenerator.from_pretrained(start, family="heads")
    steered = generator.with_control(new_control(generator), mask_of(4))
    assert steered.of("chests").notes == generator.notes == ()
    assert np.array_equal(drawn(steered), drawn(generator))
    assert drawn(steered.of("chests")).shape == (32, 48)


def test_a_control_is_refused_beside_another_generator(start: Path, tmp_path: Path) -> None:
    generator = ImageGenerator.from_pretrained(start, family="heads")
    with pytest.raises(ModelRefused, match="fitted beside"):
        generator.with_control(new_control(generator, digest="0" * 64), mask_of(4))
    with pytest.raises(ModelRefused, match="chests is chosen"):
        generator.of("chests").with_control(new_control(generator), mask_of(4))
    with pytest.raises(ModelRefused, match="ImageControl is needed"):
        generator.with_control(start, mask_of(4))
    new_control(generator).save_pretrained(tmp_path / "control")
    with pytest.raises(ModelRefused, match="another architecture"):
        train(recipe_of(tmp_path / "control"), tmp_path, tmp_path / "run")


def test_what_cannot_be_steered_is_refused(start: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingRefused, match="set start="):
        train(ControlRecipe(), data, tmp_path / "run")
    with pytest.raises(SettingRefused, match="set family="):
        train(replace(recipe_of(start), family=""), data, tmp_path / "run")
    with pytest.raises(InputRefused, match="has 32 x 48"):
        train(replace(recipe_of(start), family="chests"), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_labels_are_pooled_by_share_and_by_presence() -> None:
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 0, 0] = 2
    labels[0, 4:, 4:] = 1
    found = pooled_labels(labels, 2, factor=4)
    assert found.shape == (1, 4, 2, 2)
    assert torch.equal(found[0, 0], torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    assert found[0, 1, 0, 0] == 1 / 16
    assert found[0, 3, 0, 0] == 1
