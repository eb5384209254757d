"""The benchmark of few patients: its slices, its runs and its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.transfer.__main__ import ARMS, SCRATCH, markdown, measured
from benchmarks.transfer.flair import SIDE, write_folder
from numpy.typing import NDArray
from PIL import Image
from tests.recipes.generate.tiny_run import discs, tiny

from isocenter.recipes.generate.recipe import train


def test_slices_lie_on_one_grid_and_sessions_of_a_patient_stay_together(tmp_path: Path) -> None:
    ball = np.hypot(*np.mgrid[-60:60, -40:40]) < 36
    head = np.stack([np.zeros_like(ball), ball, ball]).astype(np.uint8) * 200
    spacing = np.array([3, 1, 1.5], np.float32)
    for name in ("ms_ljubljana_longitudinal/a_s1", "ms_ljubljana_longitudinal/a_s2"):
        _save(tmp_path / "mri" / f"{name}.npz", flair=head, spacing_mm=spacing)
    _save(tmp_path / "mri" / "kirby21_t1_t2_flair" / "b.npz", flair=head, spacing_mm=spacing)
    _save(tmp_path / "mri" / "brats_t1_t2_flair_t1c" / "c.npz", t1=head, spacing_mm=spacing)
    counts = write_folder(tmp_path, tmp_path / "own")
    assert sorted(counts.values()) == [2, 4]  # empty slices and heads without FLAIR are left out
    assert write_folder(tmp_path, tmp_path / "own") == counts
    image = np.asarray(Image.open(next((tmp_path / "own" / "images").iterdir())))
    assert image.shape == (SIDE, SIDE)
    rows, columns = (np.flatnonzero((image > 100).any(axis=axis)) for axis in (1, 0))
    assert len(rows) == pytest.approx(71, abs=1)
    assert len(columns) == pytest.approx(1.5 * 71, abs=2)


def test_without_flair_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no FLAIR"):
        write_folder(tmp_path, tmp_path / "own")


def test_every_arm_is_fitted_to_the_same_heads(tmp_path: Path) -> None:
    data = discs(tmp_path / "data", patients=60)
    train(tiny(data), data, tmp_path / "base")
    own = discs(tmp_path / "own", patients=4, each=2, gray=230)
    recipe = tiny(own)
    recipe = replace(
        recipe,
        start=str(tmp_path / "base"),
        autoencoder=replace(recipe.autoencoder, kept=True),
    )
    found, counts = measured(recipe, own, tmp_path / "out")
    assert list(found) == [arm.name for arm in ARMS]
    assert all(set(errors) == {2, 3} for errors in found.values())
    assert found[ARMS[1].name] != found[SCRATCH]
    said = markdown(found, counts)
    assert "heads that were not trained on" in said
    assert measured(recipe, own, tmp_path / "out")[0] == found  # finished runs are read


def test_the_table_says_when_an_arm_is_as_good_as_nothing_at_the_end() -> None:
    found = {
        SCRATCH: {50: 1.5, 100: 1.0, 150: 0.8},
        "quick": {50: 0.8, 100: 0.7, 150: 0.6},
        "slow": {50: 1.2, 100: 1.1, 150: 0.9},
    }
    said = markdown(found, {"train": (20, 2), "validation": (10, 1)})
    last = {
        line.split("|")[1].strip(): line.split("|")[-2].strip() for line in said.splitlines()[4:]
    }
    assert last == {SCRATCH: "150", "quick": "50", "slow": "not reached"}


def _save(path: Path, **arrays: NDArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **arrays)
