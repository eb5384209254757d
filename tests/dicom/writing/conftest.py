"""An independent judge of what is written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

KNOWN_FALSE_ERROR = "(0008,001c)"


@pytest.fixture(scope="session")
def dciodvfy_errors() -> Callable[[Path], list[str]]:
    """Errors that dciodvfy finds, besides the false one on an element newer than the program."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")

    def errors(path: Path) -> list[str]:
        command = ["dciodvfy", "-new", str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = answer.stderr.splitlines()
        return [one for one in lines if one.startswith("Error") and KNOWN_FALSE_ERROR not in one]

    return errors
