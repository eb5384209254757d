"""What ``isocenter train ct_enhance`` hands to the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from isocenter.cli import app
from isocenter.modelpack import folder as folder_module
from isocenter.recipes.ct_enhance import recipe as recipe_module
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe, own_ct_enhance


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[CtEnhanceRecipe, dict[str, Any]]]:
    """The calls of ``train``."""
    calls: list[tuple[CtEnhanceRecipe, dict[str, Any]]] = []

    def train(recipe: CtEnhanceRecipe, data: Path, output: Path, **options: Any) -> Path:
        calls.append((recipe, options))
        return output / "model"

    monkeypatch.setattr(recipe_module, "train", train)
    monkeypatch.setattr(folder_module, "verify", lambda folder: "ab" * 32)
    return calls


def command(*arguments: str) -> Any:
    basics = ["train", "ct_enhance", "--data", "d", "--output", "o"]
    return CliRunner().invoke(app, [*basics, *arguments])


def test_without_settings_the_recipe_for_the_folder_is_trained(trained: list[Any]) -> None:
    result = command("--resume")
    assert result.exit_code == 0
    ((recipe, options),) = trained
    assert recipe == own_ct_enhance()
    assert options["resume"] is True
    assert "model" in result.stdout


def test_a_program_is_told_where_the_model_lies(trained: list[Any]) -> None:
    document = json.loads(command("--json").stdout)
    assert [made["path"] for made in document["made"]] == ["o/model"]
    assert document["result"] == {"weights_sha256": "ab" * 32}


def test_the_command_line_wins_over_the_file(trained: list[Any], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[mean]\nsteps = 5\nbatch_size = 4\n")
    result = command("--settings", str(tmp_path / "s.toml"), "--set", "mean.steps=7")
    assert result.exit_code == 0
    ((recipe, _),) = trained
    assert (recipe.mean.steps, recipe.mean.batch_size) == (7, 4)


def test_an_unknown_setting_is_refused_with_the_nearest(trained: list[Any]) -> None:
    result = command("--set", "mean.step=7")
    assert result.exit_code == 2
    assert "the nearest is mean.steps" in " ".join(result.stderr.split())
    assert not trained
