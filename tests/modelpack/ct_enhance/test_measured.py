"""Figures measured of a model: read strictly, looked up between levels, of these weights only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isocenter.core.errors import ModelRefused
from isocenter.modelpack.ct_enhance.measured import from_json, measured_of
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.folder import load_folder, verify, write_checksums


def table(**changed: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "version": 1,
        "weights_sha256": "ab" * 32,
        "coverage": {
            "promised": 0.9,
            "sets": [
                {"name": "one", "patients": 2, "pooled": 0.88, "tissues": {"lung": 0.87}},
                {"name": "two", "patients": 3, "pooled": 0.914, "tissues": {}},
            ],
        },
        "contrast": {
            "contrast_hu": -20.0,
            "diameter_mm": [4, 8],
            "noise_hu": [10, 40],
            "strength": 0.0,
            "kept": [[0.6, 0.9], [0.4, 0.7]],
        },
    }
    return whole | changed


def with_contrast(**changed: Any) -> dict[str, Any]:
    return table(contrast=table()["contrast"] | changed)


def test_figures_are_read_and_said_in_words() -> None:
    measured = from_json(table())
    assert measured.coverage.promised == 0.9
    assert measured.coverage.sets[0].tissues == {"lung": 0.87}
    assert measured.coverage.pooled == (0.88, 0.914)
    assert measured.coverage.in_words() == "88 to 91 % of voxels in 2 measured sets of pairs"


def test_kept_contrast_lies_between_noise_levels_by_their_logarithm() -> None:
    contrast = from_json(table()).contrast
    assert contrast.at(20) == pytest.approx((0.5, 0.8))
    assert contrast.at(10) == pytest.approx((0.6, 0.9))
    assert contrast.at(1) == contrast.at(10)
    assert contrast.at(400) == contrast.at(40)
    assert [contrast.reaches(noise) for noise in (1, 10, 20, 40, 41, float("nan"))] == [
        *(False, True, True, True, False, False)
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (table(version=2), "version 2"),
        (table(weights_sha256="short"), "64 hexadecimal"),
        (table(coverage={"promised": 0.9, "sets": []}), "coverage.sets"),
        (table(coverage=None), "coverage"),
        (table(more=1), "more"),
        (with_contrast(kept=[[0.6, 0.9]]), "2 rows of 2"),
        (with_contrast(kept=[[0.6, 0.9], [0.4, float("nan")]]), "contrast.kept"),
        (with_contrast(noise_hu=[40, 10]), "rise"),
        (with_contrast(diameter_mm=[0, 4]), "rise"),
        (with_contrast(contrast_hu=True), "contrast_hu"),
        (with_contrast(strength=2), "from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelRefused, match=said):
        from_json(wrong)


def test_unknown_tissues_and_impossible_shares_are_refused() -> None:
    for tissues in ({"spleen": 0.9}, {"lung": 1.1}):
        one = table()["coverage"]["sets"][0] | {"tissues": tissues}
        with pytest.raises(ModelRefused, match=r"sets\[0\]\.tissues"):
            from_json(table(coverage={"promised": 0.9, "sets": [one]}))


def test_figures_of_other_weights_are_left_aside_with_a_note() -> None:
    assert measured_of(table(), "ab" * 32) == (from_json(table()), "")
    measured, note = measured_of(table(), "cd" * 32)
    assert measured is None
    assert "other weights" in note


def test_a_folder_with_figures_is_verified_and_stays_the_same_model(
    tmp_path: Path, build_enhancer: Callable[..., CtEnhancer]
) -> None:
    folder = tmp_path / "model"
    digest = build_enhancer().save_pretrained(folder)
    assert load_folder(folder).measured is None
    (folder / "measured.json").write_text(json.dumps(table(weights_sha256=digest)))
    with pytest.raises(ModelRefused, match="not listed"):
        load_folder(folder)
    assert write_checksums(folder) == verify(folder) == digest
    loaded = load_folder(folder)
    assert loaded.measured.contrast.kept == ((0.6, 0.9), (0.4, 0.7))
    assert loaded.notes == ()
    (folder / "measured.json").write_text(json.dumps(table()))
    write_checksums(folder)
    loaded = load_folder(folder)
    assert loaded.measured is None
    assert "other weights" in loaded.notes[0]
    (folder / "measured.json").write_text("{}")
    write_checksums(folder)
    with pytest.raises(ModelRefused, match=r"measured\.json"):
        load_folder(folder)
