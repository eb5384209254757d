"""Folders of images are compared, from reading to the last file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from typer.testing import Result

Invoke = Callable[..., Result]
COUNT = 52


def images(seed: int, sigma: float = 2.0) -> NDArray:
    noise = np.random.default_rng(seed).standard_normal((COUNT, 64, 64))
    smooth = ndimage.gaussian_filter(noise, (0, sigma, sigma))
    return np.clip(127 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def saved(folder: Path, given: NDArray, *, patients: bool = True, **columns: str) -> Path:
    (folder / "images").mkdir(parents=True)
    names = ["file", "class", *(["patient"] if patients else []), *columns]
    lines = [",".join(names)]
    for number, values in enumerate(given):
        Image.fromarray(values).save(folder / "images" / f"{number}.png")
        cells = [f"{number}.png", "ab"[number % 2], *([f"p{number // 2}"] if patients else [])]
        lines.append(",".join([*cells, *columns.values()]))
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sets")
    real, generated = images(0), images(1)
    generated[7] = real[11]
    saved(place / "real", real)
    saved(place / "generated", generated, patients=False)
    return place


def test_sets_are_compared_and_everything_is_written(
    invoke: Invoke, folders: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "result"
    both = (str(folders / "real"), str(folders / "generated"))
    result = invoke("evaluate-set", *both, "--output", str(output), "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    found = document["result"]
    assert found == json.loads((output / "figures.json").read_text())
    assert found["images"] == {
        "real": COUNT,
        "patients": COUNT // 2,
        "generated": COUNT,
        "rows_columns": [64, 64],
    }
    whole = found["frechet_distance"]["whole image"]
    assert 0 <= whole["low"] <= whole["value"] <= whole["high"]
    assert found["copies"]["which"] == [7]
    assert set(found["similarity_of_pairs"]["real"]) == {"a", "b"}
    assert document["counts"]["out"] == {"files": 3, "copies": 1}
    assert [one["output"] for one in document["made"]] == [
        "figures",
        "contact_sheet",
        "nearest_pairs",
    ]
    for name in ("contact_sheet.png", "nearest_pairs.png"):
        with Image.open(output / name) as picture:
            assert min(picture.size) > 100
    again = invoke("evaluate-set", *both, "--output", str(output))
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_a_table_is_printed(invoke: Invoke, folders: Path) -> None:
    result = invoke("evaluate-set", str(folders / "real"), str(folders / "generated"))
    assert result.exit_code == 0, result.stderr
    assert "1 of 52" in result.stdout
    assert "Coverage" in result.stdout
    assert "fixed filters" in result.stderr


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"given": images(2)[:49]}, "input", "GENERATED: the generated set has 49"),
        ({"given": images(2)[:, :, :63]}, "mixed_sizes", "64 x 64"),
        ({"given": images(2), "modality": "MR"}, "mixed_modalities", "2 modalities"),
        ({"given": images(2).astype(np.uint16)}, "mixed_sizes", "16 bits"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(
    invoke: Invoke, tmp_path: Path, change: dict[str, NDArray], reason: str, words: str
) -> None:
    real = saved(tmp_path / "real", images(0), modality="CT")
    columns = {name: str(value) for name, value in change.items() if name != "given"}
    generated = saved(tmp_path / "generated", change["given"], patients=False, **columns)
    result = invoke("evaluate-set", str(real), str(generated), "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["reason"] == reason
    assert words.removeprefix("GENERATED: ") in document["message"]


def test_a_real_set_without_patients_is_refused(
    invoke: Invoke, folders: Path, tmp_path: Path
) -> None:
    generated = str(folders / "generated")
    result = invoke("evaluate-set", generated, generated)
    assert result.exit_code == 2
    assert "column 'patient'" in " ".join(result.stderr.split())
    few = saved(tmp_path / "few", images(0))
    (tmp_path / "few.csv").write_text(
        "file,patient\n" + "\n".join(f"{k}.png,p{k % 4}" for k in range(COUNT))
    )
    result = invoke("evaluate-set", str(few), generated, "--labels", str(tmp_path / "few.csv"))
    assert result.exit_code == 2
    assert "of 4 patients" in " ".join(result.stderr.split())


def test_it_says_which_set_is_refused(invoke: Invoke, folders: Path, tmp_path: Path) -> None:
    result = invoke("evaluate-set", str(folders / "real"), str(tmp_path / "absent"))
    assert result.exit_code == 2
    assert "GENERATED: there is no such folder" in " ".join(result.stderr.split())


def test_features_of_another_kind_are_refused(
    invoke: Invoke, folders: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "inception.pth"
    weights.write_bytes(b"x")
    both = (str(folders / "real"), str(folders / "generated"))
    result = invoke("evaluate-set", *both, "--features", str(weights))
    assert result.exit_code == 2
    assert "safetensors" in result.stderr
