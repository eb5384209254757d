from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from isocenter.core.errors import InputRefused
from isocenter.core.settings import setting_names, with_settings
from isocenter.datasets.ct_dose_cases import DoseCase, simulated_cases
from isocenter.datasets.ct_pairs import PairSettings, TrainingScan
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior
from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.ct_enhance.texture import CtTextureModel
from isocenter.modelpack.folder import load
from isocenter.recipes.ct_enhance import pack as pack_module
from isocenter.recipes.ct_enhance import stages
from isocenter.recipes.ct_enhance.calibration import calibrate, uncalibrated
from isocenter.recipes.ct_enhance.collection import Collection, split
from isocenter.recipes.ct_enhance.configuration import (
    CALIBRATION_PATIENTS,
    TEST_PATIENTS,
    VALIDATION_PATIENTS,
    CtEnhanceRecipe,
    ct_enhance,
    own_ct_enhance,
)
from isocenter.recipes.ct_enhance.pack import largest_features
from isocenter.recipes.ct_enhance.stages import (
    fit_mean,
    fit_stage_one,
    mean_learner,
    texture_learner,
    validation_batches,
)
from isocenter.training.ct_enhance.losses import LossSettings
from isocenter.training.logbook import MERITS
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
    adapt=LOOP,
    adapt_pairs=PairSettings(crop=32, blobs=1.0, faint=1.0),
    texture=LOOP,
    widths=(4, 6),
    blocks=(1, 1),
    texture_widths=(4, 6),
    texture_blocks=(1, 1),
    texture_time_channels=4,
    validation_pairs=3,
)


@pytest.fixture(scope="module")
def parts(make_dose_scan: Make) -> dict[str, list[TrainingScan]]:
    return {
        "train": [make_dose_scan("a", seed=1), make_dose_scan("b", seed=2)],
        "validation": [make_dose_scan("c", seed=3)],
    }


def test_no_patient_is_named_in_two_parts() -> None:
    for first, second in combinations(NAMED.values(), 2):
        assert not set(first) & set(second)
    for patients in NAMED.values():
        assert len(set(patients)) == len(patients)


def test_every_scan_of_a_patient_goes_to_one_part(make_dose_scan: Make) -> None:
    patients = [patient for named in NAMED.values() for patient in named] + ["x", "y"]
    base = make_dose_scan()
    scans = [
        replace(base, patient=patient, name=f"{patient} {k}")
        for patient in patients
        for k in (1, 2)
    ]
    found = split(ct_enhance(), scans)
    assert sum(map(len, found.values())) == len(scans)
    for part, named in (*NAMED.items(), ("train", ("x", "y"))):
        assert {scan.patient for scan in found[part]} == set(named)


def test_the_noisiest_scans_are_not_trained_on(make_dose_scan: Make) -> None:
    scans = [make_dose_scan(str(level), noise_hu=level) for level in (20.0, 90.0, float("nan"))]
    assert [scan.patient for scan in split(ct_enhance(), scans)["train"]] == ["20.0", "nan"]
    judged = make_dose_scan(TEST_PATIENTS[0], noise_hu=90.0)
    assert split(ct_enhance(), [judged])["test"] == [judged]


def test_every_setting_can_be_given_by_name() -> None:
    names = set(setting_names(ct_enhance()))
    assert {"mean.steps", "split.seed", "losses.lesion_weight", "calibration.coverage"} <= names
    changed = with_settings(ct_enhance(), {"accepted.noise_hu": "3,90", "pairs.blobs": "0"})
    assert changed.accepted.noise_hu == (3.0, 90.0)
    assert changed.pairs.blobs == 0.0


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("widths", "4,8", "one number a level"),
        ("pairs.dose_fraction", "0.5,0.1", "rising range"),
        ("pairs.dose_fraction", "0.5,0.5", "rising range above 0 and up to 1, got 0.5, 0.5"),
        ("pairs.dose_fraction", "0.5,1.5", "up to 1, got 0.5, 1.5"),
        ("pairs.crop", "8", "at least 16"),
        ("pairs.context", "-1", "context is at least 0, got -1"),
        ("pairs.context", "9", "context is from 0 to 8, got 9"),
        ("pairs.context", "2", "adapt_pairs.context must be that of pairs, 2, got 1"),
        ("adapt_pairs.context", "0", "adapt_pairs.context must be that of pairs, 1, got 0"),
        ("adapt_pairs.faint", "1.5", "faint is a share from 0 to 1, got 1.5"),
        ("adapt_losses.channel_weight", "-1", "channel_weight is at least 0"),
        ("adapt_losses.channel_window", "6", "channel_window is odd and at least 1, got 6"),
        ("pairs.quiet_zoom", "0.8,0.5", "quiet_zoom is a rising range .* got 0.8, 0.5"),
        ("pairs.noisy_zoom", "0,0.5", "noisy_zoom is a rising range above 0"),
        ("pairs.quiet_noise_hu", "-4,16", "quiet_noise_hu is a rising range above 0"),
        ("pairs.sharpened", "1.1", "sharpened is a share from 0 to 1, got 1.1"),
        ("pairs.thin_mm", "-1", "thin_mm is at least 0"),
        ("accepted.noise_hu", "90,3", r"accepted\.noise_hu is a rising range above 0, got 90, 3"),
        ("accepted.pixel_spacing_mm", "-1,2", r"accepted\.pixel_spacing_mm is a rising range"),
        ("seed", "-1", "seed is at least 0, got -1"),
        ("split.seed", "-1", "seed is at least 0, got -1"),
        ("split.least_train", "0", "least_train is at least 1, got 0"),
        ("split.least_validation", "0", "least_validation is at least 1"),
        ("split.least_calibration", "-3", "least_calibration is at least 1"),
        ("split.least_test", "-1", "least_test is at least 0"),
        ("calibration.least_patients", "0", "least_patients is at least 1"),
        ("calibration.least_voxels", "-1", "least_voxels is at least 1"),
        ("validation_pairs", "0", "validation_pairs is at least 1, got 0"),
        ("small_steps", "-1", "small_steps is at least 0"),
        ("fraction_error", "-0.1", "fraction_error is at least 0"),
        ("limit_margin", "0.9", "limit_margin is at least 1, got 0.9"),
        ("noisiest_training_hu", "0", "noisiest_training_hu must be positive"),
        ("losses.ends_weight", "-1", "ends_weight is at least 0"),
        ("losses.lesion_weight", "-1", "lesion_weight is at least 0"),
        ("losses.outside_weight", "-0.1", "outside_weight is from 0"),
        ("losses.linear_beyond", "0", "linear_beyond must be positive"),
        ("losses.body_window", "14", "body_window is odd and at least 1, got 14"),
        ("losses.largest_fraction", "1", "largest_fraction is above 0 and below 1, got 1"),
        ("losses.least_noise_hu", "0", "least_noise_hu must be positive"),
        ("name", " ", "name must not be empty"),
        ("version", "", "version must not be empty"),
        ("widths", "", "widths are one or more whole numbers of at least 1"),
        ("texture_blocks", "", "texture_blocks are one or more whole numbers"),
        ("texture_time_channels", "3", "texture_time_channels must be even, got 3"),
        ("standard_noise.spread", "0", "spread must be positive"),
        ("mean.workers", "-1", "workers is at least 0, got -1"),
        ("losses.quantile", "0.7", "below 0.5"),
        ("mean.mixed_precision", "fp16", "auto, no or bf16"),
        ("split.test_share", "1", "leave patients to train on"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(InputRefused, match=why):
        with_settings(ct_enhance(), {name: value})


def test_only_the_steps_decide_how_many_pairs_are_small() -> None:
    assert not [name for name in setting_names(ct_enhance()) if "num_small" in name]
    with pytest.raises(InputRefused, match="there is no such setting"):
        with_settings(ct_enhance(), {"pairs.num_small": "8"})


@pytest.mark.parametrize(("small_steps", "says"), [(3, True), (2, False)])
def test_a_short_stage_one_that_sees_only_small_crops_says_so(
    small_steps: int, says: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        """The first run was reached."""

    def begun(*_: Any, **__: Any) -> None:
        raise Begun

    monkeypatch.setattr(stages, "fit", begun)
    said: list[str] = []
    recipe = replace(TINY, small_steps=small_steps)
    with pytest.raises(Begun):
        fit_mean(recipe, {}, tmp_path, resume=False, say=said.append)
    assert any("all 3 steps" in line and "small_steps is 3" in line for line in said) is says


def test_own_scans_differ_in_name_and_split_alone() -> None:
    own, shipped = own_ct_enhance(), ct_enhance()
    assert replace(own, name=shipped.name, version=shipped.version, split=shipped.split) == shipped


def test_validation_pairs_are_always_the_same(parts: dict[str, list[TrainingScan]]) -> None:
    first, again = (validation_batches(TINY, parts["validation"]) for _ in range(2))
    assert [len(batch["target"]) for batch in first] == [2, 1]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one["input"], other["input"])


def merits(folder: Path, name: str) -> list[float]:
    rows = csv.DictReader((folder / MERITS).read_text().splitlines())
    return [float(row[name]) for row in rows]


def run_both_stages(parts: dict[str, list[TrainingScan]], folder: Path) -> dict[str, list[float]]:
    mean = fit_mean(TINY, parts, folder, resume=False)
    stages.fit_texture(TINY, mean, parts, folder, resume=False)
    return {
        run: merits(folder / run, name)
        for run, name in (
            ("mean", "mean"),
            ("refine", "mean"),
            ("adapt", "mean"),
            ("texture", "texture"),
        )
    }


def test_both_stages_train_and_repeat_themselves(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    first = run_both_stages(parts, tmp_path / "first")
    assert first == run_both_stages(parts, tmp_path / "again")
    assert all(np.isfinite(values).all() for values in first.values())
    mean = stages.best_mean(TINY, tmp_path / "first")
    texture = stages.best_texture(TINY, mean, tmp_path / "first")
    assert isinstance(texture, CtTextureModel)
    assert not any(weight.requires_grad for weight in (*mean.parameters(), *texture.parameters()))


def test_the_second_run_begins_at_the_best_of_the_first_and_keeps_the_better(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    careless = replace(TINY, refine=replace(LOOP, learning_rate=0.3))
    fit_mean(careless, parts, tmp_path, resume=False)
    before, after = merits(tmp_path / "mean", "mean"), merits(tmp_path / "refine", "mean")
    assert after[0] == pytest.approx(max(before), abs=1e-4)
    assert not any(merit >= after[0] for merit in after[1:])
    best, kept = (
        torch.load(tmp_path / folder / "mean.pt", weights_only=True)
        for folder in ("mean", "refine")
    )
    assert all(torch.equal(weight, kept[key]) for key, weight in best.items())


def test_the_weights_that_count_lie_halfway_between_both_runs(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    fit_mean(TINY, parts, tmp_path, resume=False)
    first, second, averaged = (
        torch.load(tmp_path / folder / "mean.pt", weights_only=True)
        for folder in ("mean", "refine", "averaged")
    )
    assert any(not torch.equal(weight, second[key]) for key, weight in first.items())
    for key, weight in averaged.items():
        assert torch.allclose(weight, (first[key] + second[key]) / 2)


def test_the_run_for_faint_lesions_begins_at_the_average_and_is_what_counts(
    parts: dict[str, list[TrainingScan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, torch.Tensor]] = []
    seen: list[tuple[PairSettings, LossSettings]] = []

    def watched(fitted: Any, recipe: CtEnhanceRecipe, *arguments: Any, **options: Any) -> None:
        state = fitted[0].network.state_dict()
        begun.append({key: weight.clone() for key, weight in state.items()})
        seen.append((recipe.pairs, recipe.losses))
        plain_fit(fitted, recipe, *arguments, **options)

    plain_fit = stages.fit
    monkeypatch.setattr(stages, "fit", watched)
    mean = fit_mean(TINY, parts, tmp_path, resume=False)
    assert seen == [
        (TINY.pairs, TINY.losses),
        (TINY.pairs, TINY.losses),
        (TINY.adapt_pairs, TINY.adapt_losses),
    ]
    averaged, adapted = (
        torch.load(tmp_path / folder / "mean.pt", weights_only=True)
        for folder in ("averaged", "adapt")
    )
    assert all(torch.equal(weight, begun[2][key]) for key, weight in averaged.items())
    assert any(not torch.equal(weight, adapted[key]) for key, weight in averaged.items())
    assert all(torch.equal(weight, adapted[key]) for key, weight in mean.state_dict().items())


def test_a_run_for_faint_lesions_that_was_stopped_is_taken_up_again(
    parts: dict[str, list[TrainingScan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the checkpoints of steps 2 and 4, it ends with the same weights."""
    longer = replace(TINY, adapt=replace(LOOP, steps=5))
    whole = fit_mean(longer, parts, tmp_path / "whole", resume=False)

    class Stopped(Exception):
        """Later pairs of the run were asked for."""

    class UntilStep2(stages.CtPairs):
        def __getitem__(self, number: int) -> Any:
            if self.start + number >= 20:
                raise Stopped
            return super().__getitem__(number)

    with monkeypatch.context() as patched:
        patched.setattr(stages, "CtPairs", UntilStep2)
        with pytest.raises(Stopped):
            fit_mean(longer, parts, tmp_path / "stopped", resume=False)
    said: list[str] = []
    again = fit_mean(longer, parts, tmp_path / "stopped", resume=True, say=said.append)
    assert any(line.startswith("adapt: from step 2 to 5") for line in said)
    kept = again.state_dict()
    assert all(torch.equal(weight, kept[key]) for key, weight in whole.state_dict().items())


def test_what_is_compared_with_stage_one_sees_the_same_pairs_in_the_same_two_runs(
    parts: dict[str, list[TrainingScan]], tmp_path: Path
) -> None:
    seen: dict[str, list[float]] = {"mean": [], "other": []}

    def noted(name: str) -> Any:
        learner = mean_learner(TINY)
        learner.name = name
        loss = learner.loss

        def watched(model: Any, batch: Any) -> Any:
            seen[name].append(float(batch["input"].sum()))
            return loss(model, batch)

        learner.loss = watched
        return learner

    for name in seen:
        weights = fit_stage_one(partial(noted, name), TINY, parts, tmp_path / name, resume=False)
        assert weights == tmp_path / name / "averaged" / f"{name}.pt"
        assert weights.exists()
    assert seen["mean"] == seen["other"]
    assert len(set(seen["mean"])) == TINY.mean.steps + TINY.refine.steps


def test_the_largest_features_are_those_of_the_cases_given(make_dose_scan: Make) -> None:
    scan = make_dose_scan(TEST_PATIENTS[0])
    cases = list(simulated_cases([scan], dose_fractions=(0.5,), seed=1))
    assert cases
    mean = mean_learner(TINY).network
    assert isinstance(mean, CtMeanModel)
    texture = texture_learner(TINY, mean).network
    assert isinstance(texture, CtTextureModel)
    model = CtEnhancer(
        mean=mean,
        texture=texture,
        calibration=uncalibrated(TINY.calibration),
        accepted=TINY.accepted,
        card={"name": "tiny", "version": "0"},
    )
    largest = largest_features(model, cases)
    assert largest.shape == (len(mean.network.residual_blocks()), 2)
    assert (largest > 0).all()
    before = [
        model.estimate(w, spacing_mm=c.in_plane_mm).state.mean
        for c in cases
        for _, w in c.windows(1)
    ]
    mean.network.limit_features(largest)
    after = [
        model.estimate(w, spacing_mm=c.in_plane_mm).state.mean
        for c in cases
        for _, w in c.windows(1)
    ]
    assert all(torch.allclose(a, b, atol=0.2) for a, b in zip(before, after, strict=True))


def packed(
    settings: dict[str, Any],
    make_dose_scan: Make,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[CtEnhancer, list[DoseCase]]:
    """The model that is packed from unfitted networks, and the cases that calibrated it."""
    recipe = with_settings(TINY, settings)
    scans = [make_dose_scan(str(seed), shape=(7, 64, 64), seed=seed) for seed in range(3)]
    seen: list[DoseCase] = []

    def watched(model: CtEnhancer, cases: list[DoseCase], settings: Any) -> Any:
        seen.extend(cases)
        return calibrate(model, cases, settings)

    monkeypatch.setattr(pack_module, "calibrate", watched)
    mean = mean_learner(recipe).network
    assert isinstance(mean, CtMeanModel)
    texture = texture_learner(recipe, mean).network
    assert isinstance(texture, CtTextureModel)
    collection = Collection(
        parts={"train": [], "validation": [], "calibration": scans, "test": []}, is_own=True
    )
    pack_module.pack(recipe, collection, mean=mean, texture=texture, folder=folder)
    return load(folder), seen


def test_the_packed_model_guesses_doses_from_the_lowest_fitted_to_up_to_a_standard_one(
    make_dose_scan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"pairs.dose_fraction": "0.2,0.5", "standard_noise.spread": "0.3"}
    model, _ = packed(settings, make_dose_scan, tmp_path / "model", monkeypatch)
    assert model.dose_prior == DosePrior(fractions=(0.2, 1.0), spread=0.3)


def test_a_model_is_calibrated_on_as_many_neighbours_as_it_was_fitted_to(
    make_dose_scan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "pairs.context": "2",
        "adapt_pairs.context": "2",
        "calibration.doses": "0.25",
    }
    model, cases = packed(settings, make_dose_scan, tmp_path / "model", monkeypatch)
    assert model.context == 2
    assert {(len(case.low_hu), case.judged) for case in cases} == {(6, (2, 3))}


def test_every_run_of_stage_one_sees_new_pairs(
    parts: dict[str, list[TrainingScan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[range] = []

    class Noted(stages.CtPairs):
        def __init__(self, *args: Any, start: int = 0, **settings: Any) -> None:
            super().__init__(*args, start=start, **settings)
            seen.append(range(start, self.length))

    monkeypatch.setattr(stages, "CtPairs", Noted)
    fit_mean(TINY, parts, tmp_path, resume=False)
    drawn = [numbers for numbers in seen if len(numbers) > TINY.validation_pairs]
    assert drawn == [range(6), range(6, 12), range(12, 18)]


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
