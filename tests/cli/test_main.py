"""The program: its version, and how every way to fail ends in a sentence and an exit code."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from isocenter.core.errors import (
    ModelRefused,
    OutputRefused,
    SeriesChoiceNeeded,
    UnreadableInput,
    UnsuitableScan,
)
from isocenter.core.version import __version__

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout.strip() == f"isocenter {__version__}"


@pytest.mark.parametrize(
    "error",
    [
        UnreadableInput("not DICOM; choose another file"),
        UnsuitableScan("pixels of 3 mm; accepted 0.5 to 1 mm", reason="pixel_spacing"),
        SeriesChoiceNeeded("2 series fit; name one with --series"),
        ModelRefused("weights were altered; install again"),
        OutputRefused("the folder is taken; name another"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_a_sentence_and_exit_code_2(
    invoke: Invoke, stand: Stand, error: Exception
) -> None:
    stand("isocenter.tasks.run", "run", error)
    result = invoke("enhance", SCAN, "--output", "out")
    assert result.exit_code == 2
    assert str(error) in result.stderr
    assert "Traceback" not in result.output
    assert not result.stdout


def test_a_mistyped_command_is_corrected_once(invoke: Invoke) -> None:
    assert invoke("enhanse", SCAN).stderr.count("'enhance'") == 1


def test_brackets_in_a_message_are_kept(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.tasks.run", "run", UnreadableInput("got [bold] and [/nothing]"))
    assert "got [bold] and [/nothing]" in invoke("enhance", SCAN, "--output", "out").stderr


def test_an_unexpected_error_shows_its_place_but_not_its_words(
    invoke: Invoke, stand: Stand
) -> None:
    stand("isocenter.tasks.run", "run", ValueError("bad value 'DOE^JANE'"))
    result = invoke("enhance", SCAN, "--output", "out")
    assert result.exit_code == 1
    assert "Unexpected ValueError at conftest.py:" in result.stderr
    assert "--debug" in result.stderr
    assert "DOE" not in result.output
    assert "Traceback" not in result.output


def test_debug_shows_the_traceback(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.tasks.run", "run", ValueError("bad value"))
    result = invoke("--debug", "enhance", SCAN, "--output", "out")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "ValueError: bad value" in result.stderr


def test_a_full_disk_is_said_in_words(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.tasks.run", "run", OSError(28, "No space left on device"))
    result = invoke("enhance", SCAN, "--output", "out")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr


def test_ctrl_c_ends_with_130(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.tasks.run", "run", KeyboardInterrupt())
    result = invoke("enhance", SCAN, "--output", "out")
    assert result.exit_code == 130
    assert "Stopped" in result.stderr
    assert "Traceback" not in result.output


SIGNALED = """
import os, signal, sys, types
def run(*arguments, **options):
    try:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        print("went on")
    finally:
        os.write(int(sys.argv[2]), b"cleared up")
stand_in = types.ModuleType("isocenter.tasks.run")
stand_in.run = run
sys.modules["isocenter.tasks.run"] = stand_in
if len(sys.argv) > 3:
    signal.signal(getattr(signal, sys.argv[1]), signal.SIG_IGN)
from isocenter.cli import main
main(["enhance", "scan", "--output", "out"])
"""


def signaled(*arguments: str) -> tuple[int, str]:
    """Exit code of a run that gets a signal, and what it wrote while it cleared up."""
    ours, theirs = os.pipe()
    command = [sys.executable, "-c", SIGNALED, arguments[0], str(theirs), *arguments[1:]]
    result = subprocess.run(command, capture_output=True, text=True, pass_fds=[theirs])
    os.close(theirs)
    with os.fdopen(ours) as stream:
        return result.returncode, stream.read() + result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_request_to_end_clears_up_first(name: str, code: int) -> None:
    ended, words = signaled(name)
    assert ended == code
    assert words.strip() == "cleared up"  # the bar ends its line


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_hang_up_that_is_to_be_ignored_is() -> None:
    code, words = signaled("SIGHUP", "as under nohup")
    assert code not in (0, 129)  # the stand-in gives no result
    assert words.startswith("cleared up")
    assert "Unexpected" in words


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_terminal_that_goes_away_ends_a_run_cleanly(tmp_path: Path) -> None:
    """The program in a terminal of its own, whose window is closed while it shows its bar."""
    script = f"""
import sys, time, types
from pathlib import Path
def run(*arguments, progress, **options):
    progress(0, 10)
    Path({str(tmp_path / "began")!r}).touch()
    try:
        time.sleep(60)
    finally:
        Path({str(tmp_path / "cleared")!r}).touch()
stand_in = types.ModuleType("isocenter.tasks.run")
stand_in.run = run
sys.modules["isocenter.tasks.run"] = stand_in
from isocenter.cli import main
main(["enhance", "scan", "--output", "out"])
"""
    pty = pytest.importorskip("pty")
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    try:
        while not (tmp_path / "began").exists():
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            if select.select([terminal], [], [], 0.02)[0]:
                os.read(terminal, 4096)
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert (tmp_path / "cleared").exists()
