"""Any task with a map can have it written as numbers, as images and in color."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

import isocenter
from isocenter.cli import app
from isocenter.core.errors import InputRefused
from isocenter.core.outputs import MapImages, MapOutput, MapPictures
from isocenter.core.volume import Geometry, Volume
from isocenter.tasks import registry
from isocenter.tasks.map_forms import MapForms

SOURCE = Path(__file__).parent / "smooth" / "task.py"


@pytest.fixture(autouse=True)
def smooth(load_module: Callable[[Path, str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load_module(SOURCE, "isocenter_tests_smooth_forms")
    monkeypatch.setitem(registry.TASKS, "smooth", "isocenter_tests_smooth_forms")
    return module


@pytest.fixture
def scan(trunk_on_disk: Callable[..., Path], tmp_path: Path) -> Path:
    return trunk_on_disk(tmp_path / "in", shape=(3, 96, 96))


def run(*arguments: Any, **options: Any) -> Any:
    return isocenter.__getattr__("smooth")(*arguments, **options)


def folders(result: Path) -> list[str]:
    return sorted(path.name for path in result.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["interval", "smoothed"]),
        ({"maps": "images"}, ["interval_images", "smoothed"]),
        ({"maps": "both"}, ["interval", "interval_images", "smoothed"]),
        ({"color_map": True}, ["interval", "interval_color", "smoothed"]),
    ],
    ids=str,
)
def test_a_folder_for_each_form(
    scan: Path, tmp_path: Path, options: dict[str, Any], expected: list[str]
) -> None:
    result = run(scan, tmp_path / "out", **options)
    assert folders(result.folder) == sorted(result.files) == expected
    settings = json.loads((result.folder / "record.json").read_text())["record"]["settings"]
    assert ("map" in settings) == ("maps" in options)
    assert ("color_map" in settings) == ("color_map" in options)
    assert run(scan, tmp_path / "out", **options).already_there


def test_every_form_shows_the_same_values(scan: Path, tmp_path: Path) -> None:
    result = run(scan, tmp_path / "out", maps="both", color_map=True)
    floats = np.concatenate(
        [pydicom.dcmread(path).pixel_array for path in result.files["interval"]]
    )
    for index, path in enumerate(result.files["interval_images"]):
        image = pydicom.dcmread(path)
        values = image.pixel_array * float(image.RescaleSlope)
        np.testing.assert_allclose(values, floats[index], atol=float(image.RescaleSlope))
    for index, path in enumerate(result.files["interval_color"]):
        colors = pydicom.dcmread(path).pixel_array[:96].astype(int)
        is_gray = (colors.max(axis=2) - colors.min(axis=2)) <= 2
        assert is_gray[floats[index] < 0.2].all()
        assert not is_gray[floats[index] > 20].any()


def test_the_command_has_the_forms_and_says_where_they_lie(scan: Path, tmp_path: Path) -> None:
    arguments = ["smooth", str(scan), "-o", str(tmp_path / "out"), "--map", "both", "--color-map"]
    result = CliRunner().invoke(app, arguments, prog_name="isocenter")
    assert result.exit_code == 0, result.output
    for name in ("interval", "interval_images", "interval_color"):
        assert str(tmp_path / "out" / name) in result.stdout.replace("\n", "")


def test_forms_of_dicom_are_refused_for_volume_files(tmp_path: Path) -> None:
    volume = Volume(
        array=np.zeros((3, 32, 32), np.float32),
        geometry=Geometry(shape=(3, 32, 32), spacing_mm=(2, 2, 2)),
        unit="HU",
    )
    for options in ({"maps": "images"}, {"color_map": True}):
        with pytest.raises(InputRefused, match="add --dicom"):
            run(volume, tmp_path / "out", **options)
    run(volume, tmp_path / "out", maps="both", color_map=True, dicom=True)
    assert folders(tmp_path / "out") == [
        "interval",
        "interval_color",
        "interval_images",
        "smoothed",
    ]


def test_another_form_is_refused(scan: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="parametric, images, both"):
        run(scan, tmp_path / "out", maps="ct")


def test_what_is_no_map_keeps_its_one_form(smooth: Any) -> None:
    forms = MapForms(maps="both", color=True).written(smooth.TASK.outputs)
    assert forms[0] is smooth.SERIES
    kinds = [type(form) for form in forms[1:]]
    assert kinds == [MapOutput, MapImages, MapPictures]
    assert forms[3] == MapPictures(map=smooth.CHANGE, behind="smoothed")
    assert MapForms().written(smooth.TASK.outputs) == smooth.TASK.outputs
