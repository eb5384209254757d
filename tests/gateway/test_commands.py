"""``isocenter gateway`` on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner, Result

from isocenter.cli import app
from isocenter.gateway.configuration.configuration import StoreKeys
from isocenter.gateway.receive.intake import Intake
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["gateway", *arguments], prog_name="isocenter")


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f"""
[store]
folder = {json.dumps(str(tmp_path / "store"))}
keep_free_mib = 0
[dicom]
port = 0
peers = [{{ ae_title = "SCANNER", addresses = ["127.0.0.1"] }}]
[[archives]]
name = "main"
url = "http://127.0.0.1:9/dicom-web"
[[rules]]
name = "every CT"
task = "copy"
to = ["main"]
[rules.inputs.input]
Modality = "CT"
[[rules]]
name = "MR only"
task = "copy"
to = ["main"]
[rules.inputs.input]
Modality = "MR"
"""
    )
    return str(path)


def test_the_status_counts_and_names_no_one(
    configuration: str, tmp_path: Path, make_study: MakeStudy
) -> None:
    store = Store(StoreKeys(folder=tmp_path / "store", keep_free_mib=0))
    study = make_study()
    for each in study:
        with Intake(store).part() as part:
            each.save_as(part, enforce_file_format=True)
            Intake(store).take(part, source="test")
    store.close()
    result = invoke("status", configuration, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)["result"]
    assert found["instances"]["all"] == 3
    assert found["studies"] == {"open": 1}
    assert [line["num_instances"] for line in found["latest"]] == [3]
    shown = invoke("status", configuration).stdout
    for text in (result.stdout, shown):
        assert study[0].StudyInstanceUID not in text
        assert "Phantom" not in text
        assert str(study[0].PatientID) not in text
    explained = invoke("explain", configuration, "1", "--no-ask")
    assert "every CT: holds" in explained.stdout


def test_a_folder_is_explained(configuration: str, tmp_path: Path, make_study: MakeStudy) -> None:
    make_study()
    result = invoke("explain", configuration, str(tmp_path / "study-1-3-8"), "--no-ask", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)["result"]
    assert [(each["rule"], each["holds"]) for each in found["decisions"]] == [
        ("every CT", True),
        ("MR only", False),
    ]
    assert "Modality is CT, wanted MR" in found["decisions"][1]["reasons"][0]


def test_there_are_no_dead_letters_at_first(configuration: str) -> None:
    assert "There are none." in invoke("dead-letters", "list", configuration).stdout
    result = invoke("dead-letters", "resend", configuration, "d1")
    assert result.exit_code == 2
    assert "no dead letter of that name" in result.stderr
    result = invoke("dead-letters", "resend", configuration, "all", "--to", "other")
    assert "there are main" in result.stderr


def test_a_bad_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[store]\nfolder = 3\n")
    result = invoke("status", str(path))
    assert result.exit_code == 2
    assert "store.folder must name a file or folder, got 3" in result.stderr


def test_it_runs_until_it_is_told_to_end(configuration: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "isocenter", "gateway", "run", configuration],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr is not None
        line: Any = process.stderr.readline()
        assert "C-STORE: ISOCENTER at 127.0.0.1:" in line
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) == 0
        assert "goes on at the next start" in rest
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
