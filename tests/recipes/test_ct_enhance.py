from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from isocenter.modelpack.ct_mean import CtMeanModel
from isocenter.modelpack.ct_texture import CtTextureModel
from isocenter.recipes import ct_enhance as recipe_module
from isocenter.recipes.ct_enhance import (
    CALIBRATION_PATIENTS,
    TEST_PATIENTS,
    VALIDATION_PATIENTS,
    CtEnhanceRecipe,
    PlainRegressor,
    ct_enhance,
    fit,
    load_plain,
    mean_learner,
    plain_learner,
    save_plain,
    split,
    texture_learner,
    uncalibrated,
    validation_batches,
)
from isocenter.training.ct_pairs import PairSettings, TrainingScan
from isocenter.training.loop import LoopSettings

Make = Callable[..., TrainingScan]
NAMED = {
    "test": TEST_PATIENTS,
    "calibration": CALIBRATION_PATIENTS,
    "validation": VALIDATION_PATIENTS,
}
LOOP = LoopSettings(
    steps=3,
    batch_size=2,
    warm_up_steps=1,
    validate_every=2,
    checkpoint_every=2,
    workers=0,
    mixed_precision="no",
)
TINY = CtEnhanceRecipe(
    pairs=PairSettings(crop=32),
    mean=LOOP,
    texture=LOOP,
    widths=(4, 6),
    blocks=(1, 1),
    texture_widths=(4, 6),
    texture_blocks=(1, 1),
    texture_time_channels=4,
    validation_pairs=3,
)


@pytest.fixture(scope="module")
def parts(make_scan: Make) -> dict[str, list[TrainingScan]]:
    return {
        "train": [make_scan("a", seed=1), make_scan("b", seed=2)],
        "validation": [make_scan("c", seed=3)],
    }


def test_no_patient_is_named_in_two_parts() -> None:
    for first, second in combinations(NAMED.values(), 2):
        assert not set(first) & set(second)
    for patients in NAMED.values():
        assert len(set(patients)) == len(patients)


def test_every_scan_of_a_patient_goes_to_one_part(make_scan: Make) -> None:
    patients = [patient for named in NAMED.values() for patient in named] + ["x", "y"]
    base = make_scan()
    scans = [
        replace(base, patient=patient, name=f"{patient} {k}")
        for patient in patients
        for k in (1, 2)
    ]
    found = split(scans)
    assert sum(map(len, found.values())) == len(scans)
    for part, named in (*NAMED.items(), ("train", ("x", "y"))):
        assert {scan.patient for scan in found[part]} == set(named)


def test_the_noisiest_scans_are_not_trained_on(make_scan: Make) -> None:
    scans = [make_scan(str(level), noise_hu=level) for level in (20.0, 90.0, float("nan"))]
    assert [scan.patient for scan in split(scans)["train"]] == ["20.0", "nan"]
    judged = make_scan(TEST_PATIENTS[0], noise_hu=90.0)
    assert split([judged])["test"] == [judged]


def test_the_recipe_is_complete_and_plain(make_scan: Make) -> None:
    assert json.loads(json.dumps(asdict(ct_enhance())))["seed"] == ct_enhance().seed
    assert replace(ct_enhance(), seed=1) != ct_enhance()


def test_both_learners_of_stage_one_are_of_the_same_size() -> None:
    mean, plain = mean_learner(TINY).network, plain_learner(TINY).network
    sizes = [sum(weight.numel() for weight in one.parameters()) for one in (mean, plain)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.25)


def test_the_baseline_is_kept_in_half_precision(tmp_path: Path) -> None:
    network = PlainRegressor(ct_enhance())
    torch.save(network.state_dict(), tmp_path / "plain.pt")
    save_plain(ct_enhance(), tmp_path, tmp_path / "plain.safetensors")
    loaded = load_plain(tmp_path / "plain.safetensors").state_dict()
    for name, weight in network.state_dict().items():
        assert torch.equal(loaded[name], weight.half().float())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.pt", "plain.safetensors"]


def test_validation_pairs_are_always_the_same(parts: dict[str, list[TrainingScan]]) -> None:
    first, again = (validation_batches(TINY, parts["validation"]) for _ in range(2))
    assert [len(batch["target"]) for batch in first] == [2, 1]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one["input"], other["input"])


def merits(folder: Path) -> dict[str, list[float]]:
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    found: dict[str, list[float]] = {}
    for entry in entries:
        for name, value in entry.get("validation", {}).items():
            found.setdefault(name, []).append(value)
    return found


def run_both_stages(parts: dict[str, list[TrainingScan]], folder: Path) -> dict[str, list[float]]:
    torch.manual_seed(1)
    mean = mean_learner(TINY)
    fit([mean, plain_learner(TINY)], TINY, TINY.mean, parts, folder / "mean", resume=False)
    assert isinstance(mean.network, CtMeanModel)
    texture = texture_learner(TINY, mean.network)
    fit([texture], TINY, TINY.texture, parts, folder / "texture", resume=False)
    return merits(folder / "mean") | merits(folder / "texture")


def test_both_stages_train_and_repeat_themselves(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    first = run_both_stages(parts, tmp_path / "first")
    assert first == run_both_stages(parts, tmp_path / "again")
    assert first.keys() == {"mean", "plain", "texture"}
    assert all(np.isfinite(values).all() for values in first.values())
    mean = recipe_module.best_mean(TINY, tmp_path / "first" / "mean")
    texture = recipe_module.best_texture(TINY, mean, tmp_path / "first" / "texture")
    assert isinstance(texture, CtTextureModel)
    assert not any(weight.requires_grad for weight in (*mean.parameters(), *texture.parameters()))


def test_stage_two_does_not_change_stage_one(parts: dict[str, list[TrainingScan]]) -> None:
    mean = mean_learner(TINY).network
    assert isinstance(mean, CtMeanModel)
    learner = texture_learner(TINY, mean)
    batch = validation_batches(TINY, parts["validation"])[0]
    value, _ = learner.loss(learner.network, batch)
    value.backward()
    assert all(weight.grad is None for weight in mean.parameters())
    assert any(weight.grad is not None for weight in learner.network.parameters())
    merit = learner.merit(learner.network, batch)
    assert merit.shape == (2,)
    assert torch.equal(merit, learner.merit(learner.network, batch))


def test_an_uncalibrated_model_has_factors_of_one() -> None:
    below, above = uncalibrated().factors(np.zeros((2, 3), np.int64), 30.0)
    assert (below == 1).all()
    assert (above == 1).all()
