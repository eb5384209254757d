"""From a folder of images and reports to a LoRA that changes what is drawn."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from safetensors.numpy import load_file

from isocenter.core.errors import InputRefused, ModelRefused, OutputRefused, SettingRefused
from isocenter.core.settings import with_settings
from isocenter.modelpack.folder import verify, write_checksums
from isocenter.modelpack.generator.wish import Wish
from isocenter.modelpack.stable_diffusion.generator import (
    GUARDED_ADAPTER,
    NO_GUARD,
    StableDiffusionGenerator,
)
from isocenter.recipes.lora.collection import gather, read_picture
from isocenter.recipes.lora.configuration import LoraRecipe
from isocenter.recipes.lora.recipe import recipe_for, train

Tiny = Callable[[str], Path]
Write = Callable[..., Any]
WISH = Wish(text="a lung")
WEIGHTS = "pytorch_lora_weights.safetensors"
# A recipe of seconds, as `--set` would make it.
SECONDS = {
    "rank": "2",
    "validation": "patient 0",
    "validation_share": "0",
    "validation_draws": "2",
    "loop.steps": "3",
    "loop.batch_size": "2",
    "loop.learning_rate": "0.02",
    "loop.warm_up_steps": "0",
    "loop.average_decay": "0.1",
    "loop.log_every": "1",
    "loop.validate_every": "3",
    "loop.checkpoint_every": "2",
    "loop.mixed_precision": "no",
}


def recipe(base: Path, **changes: str) -> LoraRecipe:
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    return with_settings(LoraRecipe(), SECONDS | {"base": str(base)} | settings)


def drawn(base: Path, lora: Path | None = None, scale: float = 1.0) -> NDArray:
    generator = StableDiffusionGenerator.load(base, lora=lora, lora_scale=scale)
    (image,) = generator.generate([WISH], [5], steps=2)
    return image.values


@pytest.fixture(scope="module")
def adapter(tiny: Tiny, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of the tiny model that predicts velocity, fitted to gray pictures."""
    return train(recipe(tiny("sd2")), pictures, tmp_path_factory.mktemp("run"))


def test_a_lora_changes_what_is_drawn(tiny: Tiny, adapter: Path) -> None:
    changed = np.abs(drawn(tiny("sd2"), adapter) - drawn(tiny("sd2")))
    half = np.abs(drawn(tiny("sd2"), adapter, scale=0.5) - drawn(tiny("sd2")))
    assert changed.mean() > 0.05
    assert 0 < half.mean() < changed.mean()


def test_at_scale_zero_nothing_changes(tiny: Tiny, adapter: Path) -> None:
    assert np.array_equal(drawn(tiny("sd2"), adapter, scale=0.0), drawn(tiny("sd2")))


def test_the_folder_says_what_it_is(tiny: Tiny, adapter: Path) -> None:
    assert len(verify(adapter)) == 64
    card = json.loads((adapter / "card.json").read_text())
    training = json.loads((adapter / "training.json").read_text())
    base = StableDiffusionGenerator.load(tiny("sd2"))
    assert card["base"] == {"name": "sd2", "revision": "", "sha256": base.weights_sha256}
    assert card["patients"] == {"train": 3, "validation": 1}
    assert (card["steps"], card["seed"]) == (3, LoraRecipe().seed)
    assert "creativeml-openrail-m" in card["licence"]
    assert any("nothing but noise" in one for one in card["limits"])
    assert training["recipe"]["base"] == "sd2"
    everything = "".join(path.read_text() for path in adapter.glob("*.[jm]*"))
    assert "patient 0" not in everything
    assert str(tiny("sd2").parent) not in everything


def test_the_generator_takes_name_scale_and_digest_of_the_lora(tiny: Tiny, adapter: Path) -> None:
    base = StableDiffusionGenerator.load(tiny("sd2"))
    with_lora = StableDiffusionGenerator.load(tiny("sd2"), lora=adapter)
    weak = StableDiffusionGenerator.load(tiny("sd2"), lora=adapter, lora_scale=0.5)
    assert (with_lora.name, with_lora.version) == ("lora-own", "1")
    assert len({one.weights_sha256 for one in (base, with_lora, weak)}) == 3


GUARD = {
    "validation": "judge 0,judge 1",
    "loop.steps": "1",
    "guard.channels": "8",
    "guard.side": "32",
    "guard.grid": "2",
    "guard.widths": "16,32",
    "guard.blocks": "1,1",
    "guard.fit.steps": "2",
    "guard.fit.batch_size": "4",
}


def test_copies_of_what_a_lora_was_fitted_to_are_known(
    tiny: Tiny, many_pictures: Path, tmp_path: Path
) -> None:
    folder = train(recipe(tiny("sd2"), **GUARD), many_pictures, tmp_path / "run")
    card = json.loads((folder / "card.json").read_text())
    assert card["guard"]["num_held_out"] == 20
    assert "Of 20 images of patients who were held out" in (folder / "README.md").read_text()
    generator = StableDiffusionGenerator.load(tiny("sd2"), lora=folder)
    assert generator.notes == (GUARDED_ADAPTER,)
    trained, held_out = (
        read_picture(many_pictures / "images" / f"{number}.png", windowed=False)
        for number in (3, 12)
    )
    assert generator.is_copy(trained)
    assert not generator.is_copy(held_out)
    config = json.loads((folder / "guard" / "config.json").read_text())
    config["groups"] = {"others": config["groups"]["images"]}
    (folder / "guard" / "config.json").write_text(json.dumps(config))
    write_checksums(folder)
    with pytest.raises(ModelRefused, match="knows other images"):
        StableDiffusionGenerator.load(tiny("sd2"), lora=folder)


def test_a_lora_of_few_patients_has_no_guard_and_says_so(tiny: Tiny, adapter: Path) -> None:
    assert json.loads((adapter / "card.json").read_text())["guard"] is None
    assert "No guard" in (adapter / "README.md").read_text()
    generator = StableDiffusionGenerator.load(tiny("sd2"), lora=adapter)
    assert generator.notes == (NO_GUARD,)
    assert not generator.is_copy(drawn(tiny("sd2"), adapter))


@pytest.mark.parametrize("kind", ["sd1", "xl"])
def test_every_kind_is_adapted_with_its_text_encoders(
    kind: str, tiny: Tiny, pictures: Path, tmp_path: Path
) -> None:
    chosen = recipe(
        tiny(kind), train_text_encoder="true", loop__steps="2", gradient_checkpointing="true"
    )
    folder = train(chosen, pictures, tmp_path / "run")
    names = {name.partition(".")[0] for name in load_file(folder / WEIGHTS)}
    assert names == {"unet", "text_encoder", *(["text_encoder_2"] if kind == "xl" else [])}
    assert not np.allclose(drawn(tiny(kind), folder), drawn(tiny(kind)))


def test_a_run_that_was_stopped_ends_at_the_same_weights(
    tiny: Tiny, pictures: Path, adapter: Path, tmp_path: Path
) -> None:
    def stop(line: str, /) -> None:
        if line.startswith("lora: step 3 of 3"):
            raise KeyboardInterrupt

    chosen, output = recipe(tiny("sd2")), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(chosen, pictures, output, progress=stop)
    lines: list[str] = []
    resumed = train(chosen, pictures, output, resume=True, progress=lines.append)
    assert any("from step 2 to 3" in line for line in lines)
    assert (resumed / WEIGHTS).read_bytes() == (adapter / WEIGHTS).read_bytes()


def test_a_run_goes_on_with_its_own_settings_and_images_alone(
    tiny: Tiny, pictures: Path, adapter: Path, tmp_path: Path
) -> None:
    output = adapter.parent
    with pytest.raises(OutputRefused, match="--resume"):
        train(recipe(tiny("sd2")), pictures, output)
    with pytest.raises(InputRefused, match="rank"):
        train(recipe(tiny("sd2"), rank="3"), pictures, output, resume=True)
    with pytest.raises(InputRefused, match="base"):
        train(recipe(tiny("sd1")), pictures, output, resume=True)
    other = tmp_path / "other"
    shutil.copytree(pictures, other)
    shutil.copy(other / "images" / "1.png", other / "images" / "2.png")
    with pytest.raises(InputRefused, match="images"):
        train(recipe(tiny("sd2")), other, output, resume=True)


def test_a_lora_fits_its_own_base_alone(tiny: Tiny, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="fitted to sd2"):
        StableDiffusionGenerator.load(tiny("sd1"), lora=adapter)
    with pytest.raises(ModelRefused, match="give the model that it"):
        StableDiffusionGenerator.load(adapter)
    with pytest.raises(SettingRefused, match="scale"):
        StableDiffusionGenerator.load(tiny("sd2"), lora=adapter, lora_scale=-1)
    plain = tmp_path / "plain"
    plain.mkdir()
    shutil.copy(adapter / WEIGHTS, plain)
    assert np.array_equal(drawn(tiny("sd2"), plain), drawn(tiny("sd2"), adapter))
    with pytest.raises(ModelRefused, match="does not fit"):
        StableDiffusionGenerator.load(tiny("xl"), lora=plain)


def test_an_altered_lora_is_refused(tiny: Tiny, adapter: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lora"
    shutil.copytree(adapter, folder)
    facts = json.loads((folder / "stable_diffusion.json").read_text())
    (folder / "stable_diffusion.json").write_text(json.dumps(facts | {"unit": "HU"}))
    with pytest.raises(ModelRefused, match="altered"):
        StableDiffusionGenerator.load(tiny("sd2"), lora=folder)
    (folder / "stable_diffusion.json").write_text(json.dumps(facts | {"window": {"center": 0}}))
    write_checksums(folder)
    with pytest.raises(ModelRefused, match="width"):
        StableDiffusionGenerator.load(tiny("sd2"), lora=folder)
    (folder / "evil.bin").write_bytes(b"")
    with pytest.raises(ModelRefused, match="pickle"):
        StableDiffusionGenerator.load(tiny("sd2"), lora=folder)


def write_patients(write: Write, data: Path) -> None:
    for number in range(2):

        def edit(dataset: Dataset, index: int, number: int = number) -> None:
            dataset.PatientID = f"MRN-{number}"

        write(
            folder=data / f"p{number}",
            seed=number,
            shape=(3, 32, 32),
            spacing_mm=(3.0, 2.0, 2.0),
            edit=edit,
        )


def test_ct_is_windowed_and_comes_back_in_hounsfield_units(
    tiny: Tiny, write_classic_ct: Write, tmp_path: Path
) -> None:
    data = tmp_path / "dicom"
    write_patients(write_classic_ct, data)
    chosen = recipe(
        tiny("sd2"),
        window="40,400",
        caption="a lung",
        validation="",
        validation_share="0.5",
        split_seed=_seed_that_divides(data),
        loop__steps="1",
        title="Chest CT",
        body_part="CHEST",
    )
    lines: list[str] = []
    folder = train(chosen, data, tmp_path / "run", progress=lines.append)
    generator = StableDiffusionGenerator.load(tiny("sd2"), lora=folder)
    family = generator.family
    assert (family.unit, family.window, family.modality) == ("HU", (40, 400), "CT")
    assert (family.title, family.body_part, family.pixel_mm) == ("Chest CT", "CHEST", 2.0)
    (image,) = generator.generate([WISH], [1], steps=1)
    assert image.values.min() >= -160
    assert image.values.max() <= 240
    assert "patients: 1 train (3 images), 1 validation (3 images)" in lines
    assert "MRN" not in "".join(path.read_text() for path in folder.glob("*.json"))


def _seed_that_divides(data: Path) -> str:
    for seed in range(50):
        chosen = with_settings(
            LoraRecipe(),
            {"window": "40,400", "validation_share": "0.5", "split_seed": str(seed)},
        )
        try:
            gather(chosen, data, say=lambda line, /: None)
        except InputRefused:
            continue
        return str(seed)
    raise AssertionError


def test_what_is_missing_is_said(tiny: Tiny, pictures: Path, tmp_path: Path) -> None:
    assert recipe_for(pictures) == LoraRecipe()
    with pytest.raises(SettingRefused, match="--set base"):
        train(LoraRecipe(), pictures, tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match="window"):
        train(recipe(tiny("sd2")), tmp_path / "empty", tmp_path / "run")
    with pytest.raises(SettingRefused, match="multiple of 8"):
        train(recipe(tiny("sd2"), size="20"), pictures, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["picture", "text"], ["0.png", "x"]], "no column image"),
        ([["image", "note"], ["0.png", "x"]], "--set caption"),
        ([["image", "text"]], "lists no image"),
        ([["image", "text"], ["../labels.csv", "x"]], "not below images"),
        ([["image", "text"], ["9.png", "x"]], "not below images"),
        ([["image", "text", "patient"], ["0.png", "x", ""]], "no patient"),
        ([["image", "text", "patient"], ["0.png", "x", "p"]], "0 judge"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    rows: list[list[str]], words: str, pictures: Path, tmp_path: Path
) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(InputRefused, match=words):
        gather(LoraRecipe(validation_share=0.0), tmp_path, say=lambda line, /: None)


def test_pictures_are_read_as_gray(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(levels).save(tmp_path / "gray.png")
    Image.fromarray(np.stack([levels] * 3, -1)).save(tmp_path / "color.png")
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("gray.png", "color.png"):
        assert np.array_equal(read_picture(tmp_path / name, windowed=False), levels)
    deep = read_picture(tmp_path / "deep.png", windowed=True)
    assert np.array_equal(deep, levels.astype(np.float32) * 257)
    with pytest.raises(InputRefused, match="more than 8 bits"):
        read_picture(tmp_path / "deep.png", windowed=False)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputRefused, match="no PNG or JPEG or TIFF file"):
        read_picture(tmp_path / "text.png", windowed=False)
