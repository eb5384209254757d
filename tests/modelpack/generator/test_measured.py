"""What a generator says of its own figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.modelpack.generator.tiny import tiny_generator

from isocenter.core.errors import ModelRefused
from isocenter.modelpack.folder import write_checksums
from isocenter.modelpack.generator.measured import obedience_in_words
from isocenter.modelpack.generator.model import ImageGenerator

SHA = "a" * 64


def figures(**families: Any) -> dict[str, Any]:
    return {"version": 1, "weights_sha256": SHA, "families": families}


def said(measured: dict[str, Any] | None, family: str = "heads") -> str:
    return obedience_in_words(measured, family=family, weights_sha256=SHA)


def test_what_was_found_stands_beside_what_the_judge_makes_of_real_images() -> None:
    heads = {
        "found": {"class": {"mean": 0.876, "low": 0.8, "high": 0.9}, "box": {"mean": 0.5}},
        "judge": {"class": {"mean": 0.93}},
    }
    words = said(figures(heads=heads))
    assert "the class in 88 % (in 93 % on real images)" in words
    assert "box" not in words  # nothing to compare it with
    assert said(figures(heads=heads), "chests") == ""
    assert said(figures(heads={"found": {}, "judge": {}})) == ""
    assert said(None) == ""


def test_figures_of_other_weights_are_left_aside() -> None:
    assert "other weights" in said(figures() | {"weights_sha256": "b" * 64})


@pytest.mark.parametrize(
    "broken",
    [
        {"version": 2},
        {"version": 1, "weights_sha256": SHA, "families": []},
        figures(heads={"found": {"class": {"mean": 2}}, "judge": {"class": {"mean": 0.9}}}),
        figures(heads={"found": {"class": {"mean": None}}, "judge": {"class": {"mean": 0.9}}}),
        figures(heads={"found": {"class": 3}, "judge": {"class": {"mean": 0.9}}}),
    ],
)
def test_figures_that_cannot_be_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused, match=r"measured\.json"):
        said(broken)


def test_a_model_folder_tells_its_figures_and_its_weights_stay_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    digest = tiny_generator().save_pretrained(folder)
    assert ImageGenerator.from_pretrained(folder).notes == ()
    heads = {"found": {"class": {"mean": 0.5}}, "judge": {"class": {"mean": 1.0}}}
    content = figures(heads=heads) | {"weights_sha256": digest}
    (folder / "measured.json").write_text(json.dumps(content))
    write_checksums(folder)
    again = ImageGenerator.from_pretrained(folder)
    assert again.weights_sha256 == digest
    assert "the class in 50 %" in again.notes[0]
    assert again.of("chests").notes == ()


def test_figures_that_cannot_be_are_refused_before_any_work(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    digest = tiny_generator().save_pretrained(folder)
    chests = {"found": {"class": {"mean": 7}}, "judge": {"class": {"mean": 1.0}}}
    content = figures(chests=chests) | {"weights_sha256": digest}
    (folder / "measured.json").write_text(json.dumps(content))
    write_checksums(folder)
    with pytest.raises(ModelRefused, match="from 0 to 1 for class"):
        ImageGenerator.from_pretrained(folder)
