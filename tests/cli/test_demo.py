"""The demonstration makes, enhances and compares a phantom scan."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import Result

from isocenter.core.errors import (
    ModelRefused,
)

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def test_demo_leaves_what_is_there(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    result = invoke("demo", "--output", str(tmp_path))
    assert result.exit_code == 2
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_demo_makes_enhances_and_compares_a_phantom_scan(
    invoke: Invoke, stand: Stand, doubles: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isocenter.physics import ct_phantom as phantom

    stand("isocenter.modelpack.folder", "load_folder", doubles.IdentityEnhancer())
    small = partial(phantom.low_dose_phantom, size=160)
    monkeypatch.setattr(phantom, "low_dose_phantom", small)
    monkeypatch.chdir(tmp_path)
    result = invoke("demo", "--output", "demo", "--slices", "3")
    assert result.exit_code == 0, result.stderr
    assert "PSNR" in result.stdout
    places = [Path(line.split(":", 1)[1].strip()) for line in result.stdout.splitlines()[-4:]]
    assert [place.name for place in places] == [
        "low-dose",
        "enhanced",
        "uncertainty",
        "report.html",
    ]
    assert all(place.is_absolute() and place.exists() for place in places)


def test_a_program_is_told_what_the_demo_made_and_its_figures(
    invoke: Invoke, stand: Stand, doubles: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isocenter.physics import ct_phantom as phantom

    stand("isocenter.modelpack.folder", "load_folder", doubles.IdentityEnhancer())
    small = partial(phantom.low_dose_phantom, size=160)
    monkeypatch.setattr(phantom, "low_dose_phantom", small)
    result = invoke("demo", "--output", str(tmp_path / "demo"), "--slices", "3", "--json")
    document = json.loads(result.stdout)
    assert document["outcome"] == "done", document["message"]
    seen = {"files_used": 3, "files_other": 0, "files_damaged": 0, "files_unreadable": 0}
    assert document["counts"] == {
        "in": {"inputs": 1, "slices": 3, **seen},
        "out": {"outputs": 2, "files": 4},
    }
    for made in document["made"]:
        first = min(Path(made["path"]).iterdir())
        assert made["series_instance_uid"] == dcmread(first).SeriesInstanceUID
    source = dcmread(min((tmp_path / "demo" / "low-dose").iterdir()))
    assert source.SeriesInstanceUID not in result.stdout
    assert source.StudyInstanceUID not in result.stdout
    assert set(document["timings"]["steps"]) == {"prepare", "work", "finish"}
    assert set(document["result"]["against_full_dose"]) == {"low_dose", "enhanced"}


def test_demo_without_a_model_leaves_nothing(invoke: Invoke, stand: Stand, tmp_path: Path) -> None:
    stand("isocenter.modelpack.folder", "load_folder", ModelRefused("weights were altered"))
    assert invoke("demo", "--output", str(tmp_path / "demo")).exit_code == 2
    assert not list(tmp_path.iterdir())
