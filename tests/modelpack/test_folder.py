from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from isocenter.core.errors import InputRefused, ModelRefused, OutputRefused
from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.modelpack import folder as folder_module
from isocenter.modelpack import registry
from isocenter.modelpack.ct_enhance.contract import Estimate
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.folder import (
    CHECKSUMS,
    EXPLAINING,
    WEIGHTS,
    load,
    load_folder,
    save_folder,
    shipped_folder,
    verify,
    write_checksums,
)
from isocenter.networks.restoration_unet import RestorationUNet

SPACING_MM = (0.8, 0.8)
Build = Callable[..., CtEnhancer]


def judge(model: CtEnhancer, window: NDArray) -> Estimate:
    return model.estimate(window, spacing_mm=SPACING_MM)


def draw(model: CtEnhancer, window: NDArray, estimate: Estimate, seed: int) -> NDArray:
    return model.sample(window, estimate, spacing_mm=SPACING_MM, steps=2, seed=seed)


@pytest.fixture
def saved(tmp_path: Path, build_enhancer: Build) -> Path:
    folder = tmp_path / "model"
    build_enhancer().save_pretrained(folder, documents={"README.md": "# Tiny\n"})
    return folder


def change_json(path: Path, **values: object) -> None:
    """Change a file and list it again, so that its content alone is judged."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    top = path.parent if (path.parent / CHECKSUMS).exists() else path.parent.parent
    write_checksums(top)


# on disk and back


def test_a_loaded_model_answers_like_the_one_that_was_saved(
    saved: Path, build_enhancer: Build, window_hu: NDArray
) -> None:
    model, loaded = build_enhancer(), load_folder(saved)
    before, after = judge(model, window_hu), judge(loaded, window_hu)
    for name in ("mean_hu", "lower_hu", "upper_hu"):
        assert np.allclose(getattr(before, name), getattr(after, name), rtol=2e-3, atol=0.5)
    change = np.abs(before.mean_hu - window_hu[1]).mean()
    assert np.abs(before.mean_hu - after.mean_hu).mean() < 1e-3 * change
    first, second = (draw(one, window_hu, judge(one, window_hu), 5) for one in (model, loaded))
    assert np.allclose(first, second, rtol=5e-3, atol=1)


def test_a_loaded_model_knows_what_was_saved_with_it(saved: Path, build_enhancer: Build) -> None:
    model, loaded = build_enhancer(), load_folder(str(saved))
    for name in ("name", "version", "context", "accepted", "calibration", "dose_prior", "card"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.weights_sha256 == verify(saved)
    assert loaded.texture.scheduler.max_steps == model.texture.scheduler.max_steps


def test_a_saved_model_keeps_its_dose_prior(
    saved: Path, tmp_path: Path, build_enhancer: Build
) -> None:
    """Which decides pixels, so it makes another model."""
    prior = DosePrior(
        standard_noise_hu=13.0,
        spread=0.3,
        frequency_exponent=1.0,
        thickness_exponent=-0.4,
        fractions=(0.1, 0.5),
    )
    digest = build_enhancer(dose_prior=prior).save_pretrained(tmp_path / "a")
    loaded = load_folder(tmp_path / "a")
    assert loaded.dose_prior == prior
    assert loaded.dose_prior.fractions == (0.1, 0.5)
    assert digest != verify(saved)


def test_saving_a_loaded_model_makes_the_same_model(saved: Path, tmp_path: Path) -> None:
    again = load_folder(saved).save_pretrained(tmp_path / "again")
    assert again == verify(saved)


def test_the_digest_is_the_one_written_and_read(tmp_path: Path, build_enhancer: Build) -> None:
    digest = build_enhancer().save_pretrained(tmp_path / "a")
    other = build_enhancer().save_pretrained(tmp_path / "b", documents={"README.md": "text"})
    assert digest == other == verify(tmp_path / "a") == verify(tmp_path / "b")
    assert len(digest) == 64


DECIDING = [
    "mean/diffusion_pytorch_model.safetensors",
    "texture/diffusion_pytorch_model.safetensors",
    "mean/config.json",
    "texture/config.json",
    "scheduler/scheduler_config.json",
    "model_index.json",
    "calibration.json",
]


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", DECIDING)
def test_one_altered_byte_is_refused_and_makes_another_model(saved: Path, name: str) -> None:
    digest = verify(saved)
    flip_last_byte(saved / name)
    with pytest.raises(ModelRefused, match=f"{name} is missing, altered"):
        load_folder(saved)
    assert write_checksums(saved) != digest


@pytest.mark.parametrize("name", ["card.json", "README.md"])
def test_a_corrected_card_is_the_same_model_once_it_is_listed(saved: Path, name: str) -> None:
    digest = verify(saved)
    flip_last_byte(saved / name)
    with pytest.raises(ModelRefused, match=name):
        load_folder(saved)
    assert write_checksums(saved) == digest
    assert verify(saved) == digest


@pytest.mark.parametrize("name", [*DECIDING, "card.json", CHECKSUMS])
def test_a_missing_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ModelRefused, match=Path(name).name):
        load_folder(saved)


@pytest.mark.parametrize("name", ["extra.py", "mean/extra.bin", f"mean/{CHECKSUMS}"])
def test_a_file_too_many_is_refused(saved: Path, name: str) -> None:
    (saved / name).write_text("not listed")
    with pytest.raises(ModelRefused, match=f"{name} is missing, altered or not listed"):
        load_folder(saved)


@pytest.mark.parametrize("listing", [b"one-word\n", b"\xff\xfe\x00", b"\n\n  \n"])
def test_a_damaged_list_of_checksums_is_refused(saved: Path, listing: bytes) -> None:
    (saved / CHECKSUMS).write_bytes(listing)
    with pytest.raises(ModelRefused):
        load_folder(saved)


def test_a_model_of_another_kind_is_refused(saved: Path) -> None:
    change_json(saved / "model_index.json", _class_name="MrEnhancer")
    with pytest.raises(ModelRefused, match="'MrEnhancer' is no kind of model known here"):
        load_folder(saved)


def test_the_kind_that_is_needed_must_be_there(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(registry.KINDS["CtEnhancer"], name="MrEnhancer")
    monkeypatch.setitem(registry.KINDS, "MrEnhancer", other)
    with pytest.raises(ModelRefused, match="holds a CtEnhancer, a MrEnhancer is needed"):
        load_folder(saved, kind="MrEnhancer")


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '{"context": NaN}', "9" * 5000])
def test_an_index_that_is_no_object_is_refused(saved: Path, text: str) -> None:
    (saved / "model_index.json").write_text(text)
    write_checksums(saved)
    with pytest.raises(ModelRefused, match=r"model_index\.json"):
        load_folder(saved)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="isocenter train"):
        load_folder(tmp_path / "nowhere")


# writing whole or not at all


@pytest.mark.parametrize("content", [None, "kept"])
def test_an_existing_folder_is_left_alone(
    tmp_path: Path, build_enhancer: Build, content: str | None
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if content:
        (folder / "file").write_text(content)
    with pytest.raises(OutputRefused, match="exists already"):
        build_enhancer().save_pretrained(folder)
    assert [path.name for path in folder.iterdir()] == (["file"] if content else [])


def test_nothing_is_left_behind_by_a_failure(
    tmp_path: Path, build_enhancer: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(folder_module, "write_checksums", full)
    with pytest.raises(OutputRefused, match="the disk is full"):
        build_enhancer().save_pretrained(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_folder_can_be_read_by_others(saved: Path) -> None:
    assert saved.stat().st_mode & 0o555 == 0o555
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_saved_folder_can_be_moved(saved: Path, tmp_path: Path) -> None:
    digest = verify(saved)
    copy = shutil.copytree(saved, tmp_path / "elsewhere")
    assert load_folder(copy).weights_sha256 == digest


# devices


def test_a_gpu_that_is_not_there_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputRefused, match="there is none here"):
        load_folder(saved, device="cuda")
    assert load_folder(saved, device="auto").device == torch.device("cpu")
    with pytest.raises(InputRefused, match="there is none here"):
        load_folder(saved).to("cuda")


@pytest.mark.gpu
def test_a_gpu_answers_like_the_processor(saved: Path, window_hu: NDArray) -> None:
    on_cpu, on_gpu = load_folder(saved), load_folder(saved, device="cuda")
    before, after = judge(on_cpu, window_hu), judge(on_gpu, window_hu)
    assert np.allclose(before.mean_hu, after.mean_hu, atol=0.5)
    first, second = (
        draw(model, window_hu, estimate, 5)
        for model, estimate in ((on_cpu, before), (on_gpu, after))
    )
    assert np.allclose(first, second, atol=2)


# what an index may say, and what it is obeyed in


WRONG_INDEX = [
    ({"mean": ["os", "system"]}, "'os.system' for the part mean, which is not known here"),
    ({"mean": ["torch.nn", "RestorationUNet"]}, "not known here; known are RestorationUNet"),
    ({"mean": "RestorationUNet"}, r'as a pair \["module", "Class"\]'),
    ({"mean": [1, 2]}, "as a pair"),
    (
        {"mean": ["isocenter.diffusion.bridge", "MeanBridgeScheduler"]},
        "a MeanBridgeScheduler cannot be the part mean of a CtEnhancer",
    ),
    (
        {"scheduler": ["isocenter.networks.restoration_unet", "RestorationUNet"]},
        "a RestorationUNet cannot be the part scheduler",
    ),
    (
        {"../mean": ["isocenter.networks.restoration_unet", "RestorationUNet"]},
        r"a part '\.\./mean', and a CtEnhancer has none of that name",
    ),
    ({"/tmp/x": ["a", "b"]}, "has none of that name"),
    ({"threshold": 3}, "holds 'threshold', which is none of"),
    ({"context": 2}, "in_channels 4, 6 are needed for context 2"),
    ({"context": 10**9}, r"context must be whole and within 0\.\.8"),
    ({"context": "1"}, "context must be whole"),
    ({"accepted": {"noise_hu": [9, 1]}}, "accepted noise_hu must be a range"),
    ({"accepted": {"dose": [1, 9]}}, "holds 'dose'"),
    ({"accepted": []}, "does not fit"),
    ({"dose_prior": {"fractions": [0.5, 0.1]}}, "fractions must rise"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_INDEX)
def test_an_index_that_cannot_be_obeyed_is_refused(
    saved: Path, change: dict[str, Any], message: str
) -> None:
    change_json(saved / "model_index.json", **change)
    with pytest.raises(ModelRefused, match=message):
        load_folder(saved)


@pytest.mark.parametrize("name", ["mean", "texture", "scheduler", "context", "dose_prior"])
def test_an_index_that_lacks_something_is_refused(saved: Path, name: str) -> None:
    index = json.loads((saved / "model_index.json").read_text())
    del index[name]
    (saved / "model_index.json").write_text(json.dumps(index))
    write_checksums(saved)
    with pytest.raises(ModelRefused, match=f"names no part {name}|lacks '{name}'"):
        load_folder(saved)


class SlowScheduler(MeanBridgeScheduler):
    """Another part that may play the same role."""


def test_the_part_that_the_index_names_is_the_one_that_is_built(
    tmp_path: Path, saved: Path, build_enhancer: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = replace(registry.PARTS["MeanBridgeScheduler"], module=__name__, name="SlowScheduler")
    kind = registry.KINDS["CtEnhancer"]
    roles = {**kind.roles, "scheduler": ("MeanBridgeScheduler", "SlowScheduler")}
    monkeypatch.setitem(registry.PARTS, "SlowScheduler", part)
    monkeypatch.setitem(registry.KINDS, "CtEnhancer", replace(kind, roles=roles))
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(SlowScheduler=SlowScheduler))
    model = build_enhancer()
    model.texture.scheduler = SlowScheduler(max_steps=5)
    model.save_pretrained(tmp_path / "slow")
    loaded = load_folder(tmp_path / "slow").texture.scheduler
    assert type(loaded) is SlowScheduler
    assert loaded.max_steps == 5
    assert type(load_folder(saved).texture.scheduler) is MeanBridgeScheduler


WRONG_CONFIG = [
    ({"widths": [10**9, 6]}, r"widths must be whole and within 1\.\.4096"),
    ({"widths": [4] * 100}, "number of widths"),
    ({"blocks": [10**9, 1]}, r"blocks must be whole and within 0\.\.32"),
    ({"blocks": [1.5, 1]}, "blocks must be whole"),
    ({"in_channels": 10**30}, "in_channels must be whole"),
    ({"in_channels": 5}, r"stem.weight .* has shape \(4, 20, 3, 3\), .* needs \(4, 24, 3, 3\)"),
    ({"widths": [4, 8]}, "has shape"),
    ({"blocks": [2, 1]}, "lacks the tensor"),
    ({"blocks": [0, 1]}, "holds a tensor too many"),
    ({"time_channels": 4}, "lacks the tensor"),
    ({"limits": [[1.0, 1.0]]}, "limits must be"),
    ({"hidden": 3}, "hidden"),
    ({"_class_name": "Other"}, "describes a Other, a RestorationUNet is needed"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_CONFIG)
def test_a_network_that_does_not_fit_its_file_is_refused(
    saved: Path, change: dict[str, Any], message: str
) -> None:
    change_json(saved / "mean" / "config.json", **change)
    with pytest.raises(ModelRefused, match=message):
        load_folder(saved)


@pytest.mark.parametrize("steps", [0, 10**9, 2.5, "8", True])
def test_a_scheduler_of_impossible_steps_is_refused(saved: Path, steps: object) -> None:
    change_json(saved / "scheduler" / "scheduler_config.json", max_steps=steps)
    with pytest.raises(ModelRefused, match="max_steps must be whole"):
        load_folder(saved)


def test_the_networks_change_places_only_with_their_shapes(saved: Path) -> None:
    """Two networks of one class: the sizes still tell which is which."""
    (saved / "mean").rename(saved / "between")
    (saved / "texture").rename(saved / "mean")
    (saved / "between").rename(saved / "texture")
    write_checksums(saved)
    with pytest.raises(ModelRefused, match="the part mean has in_channels 3, 4 are needed"):
        load_folder(saved)


# what the files may hold


def tensors(saved: Path) -> dict[str, Tensor]:
    return load_file(saved / "mean" / WEIGHTS)


def store(saved: Path, state: dict[str, Tensor]) -> None:
    save_file(state, saved / "mean" / WEIGHTS)
    write_checksums(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(saved: Path, value: float) -> None:
    state = tensors(saved)
    state["head.bias"][0] = value
    store(saved, state)
    with pytest.raises(ModelRefused, match=r"head\.bias .* something else than finite"):
        load_folder(saved)


def test_weights_of_whole_numbers_are_refused(saved: Path) -> None:
    store(saved, tensors(saved) | {"head.bias": torch.ones(12, dtype=torch.int64)})
    with pytest.raises(ModelRefused, match=r"head\.bias"):
        load_folder(saved)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K*.", b"\xff" * 64, b"\x08" + b"\0" * 40])
def test_a_file_that_holds_no_tensors_is_refused(saved: Path, content: bytes) -> None:
    (saved / "mean" / WEIGHTS).write_bytes(content)
    write_checksums(saved)
    with pytest.raises(ModelRefused, match="damaged or no file of tensors"):
        load_folder(saved)


@pytest.mark.parametrize(
    "name", ["mean/weights.pt", "mean/pytorch_model.bin", "model.pkl", "mean/model.py", "a.ckpt"]
)
def test_files_that_could_run_are_refused_even_where_listed(saved: Path, name: str) -> None:
    (saved / name).write_bytes(b"\x80\x04K*.")
    write_checksums(saved)
    with pytest.raises(ModelRefused, match=f"holds {name}; only"):
        load_folder(saved)


def test_a_link_out_of_the_folder_is_refused(saved: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(saved / "mean", outside)
    shutil.rmtree(saved / "mean")
    (saved / "mean").symlink_to(outside)
    write_checksums(saved)
    with pytest.raises(ModelRefused, match="mean is a link that leads out"):
        load_folder(saved)
    (saved / "mean").unlink()
    (saved / "mean").mkdir()
    for path in outside.iterdir():
        (saved / "mean" / path.name).symlink_to(path)
    write_checksums(saved)
    with pytest.raises(ModelRefused, match=r"mean/.* is a link that leads out"):
        load_folder(saved)


def test_a_card_that_says_too_little_is_refused(saved: Path) -> None:
    (saved / "card.json").write_text('{"name": "x"}')
    write_checksums(saved)
    with pytest.raises(ModelRefused, match="card must say version"):
        load_folder(saved)


def test_loading_leaves_global_randomness_alone(saved: Path) -> None:
    before = torch.get_rng_state()
    load_folder(saved)
    assert torch.equal(torch.get_rng_state(), before)


# saving


@pytest.mark.parametrize(
    "name", ["../a.md", "mean/a.md", "run.py", "card.json", "calibration.json"]
)
def test_a_document_takes_no_other_files_place(
    tmp_path: Path, build_enhancer: Build, name: str
) -> None:
    with pytest.raises(ValueError, match="document"):
        build_enhancer().save_pretrained(tmp_path / "model", documents={name: "{}"})
    assert list(tmp_path.iterdir()) == []


def test_weights_beyond_half_precision_are_not_saved(tmp_path: Path, build_enhancer: Build) -> None:
    model = build_enhancer()
    with torch.no_grad():
        assert model.mean.network.head.bias is not None
        model.mean.network.head.bias[0] = 1e6
    with pytest.raises(ModelRefused, match=r"head\.bias of mean is not finite"):
        model.save_pretrained(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_no_registered_kind_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no kind of model known here"):
        save_folder(object(), tmp_path / "model")  # type: ignore[arg-type]


# a kind of its own


class MapModel:
    """A kind of model with one part, one setting and one table, as a new task might bring."""

    def __init__(self, network: RestorationUNet, *, gain: float, table: dict[str, Any]) -> None:
        self.network, self.gain, self.table = network, gain, table
        self.card: dict[str, Any] = {
            "name": "map",
            "version": "1",
            "intended_use": "Tests.",
            "not_for": ["Anything else."],
            "limits": ["Made in a test."],
            "licence": "Apache-2.0",
        }

    def parts(self) -> dict[str, Any]:
        return {"map": self.network}

    def settings(self) -> dict[str, Any]:
        return {"gain": self.gain}

    def tables(self) -> dict[str, dict[str, Any]]:
        return {"scale": self.table}

    @classmethod
    def from_parts(
        cls,
        parts: Mapping[str, Any],
        *,
        settings: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]],
        card: dict[str, Any],
        weights_sha256: str,
        device: str,
    ) -> MapModel:
        return cls(parts["map"], gain=settings["gain"], table=dict(tables["scale"]))


def test_a_kind_of_its_own_needs_one_line_of_registration(
    tmp_path: Path, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = registry.ModelKind(
        module=__name__, name="MapModel", roles={"map": ("RestorationUNet",)}, tables=("scale",)
    )
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(MapModel=MapModel))
    network = RestorationUNet(in_channels=2, widths=(4,))
    model = MapModel(network, gain=2.5, table={"a": 1})
    with pytest.raises(ModelRefused, match="no kind of model known here"):
        save_folder(model, tmp_path / "map")
    monkeypatch.setitem(registry.KINDS, "MapModel", kind)
    digest = save_folder(model, tmp_path / "map")
    loaded = load(tmp_path / "map")
    assert isinstance(loaded, MapModel)
    assert (loaded.gain, loaded.table) == (2.5, {"a": 1})
    assert loaded.network.config == network.config
    assert verify(tmp_path / "map") == digest
    with pytest.raises(ModelRefused, match="holds a MapModel, a CtEnhancer is needed"):
        CtEnhancer.from_pretrained(tmp_path / "map")
    with pytest.raises(ModelRefused, match="holds a CtEnhancer, a MapModel is needed"):
        load_folder(saved, kind="MapModel")


# the shipped model


def test_the_shipped_model_is_found_by_its_name() -> None:
    assert load("ct_enhance").weights_sha256 == load().weights_sha256
    assert load(str(shipped_folder())).name == load(shipped_folder()).name
    with pytest.raises(ModelRefused, match="no model named"):
        shipped_folder("../ct_enhance")


def test_a_misspelled_model_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    words = "no such model and no such folder; did you mean 'ct_enhance'.*with the package"
    with pytest.raises(ModelRefused, match=words):
        load("ct_enhanse")
    with pytest.raises(ModelRefused, match="no such model and no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelRefused, match="no SHA256SUMS"):
        load(tmp_path)


def test_a_round_trip_of_the_shipped_model_keeps_every_byte_that_decides(tmp_path: Path) -> None:
    digest = load().save_pretrained(tmp_path / "again")
    assert digest == verify(shipped_folder())
    for path in sorted((tmp_path / "again").rglob("*")):
        name = path.relative_to(tmp_path / "again").as_posix()
        if path.is_file() and name not in EXPLAINING:
            assert path.read_bytes() == (shipped_folder() / name).read_bytes(), name


def test_a_disk_that_is_full_is_said_and_leaves_no_model(
    tmp_path: Path, build_enhancer: Build
) -> None:
    resource = pytest.importorskip("resource", reason="this system limits no file sizes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputRefused, match="does not take files this large"):
            save_folder(build_enhancer(), tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from isocenter.modelpack import registry

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="monai")

    monkeypatch.setattr(registry, "import_module", missing)
    with pytest.raises(ModelRefused, match=r"monai.*isocenter\[generate\]"):
        registry.PARTS["Autoencoder"].load()
