"""Two series are compared, printed and written as asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS
from isocenter.core.volume import Geometry, Volume
from isocenter.image.volume_files import write_volume_file

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"
A_SCAN = SimpleNamespace(notes=(), unit="HU")


class Compared:
    num_slices = (3, 3)
    pairs = ((0, 0), (1, 1), (2, 2))

    def as_dict(self) -> dict[str, Any]:
        return {"fidelity": [{"psnr_db": 40.5}]}

    def rows(self) -> list[tuple[str, ...]]:
        return [("PSNR, HU range", "", "", "40.50 dB")]

    def save_json(self, file: Path) -> Path:
        file.write_text("figures")
        return file

    def save_picture(self, file: Path) -> Path:
        file.write_text("picture")
        return file


def test_a_picture_is_a_png(invoke: Invoke) -> None:
    result = invoke("evaluate", SCAN, SCAN, "--picture", "figure.jpg")
    assert result.exit_code == 2
    assert ".png" in result.stderr


def test_evaluate_prints_a_table_and_writes_what_it_is_asked_for(
    invoke: Invoke, stand: Stand, tmp_path: Path
) -> None:
    stand("isocenter.datasets.open_scan", "open_scan", A_SCAN)
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    figures, picture = tmp_path / "new" / "figures.json", tmp_path / "picture.png"
    result = invoke("evaluate", "a", "b", "--figures", str(figures), "--picture", str(picture))
    assert result.exit_code == 0
    assert "40.50 dB" in result.stdout
    assert figures.read_text() == "figures"
    assert picture.read_text() == "picture"


def test_evaluate_gives_its_figures_to_programs(
    invoke: Invoke, stand: Stand, tmp_path: Path
) -> None:
    stand("isocenter.datasets.open_scan", "open_scan", A_SCAN)
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    picture = tmp_path / "picture.png"
    document = json.loads(invoke("evaluate", "a", "b", "--json", "--picture", str(picture)).stdout)
    assert document["result"] == Compared().as_dict()
    (made,) = document["made"]
    assert (made["output"], made["path"]) == ("picture", str(picture))
    assert document["counts"] == {
        "in": {"reference_slices": 3, "test_slices": 3},
        "out": {"compared_slices": 3, "files": 1},
    }


def test_evaluate_opens_each_side_as_it_is_told(invoke: Invoke, stand: Stand) -> None:
    opened = stand("isocenter.datasets.open_scan", "open_scan", A_SCAN)
    compare = stand("isocenter.evaluation.compare", "evaluate", Compared())
    invoke("evaluate", "a", "b", "--reference-series", "2", "--test-series", "1", "--largest-run")
    common = {
        "unit": None,
        "assumed_unit": "HU",
        "largest_run": True,
        "accept_enhanced": True,
        "limits": DEFAULT_LIMITS,
    }
    assert opened.calls == [
        ((Path("a"),), {"series": "2", **common}),
        ((Path("b"),), {"series": "1", **common}),
    ]
    assert compare.calls[0][0] == (A_SCAN, A_SCAN)


def test_evaluate_says_which_of_the_two_is_refused(
    invoke: Invoke, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_scan(scan: Path, **_: Any) -> SimpleNamespace:
        if scan == Path("b"):
            raise UnreadableInput("the input does not exist")
        return A_SCAN

    stand("isocenter.datasets.open_scan", "open_scan", None)
    monkeypatch.setattr(sys.modules["isocenter.datasets.open_scan"], "open_scan", open_scan)
    result = invoke("evaluate", "a", "b")
    assert result.exit_code == 2
    assert "TEST: the input does not exist" in result.stderr


def test_a_json_file_that_cannot_be_written_is_refused(
    invoke: Invoke, stand: Stand, tmp_path: Path
) -> None:
    stand("isocenter.datasets.open_scan", "open_scan", A_SCAN)
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    (tmp_path / "file").write_text("in the way")
    result = invoke("evaluate", "a", "b", "--figures", str(tmp_path / "file" / "figures.json"))
    assert result.exit_code == 2
    assert "Cannot write" in result.stderr


@pytest.fixture
def adc_file(tmp_path: Path) -> Path:
    """A map that Isocenter did not write, so that it says no unit: see the note in its header."""
    array = np.random.default_rng(0).uniform(500, 2500, (3, 32, 32)).astype(np.float32)
    volume = Volume(
        array=array, geometry=Geometry(shape=(3, 32, 32), spacing_mm=(3, 1, 1)), unit=""
    )
    path = write_volume_file(volume, tmp_path / "adc.nii")
    content = bytearray(path.read_bytes())
    content[148:228] = bytes(80)
    path.write_bytes(content)
    return path


def test_volume_files_of_another_unit_are_compared_in_a_stated_range(
    invoke: Invoke, adc_file: Path
) -> None:
    both = (str(adc_file), str(adc_file))
    options = ("--unit", "µm²/s", "--range", "0", "3000", "--json")
    result = invoke("evaluate", *both, *options)
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)["result"]
    assert figures["unit"] == "µm²/s"
    assert figures["fidelity"][0]["rmse"] == 0
    assert "note" not in result.stderr


def test_a_unit_that_was_taken_for_granted_is_noted(
    invoke: Invoke, stand: Stand, tmp_path: Path
) -> None:
    compare = stand("isocenter.evaluation.compare", "evaluate", Compared())
    array = np.full((2, 16, 16), -1000, np.float32)
    array[:, 4:12, 4:12] = 40
    volume = Volume(
        array=array, geometry=Geometry(shape=(2, 16, 16), spacing_mm=(3, 1, 1)), unit=""
    )
    path = write_volume_file(volume, tmp_path / "scan.mha")
    path.write_bytes(path.read_bytes().replace(b"ITK_FileNotes = unit=", b"ITK_FileNotes = other"))
    result = invoke("evaluate", str(path), str(path))
    assert "REFERENCE: The file does not say what its numbers are; they were taken to be HU" in (
        " ".join(result.stderr.split())
    )
    assert [source.unit for source in compare.calls[0][0]] == ["HU", "HU"]


def test_a_range_that_ends_before_it_begins_is_refused(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.datasets.open_scan", "open_scan", A_SCAN)
    result = invoke("evaluate", "a", "b", "--range", "100", "0")
    assert result.exit_code == 2
    assert "got 100 and 0" in result.stderr
