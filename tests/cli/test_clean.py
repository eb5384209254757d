"""What a killed run left is found, told from what still runs or is not ours, and removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from isocenter.tasks.result_folder import appearing_at_once, only_run_for

Invoke = Callable[..., Result]
RUN = """
import sys, time
from pathlib import Path
from isocenter.tasks.result_folder import appearing_at_once, only_run_for
final = Path(sys.argv[1])
with only_run_for(final), appearing_at_once(final) as partial:
    (partial / "image.bin").write_bytes(bytes(2_000_000))
    (final.parent / "began").touch()
    time.sleep(60)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder where a run to "result" was killed, and things that are not ours lie."""
    folder = tmp_path / "results"
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-c", RUN, str(folder / "result")])
    try:
        while not (folder / "began").exists():
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    (folder / "began").unlink()
    for name in (".other.partial-0123abcd", ".mine.partial-mine", "finished"):
        (folder / name).mkdir()
    for name in (".other.lock", ".movie.mp4.part", "notes.txt"):
        (folder / name).touch()
    return folder


BYSTANDERS = [
    ".mine.partial-mine",
    ".movie.mp4.part",
    ".other.lock",
    ".other.partial-0123abcd",
    "finished",
    "notes.txt",
]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_run_left_is_removed_and_nothing_else(invoke: Invoke, killed: Path) -> None:
    assert names(killed) != BYSTANDERS
    result = invoke("clean", str(killed))
    assert result.exit_code == 0, result.output
    assert names(killed) == BYSTANDERS
    assert "2 removed, 2.0 MB; 0 in use" in result.stdout
    assert "0 removed, 0.0 MB; 0 in use" in invoke("clean", str(killed)).stdout


def test_a_dry_run_removes_nothing(invoke: Invoke, killed: Path) -> None:
    before = names(killed)
    result = invoke("clean", str(killed), "--dry-run")
    assert "2 to remove, 2.0 MB; 0 in use" in result.stdout
    assert "would remove  .result.partial-" in result.stdout
    assert names(killed) == before


def test_a_program_is_told_what_was_removed(invoke: Invoke, killed: Path) -> None:
    document = json.loads(invoke("clean", str(killed), "--json").stdout)
    assert document["counts"] == {"in": {"left_overs": 2, "in_use": 0}, "out": {"removed": 2}}
    assert len(document["result"]["removed"]) == 2
    assert names(killed) == BYSTANDERS


def test_a_run_that_goes_on_is_left_alone(invoke: Invoke, killed: Path) -> None:
    final = killed / "running"
    with only_run_for(final), appearing_at_once(final) as partial:
        (partial / "image.bin").write_bytes(b"pixels")
        result = invoke("clean", str(killed))
        assert "2 removed" in result.stdout
        assert "2 in use" in result.stdout
        assert (partial / "image.bin").exists()
    assert names(killed) == sorted([*BYSTANDERS, "running"])


def test_a_link_is_never_followed(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "scan").touch()
    (tmp_path / ".a.partial-0123abcd").symlink_to(tmp_path / "precious")
    (tmp_path / ".a.partial-0123abcd.isocenter-lock").touch()
    (tmp_path / ".b.isocenter-lock").symlink_to(tmp_path / "precious" / "scan")
    assert invoke("clean", str(tmp_path)).exit_code == 0
    assert (tmp_path / "precious" / "scan").exists()
    assert (tmp_path / ".a.partial-0123abcd").is_symlink()
    assert (tmp_path / ".b.isocenter-lock").is_symlink()


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_folder_is_refused_without_its_name(
    invoke: Invoke, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    result = invoke("clean", str(tmp_path / name))
    assert result.exit_code == 2
    assert "is no folder" in result.stderr
    assert name not in result.output.replace("FOLDER", "")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may do everything")
def test_what_cannot_be_removed_is_said(invoke: Invoke, killed: Path) -> None:
    killed.chmod(0o500)
    try:
        result = invoke("clean", str(killed))
    finally:
        killed.chmod(0o700)
    assert result.exit_code == 2
    assert "could not be removed" in result.stderr
