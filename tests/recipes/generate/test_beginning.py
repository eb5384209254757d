"""What a generator begins with from another one."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.modelpack.generator.tiny import CHESTS, HEADS, tiny_denoiser
from tests.recipes.generate.tiny_run import discs, tiny

from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.core.settings import with_settings
from isocenter.modelpack.folder import write_checksums
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.told import vocabulary_of
from isocenter.networks.latent_unet import LatentUNet
from isocenter.recipes.generate.beginning import carried_by_name
from isocenter.recipes.generate.configuration import GenerateRecipe, generators
from isocenter.recipes.generate.recipe import train

FEW_STEPS = 4


def with_steps(recipe: GenerateRecipe, steps: int) -> GenerateRecipe:
    loop = replace(
        recipe.denoiser.loop, steps=steps, batch_size=8, learning_rate=3e-3, validate_every=steps
    )
    loop = replace(loop, checkpoint_every=1000, log_every=1000)
    return replace(recipe, denoiser=replace(recipe.denoiser, loop=loop), validation_cases=32)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training on many patients."""
    folder = tmp_path_factory.mktemp("base")
    data = discs(folder / "data", patients=80)
    train(with_steps(tiny(data), 120), data, folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients of another kind of disc."""
    return discs(tmp_path_factory.mktemp("few") / "data", patients=4, each=12, gray=230)


def adapted(data: Path, base: Path, **settings: str) -> GenerateRecipe:
    recipe = with_steps(tiny(data), FEW_STEPS)
    return with_settings(recipe, {"start": str(base), "autoencoder.kept": "true", **settings})


def merit_of(run: Path) -> float:
    with (run / "denoiser" / "validation.csv").open() as file:
        return float(list(csv.DictReader(file))[-1]["denoiser"])


def test_few_patients_are_enough_with_a_beginning(base: Path, few: Path, tmp_path: Path) -> None:
    begun = adapted(few, base, freeze="network.down_blocks.0.*,network.time_embed.*")
    from_nothing = adapted(few, base, start_parts="autoencoder")  # the same latents
    train(begun, few, tmp_path / "begun")
    train(from_nothing, few, tmp_path / "nothing")
    # Minus the squared error of latents of deviation one: two for a network that says nothing.
    assert merit_of(tmp_path / "begun") > merit_of(tmp_path / "nothing") + 0.2
    made = ImageGenerator.from_pretrained(tmp_path / "begun" / "model")
    before = ImageGenerator.from_pretrained(base / "model")
    words = (made.text.encode(["a small disc"]).pooled, before.text.encode(["a small disc"]).pooled)
    assert torch.equal(*words)
    assert made.scale == before.scale
    old = dict(before.denoiser.named_parameters())
    new = dict(made.denoiser.named_parameters())
    stays = [name for name in new if name.startswith("network.down_blocks.0.")]
    assert stays
    assert all(torch.equal(new[name], old[name]) for name in stays)
    assert any(not torch.equal(new[name], old[name]) for name in new)
    told = json.loads((tmp_path / "begun" / "model" / "training.json").read_text())
    assert told["start"]["weights_sha256"] == before.weights_sha256
    assert "weights are taken over" in told["start"]["taken"]["denoiser"]
    assert "class large" in told["start"]["taken"]["denoiser"]
    assert str(base) not in json.dumps(told)
    assert "It began with" in (tmp_path / "begun" / "model" / "README.md").read_text()


def test_without_a_beginning_few_patients_are_refused(few: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="too few"):
        train(tiny(few), few, tmp_path / "run")


def test_what_is_no_beginning_is_refused_before_any_work(
    base: Path, few: Path, tmp_path: Path
) -> None:
    altered = shutil.copytree(base / "model", tmp_path / "altered")
    weights = altered / "denoiser" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"tampered")
    pickled = shutil.copytree(base / "model", tmp_path / "pickled")
    (pickled / "weights.pt").write_bytes(b"\x80\x04.")
    write_checksums(pickled)
    for start, said in (
        (altered, "altered"),
        (pickled, "run code"),
        (base / "denoiser" / "denoiser.pt", "no such model"),
        (tmp_path / "nowhere", "no such model"),
    ):
        with pytest.raises(ModelRefused, match=said):
            train(adapted(few, start), few, tmp_path / "run")
    wider = replace(adapted(few, base).denoiser, channels=(32, 64))
    with pytest.raises(ModelRefused, match=r"another architecture.*denoiser\.channels=16,32"):
        train(replace(adapted(few, base), denoiser=wider), few, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_told_is_carried_over_by_name() -> None:
    known = vocabulary_of([HEADS, CHESTS])
    wanted = vocabulary_of(
        [replace(CHESTS, categories={"class": ("flat", "wide", "long")}, numbers=HEADS.numbers)]
    )
    old = tiny_denoiser()
    config = old.config | {"category_sizes": wanted.category_sizes}
    new = LatentUNet(**config)
    weights, carried = carried_by_name(old.state_dict(), known, new.state_dict(), wanted)
    assert carried == ["family chests", "class wide", "class long", "age"]
    place = list(known.categories).index("class")
    before = old.state_dict()[f"told.categories.{place}.weight"]
    fresh = new.state_dict()["told.categories.1.weight"]
    table = weights["told.categories.1.weight"]
    assert list(wanted.categories) == ["family", "class"]
    for name in ("wide", "long"):
        row = known.category_codes("chests", {"class": name})[place]
        own = wanted.category_codes("chests", {"class": name})[1]
        assert torch.equal(table[own], before[row])
    assert torch.equal(table[0], before[0])
    assert torch.equal(table[1], fresh[1])  # flat is new
    assert torch.equal(weights["told.number_weights"], old.told.number_weights)
    new.load_state_dict(weights)


def test_settings_of_a_beginning_need_one() -> None:
    for name, value in (("freeze", "network.*"), ("autoencoder.kept", "true")):
        with pytest.raises(SettingRefused, match="name a model by start"):
            with_settings(generators(), {name: value})
    with pytest.raises(SettingRefused, match="start_parts"):
        with_settings(generators(), {"start_parts": "guard"})
