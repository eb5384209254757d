"""What is taken for a Stable Diffusion folder, what is refused, and what its card passes on."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.modelpack.stable_diffusion.adapter import open_adapter
from isocenter.modelpack.stable_diffusion.card import base_card, card_of, shown_name
from isocenter.modelpack.stable_diffusion.folder import open_folder
from isocenter.modelpack.stable_diffusion.parts import load_parts

Tiny = Callable[[str], Path]


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    """A tiny model that may be spoiled."""
    place = tmp_path / "model"
    shutil.copytree(tiny("sd2"), place)
    return place


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_goes_by_its_name_and_its_digest(tiny: Tiny, folder: Path) -> None:
    found, twin = open_folder(tiny("sd2")), open_folder(folder)
    assert (found.name, twin.name, found.revision) == ("sd2", "model", "")
    assert found.sha256 == twin.sha256
    assert not found.is_xl
    assert open_folder(str(tiny("xl"))).is_xl


def test_the_digest_is_of_what_decides_a_pixel(folder: Path) -> None:
    before = open_folder(folder).sha256
    (folder / "README.md").write_text("other words")
    assert open_folder(folder).sha256 == before
    change(folder / "scheduler" / "scheduler_config.json", prediction_type="epsilon")
    assert open_folder(folder).sha256 != before


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.bin", "v1-5.ckpt", "vae/x.PT"])
def test_pickles_are_refused_and_why(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"\x80")
    with pytest.raises(ModelRefused, match="can run any code"):
        open_folder(folder)


def test_without_safetensors_there_is_nothing_to_read(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelRefused, match=r"unet holds no \.safetensors"):
        open_folder(folder)


def test_half_precision_is_read_where_it_is_all_there_is(folder: Path) -> None:
    part = folder / "unet"
    (part / "diffusion_pytorch_model.safetensors").rename(
        part / "diffusion_pytorch_model.fp16.safetensors"
    )
    found = open_folder(folder)
    assert found.is_half("unet")
    assert not found.is_half("vae")
    assert load_parts(found).unet.config.in_channels == 4


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"_class_name": "StableDiffusion3Pipeline"}, "StableDiffusion3Pipeline"),
        ({"unet": ["my_code", "UNet2DConditionModel"]}, "never run"),
        ({"unet": ["diffusers", "Transformer2DModel"]}, "never run"),
        ({"unet": None}, "never run"),
        ({"helper": ["os", "system"]}, "not known here"),
    ],
)
def test_an_index_may_name_known_classes_alone(
    values: dict[str, Any], words: str, folder: Path
) -> None:
    change(folder / "model_index.json", **values)
    with pytest.raises(ModelRefused, match=words):
        open_folder(folder)


def test_a_safety_checker_is_not_asked_for(folder: Path) -> None:
    named = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    change(folder / "model_index.json", safety_checker=named)
    assert "safety_checker" not in open_folder(folder).classes


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"in_channels": 9}, "inpaints here as well"),
        ({"time_cond_proj_dim": 256}, "distilled"),
        ({"quantization_config": {}}, "quantized"),
    ],
)
def test_other_networks_are_refused(values: dict[str, Any], words: str, folder: Path) -> None:
    change(folder / "unet" / "config.json", **values)
    with pytest.raises(ModelRefused, match=words):
        open_folder(folder)


def test_weights_that_fit_no_description_are_refused(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    change(folder / "unet" / "config.json", block_out_channels=[32, 64])
    with pytest.raises(ModelRefused, match="unet"):
        load_parts(open_folder(folder))
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ModelRefused, match="unet"):
        load_parts(open_folder(folder))


def test_what_is_predicted_must_be_noise_or_velocity(folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", prediction_type="sample")
    with pytest.raises(ModelRefused, match="sample"):
        load_parts(open_folder(folder))


def test_what_is_no_folder_is_refused_in_words(folder: Path, tmp_path: Path) -> None:
    for name in ("no-such-folder", tmp_path / "none", "a/b/c"):
        with pytest.raises(ModelRefused, match="no such Stable Diffusion folder") as refusal:
            open_folder(name)
        assert refusal.value.reason == "no_such_model"
    (folder / "unet" / "config.json").write_text("[")
    with pytest.raises(ModelRefused, match="not JSON"):
        open_folder(folder)
    (folder / "model_index.json").unlink()
    with pytest.raises(ModelRefused, match="model_index"):
        open_folder(folder)
    single = tmp_path / "model.safetensors"
    single.write_bytes(b"")
    with pytest.raises(ModelRefused, match="single file"):
        open_folder(single)


def test_a_name_that_cannot_be_fetched_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no route to https://host/secret")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelRefused, match="could not be fetched") as refusal:
        open_folder("nobody/nothing")
    assert refusal.value.reason == "no_such_model"
    assert "secret" not in str(refusal.value)


def test_the_name_of_a_folder_of_ours_never_leaves_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", pytest.fail)
    with pytest.raises(ModelRefused, match="no such Stable Diffusion folder"):
        open_folder("models/misspelled")


def test_a_library_that_is_missing_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputRefused, match="extra `generate`"):
        load_parts(open_folder(folder))


def test_a_name_is_fetched_without_pickles_and_code(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fetched(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(tiny("sd1"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    found = open_folder("owner/model@main")
    assert (found.name, found.revision) == ("owner/model", "main")
    assert (asked["name"], asked["revision"]) == ("owner/model", "main")
    assert not any(
        pattern.endswith((".bin", ".py", "*")) or "safety" in pattern
        for pattern in asked["allow_patterns"]
    )


def test_the_card_passes_on_what_the_makers_say(tiny: Tiny) -> None:
    card = card_of(open_folder(tiny("sd1")))
    assert card["licence"] == "creativeml-openrail-m"
    assert "not for medicine" in card["intended_use"]
    assert card["limits"][-2:] == [
        "Its makers say: The model draws nothing but noise.",
        "Its makers say: It has never seen a picture.",
    ]
    assert card["base"]["sha256"] == open_folder(tiny("sd1")).sha256


def test_a_card_that_says_nothing_is_said_to_say_nothing(tmp_path: Path) -> None:
    assert base_card(tmp_path) == {"licence": "not stated", "limits": []}
    (tmp_path / "README.md").write_text("no head\n# Limits\n" + 30 * "A long sentence of limits. ")
    assert len(base_card(tmp_path)["limits"]) == 24
    assert shown_name("a\x07b" + 80 * "c") == 64 * "c"
    assert shown_name("\x07") == "stable diffusion"


def test_a_folder_without_a_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no such LoRA folder"):
        open_adapter(tmp_path / "none")
    with pytest.raises(ModelRefused, match="0 files of tensors"):
        open_adapter(tmp_path)
