from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from isocenter.datasets.ct_dose_cases import simulated_cases
from isocenter.datasets.ct_pairs import PairSettings, TrainingScan
from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.ct_enhance.texture import CtTextureModel
from isocenter.recipes.ct_enhance import recipe as recipe_module
from isocenter.recipes.ct_enhance.recipe import (
    CALIBRATION_PATIENTS,
    TEST_PATIENTS,
    VALIDATION_PATIENTS,
    CtEnhanceRecipe,
    PlainRegressor,
    ct_enhance,
    fit,
    fit_mean,
    load_plain,
    mean_learner,
    plain_learner,
    save_plain,
    split,
    texture_learner,
    uncalibrated,
    validation_batches,
)
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
    refine=LOOP,
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
    fit_mean(TINY, parts, folder, resume=False)
    torch.manual_seed(1)
    texture = texture_learner(TINY, recipe_module.best_mean(TINY, folder / "averaged"))
    fit([texture], TINY, TINY.texture, parts, folder / "texture", resume=False)
    return merits(folder / "refine") | merits(folder / "texture")


def test_both_stages_train_and_repeat_themselves(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    first = run_both_stages(parts, tmp_path / "first")
    assert first == run_both_stages(parts, tmp_path / "again")
    assert first.keys() == {"mean", "plain", "texture"}
    assert all(np.isfinite(values).all() for values in first.values())
    mean = recipe_module.best_mean(TINY, tmp_path / "first" / "averaged")
    texture = recipe_module.best_texture(TINY, mean, tmp_path / "first" / "texture")
    assert isinstance(texture, CtTextureModel)
    assert not any(weight.requires_grad for weight in (*mean.parameters(), *texture.parameters()))


def test_the_second_run_begins_at_the_best_of_the_first_and_keeps_the_better(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    careless = replace(TINY, refine=replace(LOOP, learning_rate=0.3))
    fit_mean(careless, parts, tmp_path, resume=False)
    before, after = merits(tmp_path / "mean"), merits(tmp_path / "refine")
    for name in ("mean", "plain"):
        assert after[name][0] == pytest.approx(max(before[name]), abs=1e-4)
        assert not any(merit >= after[name][0] for merit in after[name][1:])
        best, kept = (
            torch.load(tmp_path / folder / f"{name}.pt", weights_only=True)
            for folder in ("mean", "refine")
        )
        assert all(torch.equal(weight, kept[key]) for key, weight in best.items())


def test_the_weights_that_count_lie_halfway_between_both_runs(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    fit_mean(TINY, parts, tmp_path, resume=False)
    for name in ("mean", "plain"):
        first, second, averaged = (
            torch.load(tmp_path / folder / f"{name}.pt", weights_only=True)
            for folder in ("mean", "refine", "averaged")
        )
        assert any(not torch.equal(weight, second[key]) for key, weight in first.items())
        for key, weight in averaged.items():
            assert torch.allclose(weight, (first[key] + second[key]) / 2)


def test_the_largest_features_are_those_of_the_cases_given(make_scan: Make) -> None:
    scan = make_scan(TEST_PATIENTS[0])
    cases = list(simulated_cases([scan], dose_fractions=(0.5,), seed=1))
    assert cases
    mean = mean_learner(TINY).network
    assert isinstance(mean, CtMeanModel)
    texture = texture_learner(TINY, mean).network
    assert isinstance(texture, CtTextureModel)
    model = CtEnhancer(
        mean=mean,
        texture=texture,
        calibration=uncalibrated(),
        accepted=recipe_module.ACCEPTED,
        card={"name": "tiny", "version": "0"},
    )
    largest = recipe_module.largest_features(model, cases)
    assert largest.shape == (len(mean.network.residual_blocks()), 2)
    assert (largest > 0).all()
    before = [
        model.raw_estimate(w, spacing_mm=c.in_plane_mm)[0].mean
        for c in cases
        for _, w in c.windows(1)
    ]
    mean.network.limit_features(largest)
    after = [
        model.raw_estimate(w, spacing_mm=c.in_plane_mm)[0].mean
        for c in cases
        for _, w in c.windows(1)
    ]
    assert all(torch.allclose(a, b, atol=0.2) for a, b in zip(before, after, strict=True))


def test_the_second_run_sees_new_pairs(
    parts: dict[str, list[TrainingScan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[range] = []

    class Noted(recipe_module.CtPairs):
        def __init__(self, *args: Any, start: int = 0, **settings: Any) -> None:
            super().__init__(*args, start=start, **settings)
            seen.append(range(start, self.length))

    monkeypatch.setattr(recipe_module, "CtPairs", Noted)
    fit_mean(TINY, parts, tmp_path, resume=False)
    drawn = [numbers for numbers in seen if len(numbers) > TINY.validation_pairs]
    assert drawn == [range(6), range(6, 12)]


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
