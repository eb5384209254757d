"""With ``--json`` there is one document on standard output, whatever happens."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import Result

from isocenter.cli.outcome import EXIT_CODES
from isocenter.core.errors import (
    IsocenterError,
    ModelRefused,
    OutputRefused,
    SeriesChoiceNeeded,
    SettingRefused,
    UnreadableInput,
    UnsuitableScan,
)
from isocenter.core.reasons import ALL
from isocenter.core.version import __version__

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
KEYS = (
    "schema_version isocenter_version run command outcome reason exit_code message notes warnings "
    "counts made timings result"
)
# Runs the program as a process of its own, with a stand-in for the work.
PROGRAM = """
import os, signal, sys, types
def run(*arguments, **options):
    {work}
stand_in = types.ModuleType("isocenter.tasks.run")
stand_in.run = run
sys.modules["isocenter.tasks.run"] = stand_in
from isocenter.cli import main
main(sys.argv[1:])
"""
ENHANCE = ("enhance", "scan", "--output", "out")


def document_of(result: Result) -> dict[str, Any]:
    """The one document on standard output, with its fixed keys."""
    document: dict[str, Any] = json.loads(result.stdout)
    assert " ".join(document) == KEYS
    assert document["schema_version"] == 1
    assert document["isocenter_version"] == __version__
    assert document["exit_code"] == result.exit_code
    assert document["outcome"] == EXIT_CODES[result.exit_code]
    assert document["reason"] in ALL
    return document


def program(work: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    script = PROGRAM.format(work=work)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, **options
    )


def test_what_was_done_is_told(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, tmp_path: Path
) -> None:
    enhanced.notes = ("1 file was damaged",)
    files = tuple(tmp_path / f"{number}.nii" for number in range(3))
    enhanced.files = {"enhanced": files, "uncertainty": files[:1]}
    stand("isocenter.tasks.run", "run", enhanced)
    result = invoke(*ENHANCE, "--json")
    document = document_of(result)
    assert (document["outcome"], document["reason"], document["exit_code"]) == ("done", "done", 0)
    assert document["command"] == "enhance"
    assert document["message"] == ""
    assert document["notes"] == ["1 file was damaged"]
    assert document["counts"] == {
        "in": {"inputs": 1, "slices": 3},
        "out": {"outputs": 2, "files": 4},
    }
    assert [made["output"] for made in document["made"]] == ["enhanced", "uncertainty"]
    assert document["result"]["report"] == str(tmp_path / "report.html")
    assert document["timings"]["seconds"] >= 0


def test_every_file_that_was_seen_is_counted(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    enhanced.files_seen = {
        "ct": {"used": 3, "other": 1, "damaged": 0},
        "mr": {"used": 2, "other": 0, "damaged": 1},
    }
    stand("isocenter.tasks.run", "run", enhanced)
    counts = document_of(invoke(*ENHANCE, "--json"))["counts"]["in"]
    assert (counts["files_used"], counts["files_other"], counts["files_damaged"]) == (5, 1, 1)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"already_there": True}, "already_there"), ({"warnings": ("3 mm",)}, "forced")],
)
def test_what_was_not_simply_done_has_a_reason(
    invoke: Invoke,
    stand: Stand,
    enhanced: SimpleNamespace,
    facts: dict[str, Any],
    reason: str,
) -> None:
    vars(enhanced).update(facts)
    stand("isocenter.tasks.run", "run", enhanced)
    document = document_of(invoke(*ENHANCE, "--json"))
    assert (document["outcome"], document["reason"]) == ("done", reason)
    assert document["warnings"] == list(enhanced.warnings)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnreadableInput("not DICOM; choose another"), "unreadable"),
        (UnsuitableScan("pixels of 3 mm", reason="pixel_spacing"), "pixel_spacing"),
        (SeriesChoiceNeeded("2 series fit"), "series_choice"),
        (SettingRefused("strength must be from 0 to 1"), "setting"),
        (ModelRefused("weights were altered", reason="model_altered"), "model_altered"),
        (OutputRefused("the folder is taken", reason="output_taken"), "output_taken"),
        (IsocenterError("no"), "refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_a_document(
    invoke: Invoke, stand: Stand, error: Exception, reason: str
) -> None:
    stand("isocenter.tasks.run", "run", error)
    result = invoke(*ENHANCE, "--json")
    document = document_of(result)
    assert (document["outcome"], document["reason"], result.exit_code) == ("refused", reason, 2)
    assert str(error) in document["message"]
    assert str(error) in result.stderr
    assert document["result"] is None


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ((*ENHANCE, "--stength", "1", "--json"), "enhance"),
        (("enhance", "--json", "scan"), "enhance"),
        (("enhanse", "--json"), None),
        (("--no-such", "--json"), None),
        (("--json",), None),
        (("evaluate", "a", "--json=yes"), "evaluate"),
        ((*ENHANCE, "--json", "--log"), "enhance"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_line_that_is_not_understood_is_a_document(
    invoke: Invoke, arguments: tuple[str, ...], command: str | None
) -> None:
    result = invoke(*arguments)
    document = document_of(result)
    assert (document["reason"], document["command"], result.exit_code) == ("usage", command, 2)
    assert document["message"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad value 'DOE^JANE'"), "unexpected"),
        (OSError(5, "Input/output error", "/DOE/JANE"), "system"),
        (OSError(28, "No space left on device"), "disk_full"),
        (MemoryError("DOE"), "out_of_memory"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_not_expected_is_a_document_without_its_words(
    invoke: Invoke, stand: Stand, error: Exception, reason: str
) -> None:
    stand("isocenter.tasks.run", "run", error)
    result = invoke(*ENHANCE, "--json")
    document = document_of(result)
    assert (document["outcome"], document["reason"], result.exit_code) == ("failed", reason, 1)
    assert document["message"]
    assert "DOE" not in result.output


def test_ctrl_c_is_a_document(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.tasks.run", "run", KeyboardInterrupt())
    document = document_of(invoke(*ENHANCE, "--json"))
    assert (document["outcome"], document["reason"]) == ("stopped", "interrupted")


@pytest.mark.parametrize(
    ("number", "reason", "exit_code"),
    [
        (signal.SIGINT, "interrupted", 130),
        (signal.SIGTERM, "terminated", 143),
        (signal.SIGHUP, "hung_up", 129),
    ],
)
def test_a_signal_clears_up_and_is_a_document(
    number: signal.Signals, reason: str, exit_code: int, tmp_path: Path
) -> None:
    cleared_up = tmp_path / "cleared_up"
    work = f"""
    try:
        os.kill(os.getpid(), {int(number)})
        signal.pause()
    finally:
        open({str(cleared_up)!r}, "w").close()"""
    result = program(work, *ENHANCE, "--json")
    assert result.returncode == exit_code
    assert cleared_up.exists()
    document = json.loads(result.stdout)
    assert (document["reason"], document["exit_code"]) == (reason, exit_code)


def test_nohup_is_kept() -> None:
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    script = before + PROGRAM.format(work="os.kill(os.getpid(), signal.SIGHUP); sys.exit(7)")
    result = subprocess.run([sys.executable, "-c", script, *ENHANCE], capture_output=True)
    assert result.returncode == 1


def test_what_others_print_is_kept_off_standard_output() -> None:
    work = 'print("by Python"); os.write(1, b"by a library\\n"); os.system("echo by a child")'
    result = program(work, *ENHANCE, "--json")
    assert json.loads(result.stdout)["outcome"] == "failed"
    assert "by" not in result.stdout.split()
    for who in ("by Python", "by a library", "by a child"):
        assert who in result.stderr


def test_the_document_comes_where_standard_error_is_closed() -> None:
    result = program('print("noise")', *ENHANCE, "--json", preexec_fn=lambda: os.close(2))
    assert json.loads(result.stdout)["outcome"] == "failed"


@pytest.mark.parametrize("arguments", [("--version", "--json"), ("--json", "enhance", "--help")])
def test_help_and_version_are_beside_the_document(
    invoke: Invoke, arguments: tuple[str, ...]
) -> None:
    result = invoke(*arguments)
    document = document_of(result)
    assert (document["outcome"], document["result"]) == ("done", None)
    assert "socenter" in result.stderr


def test_behind_a_double_dash_nothing_is_an_option(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", "-o", "out", "--", "--json")
    assert call.calls[0][0][1] == {"input": Path("--json")}
    assert result.stdout.startswith("Enhanced series:")


def test_numbers_that_are_not_finite_are_null(invoke: Invoke, stand: Stand) -> None:
    card = {"psnr_db": math.inf, "limits": (1, math.nan)}
    model = SimpleNamespace(name="ct", version="1", weights_sha256="ab" * 32, card=card)
    stand("isocenter.modelpack.folder", "load", model)
    document = document_of(invoke("model", "--json"))
    assert document["result"]["card"] == {"psnr_db": None, "limits": [1, None]}


def test_the_steps_of_the_work_are_timed(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*arguments: Any, progress: Any, **options: Any) -> SimpleNamespace:
        for done in range(4):
            progress(done, 3)
        return enhanced

    stand("isocenter.tasks.run", "run", None)
    monkeypatch.setattr(sys.modules["isocenter.tasks.run"], "run", work)
    timings = document_of(invoke(*ENHANCE, "--json"))["timings"]
    assert list(timings["steps"]) == ["prepare", "work", "finish"]
    assert sum(timings["steps"].values()) == pytest.approx(timings["seconds"], abs=0.01)
    assert timings["started"].endswith("Z")


def test_work_that_is_stopped_tells_how_far_it_came(
    invoke: Invoke, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*arguments: Any, progress: Any, **options: Any) -> None:
        progress(0, 3)
        progress(1, 3)
        raise KeyboardInterrupt

    stand("isocenter.tasks.run", "run", None)
    monkeypatch.setattr(sys.modules["isocenter.tasks.run"], "run", work)
    document = document_of(invoke(*ENHANCE, "--json"))
    assert list(document["timings"]["steps"]) == ["prepare", "work"]
    assert document["counts"] == {"in": {"slices": 3}, "out": {}}


def test_of_several_processes_the_first_one_tells(
    invoke: Invoke, stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand("isocenter.tasks.run", "run", KeyboardInterrupt())
    log = tmp_path / "log"
    monkeypatch.setenv("RANK", "1")
    assert not invoke(*ENHANCE, "--json", "--log", str(log)).stdout
    assert not log.exists()
    monkeypatch.setenv("RANK", "0")
    assert document_of(invoke(*ENHANCE, "--json", "--log", str(log)))
    assert log.exists()


def test_a_reader_that_leaves_is_no_news() -> None:
    read, write = os.pipe()
    os.close(read)
    script = "from isocenter.cli import main; main(['--version'])"
    for more in ("", ", '--json'"):
        result = subprocess.run(
            [sys.executable, "-c", script.replace("]", more + "]")],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        assert "Exception" not in result.stderr
    os.close(write)


def test_the_page_shows_a_document_and_every_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    shown = re.search(r"```json\n(.*?)```", page, re.S)
    assert shown
    assert " ".join(json.loads(shown[1])) == KEYS
    for name in ("json.md", "command_line.md"):
        page = (Path(__file__).parents[2] / "docs" / name).read_text()
        assert set(map(int, re.findall(r"^\| (\d+) \| \w", page, re.M))) == set(EXIT_CODES)
    keys = page_keys((Path(__file__).parents[2] / "docs" / "json.md").read_text())
    assert keys == KEYS.split()


def page_keys(page: str) -> list[str]:
    """What the table of keys describes, in its order."""
    table = page.partition("| Key | Holds |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.M)
