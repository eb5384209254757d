from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from isocenter.modelpack.text.bilingual import WEIGHTS, BilingualEncoder
from isocenter.networks.text_encoder import TextEncoder
from isocenter.recipes.generate.text_encoder import TextEncoderRecipe, text_encoder, train
from isocenter.training.generator.text import READINGS, vocabulary

TINY = replace(
    text_encoder(),
    width=16,
    layers=1,
    heads=2,
    feed_forward=16,
    looks=2,
    validation_items=4,
    loop=replace(
        text_encoder().loop,
        steps=4,
        batch_size=4,
        warm_up_steps=1,
        validate_every=2,
        checkpoint_every=2,
        log_every=1,
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(TINY, tmp_path_factory.mktemp("run"))


def test_the_run_leaves_an_encoder(folder: Path) -> None:
    encoder = BilingualEncoder.from_folder(folder)
    encoder.check("Axial T1c brain MRI with a left glioma, no meningioma.")
    encoder.check("轴位T1增强头颅MRI：左侧胶质瘤，未见脑膜瘤。")
    assert encoder.encode(["left glioma"]).tokens.shape == (1, 40, 16)


def test_a_run_that_was_stopped_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "step 3 " in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path, say=stop)
    assert not (tmp_path / "model").exists()
    again = train(TINY, tmp_path, resume=True)
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_the_same_recipe_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    again = train(TINY, tmp_path)
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_the_encoder_that_ships_is_small() -> None:
    recipe: TextEncoderRecipe = text_encoder()
    assert recipe.width == 128
    with torch.device("meta"):
        network = TextEncoder(
            words=vocabulary().words,
            readings=READINGS,
            width=recipe.width,
            layers=recipe.layers,
            heads=recipe.heads,
            feed_forward=recipe.feed_forward,
            looks=recipe.looks,
        )
    assert sum(weight.numel() for weight in network.parameters()) < 1_000_000
