"""A task of some sixty lines, registered in one, has everything that a task has."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from typer.testing import CliRunner, Result

import isocenter
from isocenter.cli import app
from isocenter.core.errors import InputRefused, OutputRefused, UnsuitableScan
from isocenter.tasks import registry

HERE = Path(__file__).parent
SOURCE = HERE / "smooth" / "task.py"
REPOSITORY = HERE.parents[1]

Trunk = Callable[..., Path]


@pytest.fixture(autouse=True)
def smooth(load_module: Callable[[Path, str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task, registered in one line."""
    module = load_module(SOURCE, "isocenter_tests_smooth")
    monkeypatch.setitem(registry.TASKS, "smooth", "isocenter_tests_smooth")
    return module


@pytest.fixture
def scan(trunk_on_disk: Trunk, tmp_path: Path) -> Path:
    return trunk_on_disk(tmp_path / "in")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], prog_name="isocenter")


def python(*arguments: Any, **options: Any) -> Any:
    return isocenter.__getattr__("smooth")(*arguments, **options)


def stored(folder: Path) -> NDArray:
    datasets = sorted(
        (pydicom.dcmread(path) for path in folder.glob("*.dcm")),
        key=lambda dataset: float(dataset.ImagePositionPatient[2]),
    )
    return np.stack([dataset.pixel_array for dataset in datasets]).astype(float)


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_as_short_as_promised() -> None:
    lines = [line for line in SOURCE.read_text().splitlines() if line.strip()]
    assert len(lines) <= 70


def test_the_page_of_the_docs_shows_this_very_file() -> None:
    page = (REPOSITORY / "docs" / "new_task.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert "".join(blocks).split() == SOURCE.read_text().split()


def test_the_command_writes_series_map_report_and_record(scan: Path, tmp_path: Path) -> None:
    result = command("smooth", scan, "-o", tmp_path / "out", "--width-mm", 5)
    assert result.exit_code == 0, result.output
    assert beside(tmp_path / "out") == ["interval", "record.json", "report.html", "smoothed"]
    for words in ("Smoothed series:", "Interval:", "Report:"):
        assert words in result.stdout
    before, after = stored(scan), stored(tmp_path / "out" / "smoothed")
    sigma = (0, 5 / 3.5, 5 / 3.5)
    assert np.abs(after - ndimage.gaussian_filter(before, sigma)).max() < 0.501
    (path,) = (tmp_path / "out" / "interval").iterdir()
    change = np.frombuffer(pydicom.dcmread(path).FloatPixelData, "<f4").reshape(before.shape)
    assert np.abs(change - np.abs(after - before)).max() < 0.501


def test_the_help_of_the_command_comes_from_the_declaration() -> None:
    text = command("smooth", "--help").stdout
    assert "Smooth a CT by a Gaussian" in text
    assert "--width-mm" in text
    assert "--force" in text
    assert "--model" not in text
    assert "smooth" in command("--help").stdout


def test_the_call_in_python_gives_the_same_uids_and_pixels(scan: Path, tmp_path: Path) -> None:
    command("smooth", scan, "-o", tmp_path / "there", "--width-mm", 5)
    result = python(scan, tmp_path / "here", width_mm=5.0)
    for name in ("smoothed/IM0001.dcm", "interval/UM0001.dcm"):
        here, there = (pydicom.dcmread(tmp_path / at / name) for at in ("here", "there"))
        assert here.SOPInstanceUID == there.SOPInstanceUID
    assert result.files["smoothed"][0] == tmp_path / "here" / "smoothed" / "IM0001.dcm"
    assert python(scan, tmp_path / "there", width_mm=5.0).already_there
    with pytest.raises(OutputRefused, match="another scan, model or setting"):
        python(scan, tmp_path / "there", width_mm=4.0)


@pytest.mark.parametrize("width_mm", [0, -1, 21, float("nan"), "wide", True])
def test_a_setting_outside_its_limits_is_refused(scan: Path, tmp_path: Path, width_mm: Any) -> None:
    with pytest.raises(InputRefused, match="width_mm must be above 0 and at most 20"):
        python(scan, tmp_path / "out", width_mm=width_mm)
    assert beside(tmp_path) == ["in"]


def test_a_broken_rule_is_refused_and_can_be_forced(
    scan: Path, tmp_path: Path, smooth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smooth, "LARGEST_PIXEL_MM", 3.0)
    with pytest.raises(UnsuitableScan, match=r"measured 3\.50 mm; accepted at most 3 mm"):
        python(scan, tmp_path / "out")
    assert beside(tmp_path) == ["in"]
    result = python(scan, tmp_path / "out", force=True)
    assert "3.50 mm" in result.report.read_text()
    assert "3.50 mm" in str(pydicom.dcmread(result.files["smoothed"][0]))


def test_the_report_shows_what_came_in_and_what_came_out(scan: Path, tmp_path: Path) -> None:
    page = python(scan, tmp_path / "out").report.read_text()
    for words in (
        "NOT FOR DIAGNOSIS",
        "All 2 checks of this result passed.",
        "Slice 2 of 6",
        "Before",
        "Smoothed series",
        "Interval",
        "Was the scan one for this task?",
        "isocenter smooth INPUT --output FOLDER --width-mm 2",
    ):
        assert words in page
    assert page.count("data:image/png") == 3 * 3 * 2


def test_the_record_says_what_made_it(scan: Path, tmp_path: Path) -> None:
    result = python(scan, tmp_path / "out", width_mm=3)
    content = json.loads((result.folder / "record.json").read_text())
    assert content["record"]["task"] == "ct_smooth"
    assert content["record"]["settings"] == {"width_mm": 3.0}
    assert content["observations"]["num_slices"] == 6
    assert set(content["files"]) >= {"report.html", "smoothed/IM0001.dcm", "interval/UM0001.dcm"}


def test_killed_halfway_it_leaves_no_result_and_the_next_run_completes(
    scan: Path, tmp_path: Path
) -> None:
    def die(done: int, total: int) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    process = os.fork()
    if process == 0:
        python(scan, tmp_path / "out", progress=die)
        sys.exit("not killed")
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    assert not (tmp_path / "out").exists()
    assert len([path for path in tmp_path.glob(".out.partial-*") if path.is_dir()]) == 1
    assert not python(scan, tmp_path / "out").already_there
    assert beside(tmp_path) == ["in", "out"]
