"""``isocenter simulate``: what it passes on, prints and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import Result

from isocenter.tasks.simulate import simulate as module
from isocenter.tasks.simulate.settings import SimulateSettings

Invoke = Callable[..., Result]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What the command asked for; it gets files that are not there."""
    seen: list[dict[str, Any]] = []

    def simulate_brain(output: Path, **options: Any) -> SimpleNamespace:
        seen.append({"output": output, **options})
        return SimpleNamespace(
            folder=tmp_path,
            images={"T1": (tmp_path / "T1.nii.gz",)},
            masks={"enhancing tumor": (tmp_path / "mask.nii.gz",)},
            labels=tmp_path / "labels.nii.gz",
            overview=tmp_path / "overview.png",
            head={"lesion": "tumor"},
            already_there=False,
        )

    monkeypatch.setattr(module, "simulate_brain", simulate_brain)
    return seen


def test_every_option_reaches_the_settings(
    invoke: Invoke, calls: list[dict[str, Any]], tmp_path: Path
) -> None:
    options = (
        "--lesion infarct --contrasts T1,FLAIR --seed 7 --field 1.5 --slice 5 --pixel 1 --size 128 "
        "--noise 0.5 --flaws 0 --bending 0 --age-hours 6 --artery PCA --format nifti --private"
    ).split()
    result = invoke(
        "simulate", "brain", *options, "--label-map", "head.nii", "--output", str(tmp_path / "o")
    )
    assert result.exit_code == 0, result.output
    (call,) = calls
    assert call["settings"] == SimulateSettings(
        lesion="infarct", contrasts="T1,FLAIR", seed=7, field=1.5, slice=5, pixel=1, size=128,
        noise=0.5, flaws=0, bending=0, age_hours=6, artery="PCA", format="nifti",
    )  # fmt: skip
    assert call["label_map"] == Path("head.nii")
    assert call["private"] is True


def test_what_was_made_is_told(invoke: Invoke, calls: list[dict[str, Any]], tmp_path: Path) -> None:
    result = invoke("simulate", "brain", "--lesion", "tumor", "--output", str(tmp_path), "--json")
    told = json.loads(result.stdout)
    assert told["outcome"] == "done"
    assert [one["output"] for one in told["made"]] == [
        "T1",
        "mask_enhancing_tumor",
        "labels",
        "overview",
    ]
    assert told["result"]["head"] == {"lesion": "tumor"}


def test_settings_that_do_not_fit_are_refused_in_words(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke(
        "simulate", "brain", "--contrasts", "T1,SWI", "--output", str(tmp_path / "o"), "--json"
    )
    assert result.exit_code == 2
    assert json.loads(result.stdout)["reason"] == "setting"
    assert not (tmp_path / "o").exists()
