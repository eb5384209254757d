"""ADC maps on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dicom.diffusion_files import write_study


def test_a_study_becomes_a_map_with_all_that_belongs_to_it(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    write_study(tmp_path / "study", noise=100.0)
    done = invoke("adc", str(tmp_path / "study"), "-o", str(tmp_path / "out"), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    made = {one["output"]: one["num_files"] for one in document["made"]}
    assert made == {
        "adc": 1,
        "adc_images": 4,
        "uncertainty": 1,
        "lesion": 1,
        "measurements": 1,
    }


def test_without_b0_nothing_is_written_and_the_reason_is_told(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    write_study(tmp_path / "study", (1000.0,))
    refused = invoke("adc", str(tmp_path / "study"), "-o", str(tmp_path / "out"))
    assert refused.exit_code == 2
    assert "b = 0 are missing" in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_the_help_names_the_settings(invoke: Callable[..., Any]) -> None:
    text = invoke("adc", "--help").stdout
    for option in ("--lesion-adc", "--series", "--force"):
        assert option in text
    assert "--dicom" not in text
    assert "NIfTI" not in text
