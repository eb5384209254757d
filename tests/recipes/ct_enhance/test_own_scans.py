"""From a folder of DICOM that nobody prepared to a model that enhances."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from isocenter.core.errors import InputRefused, OutputRefused, UnreadableInput
from isocenter.core.settings import with_settings
from isocenter.datasets.splits import PARTS
from isocenter.modelpack.folder import load
from isocenter.recipes.ct_enhance import recipe as recipe_module
from isocenter.recipes.ct_enhance.collection import gather
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe, ct_enhance
from isocenter.recipes.ct_enhance.recipe import recipe_for, train

Write = Callable[..., Any]
PIXEL_MM = 2.8
# A recipe of seconds, as `--set` would make it.
TINY = {
    "mean.steps": "4",
    "refine.steps": "3",
    "adapt.steps": "3",
    "texture.steps": "3",
    "pairs.crop": "32",
    "pairs.small_crop": "16",
    "adapt_pairs.crop": "32",
    "adapt_pairs.small_crop": "16",
    "small_steps": "1",
    "widths": "4,6",
    "blocks": "1,1",
    "texture_widths": "4,6",
    "texture_blocks": "1,1",
    "texture_time_channels": "4",
    "validation_pairs": "2",
    "calibration.doses": "0.25",
    "accepted.pixel_spacing_mm": "0.5,3",
    "split.validation_share": "0.2",
    "split.calibration_share": "0.3",
    "split.test_share": "0.1",
    "split.seed": "8",
    **{
        f"{run}.{name}": value
        for run in ("mean", "refine", "adapt", "texture")
        for name, value in (
            ("batch_size", "2"),
            ("validate_every", "2"),
            ("checkpoint_every", "2"),
            ("workers", "0"),
            ("mixed_precision", "no"),
        )
    },
}


def write_patient(write: Write, data: Path, number: int, *, name: str = "", **options: Any) -> Any:
    """One patient with one series; ``name`` is their Patient ID."""

    def edit(dataset: Dataset, index: int) -> None:
        dataset.PatientID = name or f"MRN-{number}"
        dataset.PatientName = f"Secret^Name{number}"

    settings = {"shape": (3, 96, 96), "spacing_mm": (3.0, PIXEL_MM, PIXEL_MM), "edit": edit}
    return write(folder=data / f"Secret Name {number}", seed=number, **settings | options)


@pytest.fixture
def data(write_classic_ct: Write, tmp_path: Path) -> Path:
    """Twelve patients with a trunk of three slices each."""
    folder = tmp_path / "data"
    for number in range(12):
        write_patient(write_classic_ct, folder, number)
    return folder


def tiny(data: Path, **more: str) -> CtEnhanceRecipe:
    return with_settings(recipe_for(data), TINY | more)


def collected(data: Path, output: Path, **more: str) -> Any:
    output.mkdir(exist_ok=True)
    return gather(tiny(data, **more), data, output, say=lambda line: None)


def test_a_folder_of_dicom_becomes_a_model_that_enhances(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    output = tmp_path / "out"
    folder = train(tiny(data), data, output, progress=said.append)
    model = load(folder)
    window = np.random.default_rng(1).normal(40, 30, (3, 96, 96)).astype(np.float32)
    estimate = model.estimate(window, spacing_mm=(PIXEL_MM, PIXEL_MM))
    assert np.isfinite(estimate.mean_hu).all()
    assert (estimate.lower_hu <= estimate.upper_hu).all()

    assert model.card["licence"] == "not stated"
    assert model.card["name"] == "ct-enhance-own"
    assert "user's own" in model.card["data"]
    assert sum(model.card["patients"].values()) == 12
    assert not any("public collections" in limit for limit in model.card["limits"])
    assert {"commit", "seed"} <= model.card.keys()
    readme = (folder / "README.md").read_text()
    assert "Licence of the weights: not stated" in readme
    assert "4 + 3 + 3 + 3 steps" in readme
    training = json.loads((folder / "training.json").read_text())
    assert training["recipe"]["mean"]["steps"] == 4

    assert "training ct-enhance-own" in said[0]
    assert any("12 patients fit" in line for line in said)
    assert any(line.startswith("mean: step 1 of 4") and "left" in line for line in said)
    assert any("validation" in line for line in said)

    # Nothing that leaves the folder, or lies in it, names a patient.
    written = [path for path in output.rglob("*") if path.suffix in (".json", ".md", ".csv")]
    assert any(path.name == "index.json" for path in written)
    for text in (*said, *(path.read_text() for path in written)):
        assert "MRN-" not in text
        assert "Secret" not in text


@pytest.mark.slow
def test_two_processes_train_the_model_that_one_trains(data: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "isocenter"]
    settings = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
    options = ["--data", str(data), "--output", str(tmp_path / "two"), *settings]
    done = subprocess.run(
        [*launch, "train", "ct_enhance", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Model") == 1
    assert done.stderr.count("reading scans first") == 1
    alone, shared = load(train(tiny(data), data, tmp_path / "one")), load(tmp_path / "two/model")
    for one, other in ((alone.mean, shared.mean), (alone.texture, shared.texture)):
        first, second = one.state_dict(), other.state_dict()
        assert all(torch.allclose(first[key], second[key], atol=2e-3) for key in first)


def test_a_killed_training_goes_on_to_the_same_model(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    digest = load(train(tiny(data), data, whole)).weights_sha256

    def lost(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(recipe_module, "fit_texture", lost)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(data), data, stopped)
    with pytest.raises(OutputRefused, match="--resume"):
        train(tiny(data), data, stopped)
    with pytest.raises(InputRefused, match=r"other settings: mean\.learning_rate"):
        train(tiny(data, **{"mean.learning_rate": "1"}), data, stopped, resume=True)
    assert load(train(tiny(data), data, stopped, resume=True)).weights_sha256 == digest
    shutil.rmtree(next(data.iterdir()))
    with pytest.raises(InputRefused, match="not those that the run"):
        train(tiny(data), data, stopped, resume=True)


def test_the_index_says_what_fits_and_why_the_rest_does_not(
    data: Path, write_classic_ct: Write, tmp_path: Path
) -> None:
    write_patient(write_classic_ct, data, 20, spacing_mm=(3.0, 4.0, 4.0))
    write_patient(write_classic_ct, data, 21, name=" ")
    uneven = np.array([[0.0, 0.0, z] for z in (0, 3, 6, 20, 23)])
    write_patient(write_classic_ct, data, 22, shape=(5, 96, 96), positions_mm=uneven)
    write_classic_ct(folder=data / "mr", seed=23, edit=lambda d, _: d.update({"Modality": "MR"}))
    noise = np.random.default_rng(1).normal(1064, 150, (3, 96, 96)).astype(np.int64)
    write_patient(write_classic_ct, data, 24, stored=noise, shape=None)
    collection = collected(data, tmp_path / "out")
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert len(index["series"]) == 17
    reasons = [
        run["why_not"] for one in index["series"] for run in (one, *one["runs"]) if run["why_not"]
    ]
    for wanted in ("a pixel spacing of 4 mm", "no Patient ID", "modality MR", "noise of 1"):
        assert sum(wanted in reason for reason in reasons) == 1, reasons
    (cut,) = [one for one in index["series"] if len(one["runs"]) == 2]
    assert [run["slices"] for run in cut["runs"]] == [3, 2]
    assert index["patients"].keys() == {
        patient for part in collection.patients().values() for patient in part
    }
    fitting = [run for one in index["series"] for run in one["runs"] if run["fit"]]
    assert all(run["noise_hu"] == pytest.approx(20, rel=0.3) for run in fitting)


def test_the_split_is_the_same_again_and_further_patients_move_nobody(
    data: Path, write_classic_ct: Write, tmp_path: Path
) -> None:
    first = collected(data, tmp_path / "first")
    other_key = collected(data, tmp_path / "other")
    assert first.patients() != other_key.patients()
    for part in PARTS:
        arrays = [[scan.array for scan in one.parts[part]] for one in (first, other_key)]
        assert np.array_equal(arrays[0], arrays[1])
    (tmp_path / "more").mkdir()
    shutil.copy(tmp_path / "first" / "patients.key", tmp_path / "more")
    for number in range(30, 36):
        write_patient(write_classic_ct, data, number)
    more = collected(data, tmp_path / "more").patients()
    assert all(set(first.patients()[part]) <= set(more[part]) for part in PARTS)


def test_a_patient_may_be_named_by_pseudonym(data: Path, tmp_path: Path) -> None:
    someone = collected(data, tmp_path / "out").patients()["train"][0]
    named = collected(data, tmp_path / "out", **{"split.test": someone})
    assert someone in named.patients()["test"]


def test_the_key_of_the_pseudonyms_is_for_its_owner_alone(data: Path, tmp_path: Path) -> None:
    collected(data, tmp_path / "out")
    assert (tmp_path / "out" / "patients.key").stat().st_mode & 0o077 == 0


def test_too_few_patients_are_refused_with_numbers(data: Path, tmp_path: Path) -> None:
    for folder in sorted(data.iterdir())[3:]:
        shutil.rmtree(folder)
    with pytest.raises(InputRefused, match="3 patients with usable scans") as refusal:
        collected(data, tmp_path / "out")
    assert "calibration has" in str(refusal.value)
    assert "split.seed=" not in str(refusal.value)
    kept = json.loads((tmp_path / "out" / "index.json").read_text())
    assert len(kept["series"]) == 3
    assert "At least 8 patients are needed" in str(refusal.value)


def test_a_seed_that_leaves_no_part_short_is_named_and_does(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="too few") as refusal:
        collected(data, tmp_path / "out", **{"split.seed": "1"})
    found = re.search(r"with split\.seed=(\d+) each part has enough", str(refusal.value))
    assert found
    collected(data, tmp_path / "out", **{"split.seed": found.group(1)})


def test_where_everything_is_too_noisy_it_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"12 x such as noise of \d+ HU"):
        collected(data, tmp_path / "out", **{"noisiest_training_hu": "5"})


def test_one_study_under_two_ids_is_refused(
    data: Path, write_classic_ct: Write, tmp_path: Path
) -> None:
    def again(dataset: Dataset, index: int) -> None:
        dataset.PatientID = "other"
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
            setattr(dataset, keyword, generate_uid(entropy_srcs=[getattr(dataset, keyword)]))

    write_classic_ct(folder=data / "again", seed=3, edit=again)
    with pytest.raises(InputRefused, match="1 studies go by two Patient IDs"):
        collected(data, tmp_path / "out")


def test_one_scan_under_two_ids_is_refused(
    data: Path, write_classic_ct: Write, tmp_path: Path
) -> None:
    stored = write_patient(write_classic_ct, data, 40).stored
    write_patient(write_classic_ct, data, 41, stored=stored)
    with pytest.raises(InputRefused, match="same images are there under two Patient IDs"):
        collected(data, tmp_path / "out")


def test_nifti_is_refused_with_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.nii.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(InputRefused, match="1 NIfTI or MetaImage files; training reads DICOM"):
        collected(tmp_path / "data", tmp_path / "out")


@pytest.mark.parametrize("kind", ["missing", "empty", "nifti", "no scan that is listed"])
def test_a_refusal_before_any_scan_is_seen_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs" / "out"
    if kind != "missing":
        data.mkdir()
    if kind == "nifti":
        (data / "a.nii.gz").write_bytes(b"\x1f\x8b")
    if kind == "no scan that is listed":
        (data / "ct").mkdir()
        (data / "ct" / "index.json").write_text("[]")
    with pytest.raises((InputRefused, UnreadableInput)):
        train(tiny(data), data, output)
    assert not output.parent.exists()


def test_other_modalities_alone_are_refused(write_classic_ct: Write, tmp_path: Path) -> None:
    for seed, modality in enumerate(("MR", "PT")):
        write_classic_ct(
            folder=tmp_path / "data" / modality,
            seed=seed,
            edit=lambda d, _, modality=modality: d.update({"Modality": modality}),
        )
    with pytest.raises(InputRefused, match="none of the 2 series can be trained on") as refusal:
        collected(tmp_path / "data", tmp_path / "out")
    assert "modality MR" in str(refusal.value)
    assert "modality PT" in str(refusal.value)


def test_a_collection_with_an_index_gets_the_shipped_recipe(tmp_path: Path) -> None:
    assert replace(recipe_for(tmp_path), split=ct_enhance().split) != ct_enhance()
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "index.json").write_text("[]")
    assert recipe_for(tmp_path) == ct_enhance()
    with pytest.raises(InputRefused, match="0 patients"):
        train(ct_enhance(), tmp_path, tmp_path / "out")


def test_a_run_that_is_not_gone_on_with_keeps_its_index(data: Path, tmp_path: Path) -> None:
    """The index says who was kept out for judging; a refusal must not change that."""
    output = tmp_path / "out"
    collected(data, output)
    (output / "run.json").write_text("{}")
    index = (output / "index.json").read_text()
    with pytest.raises(InputRefused, match="too few"):
        collected(data, output, **{"split.seed": "12345"})
    assert (output / "index.json").read_text() == index
