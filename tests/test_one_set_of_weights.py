"""Recipe, model folder and every page speak of the same weights."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from isocenter.datasets import ct_pairs
from isocenter.modelpack.folder import shipped_folder, verify
from isocenter.recipes.ct_enhance import card as ct_enhance_card
from isocenter.recipes.ct_enhance.configuration import MODEL_VERSION, ct_enhance

REPOSITORY = Path(__file__).parents[1]
README, CHANGELOG = "README.md", "CHANGELOG.md"
PAGES = [README, CHANGELOG, *(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))]
RUNS = ("mean", "refine", "adapt", "texture")
STEPS = [f"{getattr(ct_enhance(), run).steps:,}" for run in RUNS]


def shipped(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((shipped_folder() / name).read_text())
    return content


def figures_of(text: str) -> tuple[str, str, str]:
    """What stands before, in and behind the place of the measured figures."""
    begin, end = (f"<!-- ct_enhance table: {edge} -->" for edge in ("begin", "end"))
    before, _, rest = text.partition(begin)
    table, _, after = rest.partition(end)
    return before, table, after


def page(name: str) -> str:
    """The text of a page with its line breaks as spaces."""
    return " ".join((REPOSITORY / name).read_text().split())


def test_the_shipped_model_was_made_by_the_recipe() -> None:
    recipe = json.loads(json.dumps(asdict(ct_enhance())))
    assert shipped("training.json")["recipe"] == recipe
    index = shipped("model_index.json")
    assert index["accepted"] == recipe["accepted"]
    assert index["context"] == recipe["pairs"]["context"]
    assert index["dose_prior"] == json.loads(json.dumps(asdict(ct_enhance().dose_prior())))
    calibration = shipped("calibration.json")
    assert calibration["coverage"] == recipe["calibration"]["coverage"]
    assert calibration["noise_hu"] == recipe["calibration"]["noise_levels_hu"]
    assert calibration["frequency_per_mm"] == recipe["calibration"]["textures_per_mm"]
    for part, prefix in (("mean", ""), ("texture", "texture_")):
        config = shipped(f"{part}/config.json")
        for name in ("widths", "blocks"):
            assert config[name] == recipe[prefix + name]


def test_the_split_of_the_shipped_model_is_that_of_the_recipe() -> None:
    rule = ct_enhance().split
    for part, patients in shipped("training.json")["split"].items():
        assert {rule.part_of(patient) for patient in patients} == {part}
        assert len(patients) == shipped("card.json")["patients"][part]


def test_the_card_is_what_the_recipe_would_write() -> None:
    card = shipped("card.json")
    assert card["name"] == ct_enhance().name
    assert card["version"] == MODEL_VERSION == ct_enhance().version
    assert card["seed"] == ct_enhance().seed
    assert card["limits"] == list(ct_enhance_card.LIMITS)
    readme = (shipped_folder() / "README.md").read_text()
    sources = [line[2:] for line in readme.splitlines() if "doi:" in line]
    history = shipped("training.json").get("history", "")
    before, table, after = figures_of(readme)
    wanted = ct_enhance_card.readme(card, ct_enhance(), sources=sources, history=history)
    assert before + "\n" + after == "".join(figures_of(wanted))
    assert table.strip()


def test_card_and_training_name_one_commit() -> None:
    commit = shipped("card.json")["commit"]
    assert re.fullmatch(r"[0-9a-f]{7,40}", commit)
    assert shipped("training.json")["commit"] == commit
    assert f"code at {commit}" in (shipped_folder() / "README.md").read_text()


@pytest.mark.parametrize("name", [README, CHANGELOG, "docs/ct_enhance.md", "docs/training.md"])
def test_pages_speak_of_the_shipped_version(name: str) -> None:
    found = re.findall(r"(?i)weights(?: of the CT model)?,? \(?(?:version )?(\d+\.\d+)", page(name))
    assert found, "the page names no version of the weights"
    assert set(found) == {MODEL_VERSION}


@pytest.mark.parametrize("name", ["docs/ct_enhance.md", "docs/training.md"])
def test_pages_state_the_steps_of_the_recipe(name: str) -> None:
    text = page(name)
    assert all(steps in text for steps in STEPS)


def test_no_page_states_other_steps() -> None:
    named = [steps for name in PAGES for steps in re.findall(r"(\d[\d,]*\d) steps", page(name))]
    allowed = {*STEPS, f"{ct_enhance().small_steps:,}"}
    assert {steps for steps in named if "," in steps} <= allowed


def test_pairs_of_stage_one_are_counted_right() -> None:
    mean = ct_enhance().mean
    assert f"{mean.steps * mean.batch_size:,} pairs" in page("docs/training.md")


def test_the_hours_are_stated_once() -> None:
    """A figure in two places is soon two figures."""
    where = [name for name in PAGES for _ in re.findall(r"(?i)\bhours\b[^.]*\bcores\b", page(name))]
    assert where == ["docs/training.md"]


def test_pages_say_of_simulation_what_the_code_does() -> None:
    """Pairs take random and measured spectra; the fan-beam simulation only judges."""
    assert ct_pairs.__file__ is not None
    source = Path(ct_pairs.__file__).read_text()
    assert "physics.ct_dose" not in source
    assert {"random_texture", "radial_noise_power"} <= set(re.findall(r"\w+", source))
    decisions = page("docs/decisions.md")
    assert "training simulates no scanner" in decisions
    assert "mixes the physical simulation" not in decisions


def test_the_baseline_is_neither_shipped_nor_in_the_recipe() -> None:
    assert not list((REPOSITORY / "benchmarks").rglob("*.safetensors"))
    recipes = (REPOSITORY / "src" / "isocenter" / "recipes").rglob("*.py")
    assert not [path.name for path in recipes if "PlainRegressor" in path.read_text()]


@pytest.mark.parametrize("name", ["README.md", "docs/ct_enhance.md", "card"])
def test_published_tables_are_of_the_shipped_weights(name: str) -> None:
    """The benchmark writes which weights it measured; a table of others may not stay."""
    text = (shipped_folder() / "README.md").read_text() if name == "card" else page(name)
    _, table, _ = figures_of(text)
    digest = verify(shipped_folder())
    assert f"Measured with weights {MODEL_VERSION}, SHA-256 {digest[:16]}." in table
    assert "mean (strength 0)" in table
