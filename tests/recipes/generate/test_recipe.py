"""A whole run on a folder of one's own, as small as it can be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.recipes.generate.tiny_run import discs, tiny

from isocenter.core.errors import InputRefused, OutputRefused, SettingRefused
from isocenter.core.progress import say_nothing
from isocenter.core.settings import with_settings
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.wish import Wish
from isocenter.recipes.generate.collection import gather
from isocenter.recipes.generate.configuration import generators
from isocenter.recipes.generate.families import FAMILIES
from isocenter.recipes.generate.recipe import train
from isocenter.recipes.generate.stages import records_by_family, with_versions
from isocenter.training.checkpoint import load_state
from isocenter.training.generator.augmented import augmented


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return discs(tmp_path_factory.mktemp("own"), patients=80)


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


def test_a_limit_of_the_signal_is_for_processes_that_keep_the_variance() -> None:
    with pytest.raises(SettingRefused, match="leave it out for a flow"):
        with_settings(generators(), {"denoiser.snr_limit": "5"})
    changes = {
        "denoiser.snr_limit": "5",
        "process.schedule": "cosine",
        "process.prediction_type": "v_prediction",
    }
    assert with_settings(generators(), changes).denoiser.snr_limit == 5


def test_versions_of_training_images_are_kept_with_their_records(
    data: Path, tmp_path: Path
) -> None:
    recipe = with_settings(tiny(data), {"denoiser.augmented": "2"})
    images = gather(recipe, data, tmp_path, say=say_nothing).sets["own"]
    records = records_by_family(recipe, {"own": images})
    whole = with_versions(images, records["own"])
    train_images = images.part("train")
    assert len(whole.part("train")) == 3 * len(train_images)
    assert len(whole.part("validation")) == len(images.part("validation"))
    train(recipe, data, tmp_path / "run")
    kept = load_state(tmp_path / "run" / "latents.pt")
    assert len(kept["own mean"]) == len(whole.part("train")) + len(whole.part("validation"))
    again = augmented(train_images, json.loads(kept["records"])["own"])
    assert again.digest() == whole.chosen(range(len(images), len(whole))).digest()
    with pytest.raises(SettingRefused, match="mirrored chest"):
        with_settings(recipe, {"denoiser.augment.mirror_share": "0.5"})
