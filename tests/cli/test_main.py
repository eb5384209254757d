"""The program: its version, and how every way to fail ends in a sentence and an exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
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


def test_a_request_to_terminate_clears_up_first() -> None:
    script = """
import os, signal, sys, types
def run(*arguments, **options):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        print("cleared up")
stand_in = types.ModuleType("isocenter.tasks.run")
stand_in.run = run
sys.modules["isocenter.tasks.run"] = stand_in
from isocenter.cli import main
main(["enhance", "scan", "--output", "out"])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 143
    assert result.stdout == "cleared up\n"
