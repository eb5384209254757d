"""Two series are compared, printed and written as asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from isocenter.core.errors import (
    UnreadableInput,
)

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


class Compared:
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
    stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    figures, picture = tmp_path / "new" / "figures.json", tmp_path / "picture.png"
    result = invoke("evaluate", "a", "b", "--json", str(figures), "--picture", str(picture))
    assert result.exit_code == 0
    assert "40.50 dB" in result.stdout
    assert figures.read_text() == "figures"
    assert picture.read_text() == "picture"


def test_evaluate_can_print_json_alone(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    assert json.loads(invoke("evaluate", "a", "b", "--json", "-").stdout) == Compared().as_dict()


def test_evaluate_opens_each_side_as_it_is_told(invoke: Invoke, stand: Stand) -> None:
    opened = stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    compare = stand("isocenter.evaluation.compare", "evaluate", Compared())
    invoke("evaluate", "a", "b", "--reference-series", "2", "--test-series", "1", "--largest-run")
    common = {"run": "largest", "accept_enhanced": True}
    assert opened.calls == [
        ((Path("a"),), {"series": "2", **common}),
        ((Path("b"),), {"series": "1", **common}),
    ]
    assert compare.calls[0][0] == ("a scan", "a scan")


def test_evaluate_says_which_of_the_two_is_refused(
    invoke: Invoke, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_ct_series(scan: Path, **_: Any) -> str:
        if scan == Path("b"):
            raise UnreadableInput("the input does not exist")
        return "a scan"

    stand("isocenter.dicom.reading.open", "open_ct_series", None)
    monkeypatch.setattr(
        sys.modules["isocenter.dicom.reading.open"], "open_ct_series", open_ct_series
    )
    result = invoke("evaluate", "a", "b")
    assert result.exit_code == 2
    assert "TEST: the input does not exist" in result.stderr


def test_a_json_file_that_cannot_be_written_is_refused(
    invoke: Invoke, stand: Stand, tmp_path: Path
) -> None:
    stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    (tmp_path / "file").write_text("in the way")
    result = invoke("evaluate", "a", "b", "--json", str(tmp_path / "file" / "figures.json"))
    assert result.exit_code == 2
    assert "cannot write" in result.stderr
