"""Objects full of invented identifiers, and what takes them out again."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.deidentify.infused import IDENTIFIERS, infused, saved
from pydicom import dcmread
from pydicom.dataset import FileDataset

from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.one_object import DeidentifiedObject, Deidentifier
from isocenter.deidentification.options import Options

KEY = SecretKey(secret=bytes(range(32)))


class Taken:
    """An object before and after: ``made`` as the engine tells it, ``after`` as others read it."""

    def __init__(self, made: DeidentifiedObject) -> None:
        file = io.BytesIO()
        made.write(file)
        self.made = made
        self.content = file.getvalue()
        self.after = dcmread(io.BytesIO(self.content))


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Taken]:
    """De-identify an object: ``take(dataset, key=..., clean_descriptors=True, ...)``."""

    def run(dataset: FileDataset, **chosen: Any) -> Taken:
        special = {
            name: chosen.pop(name) for name in ("pixel_rules", "safe", "limits") if name in chosen
        }
        key = chosen.pop("key", KEY)
        path = saved(dataset, tmp_path / "source.dcm")
        deidentifier = Deidentifier(key=key, options=Options(**chosen), **special)
        return Taken(deidentifier.deidentified(path))

    return run


@pytest.fixture
def someone() -> Callable[..., FileDataset]:
    """:func:`infused`."""
    return infused


@pytest.fixture
def save() -> Callable[[FileDataset, Path], Path]:
    """:func:`saved`."""
    return saved


@pytest.fixture
def key() -> SecretKey:
    """A key that everybody knows."""
    return KEY


@pytest.fixture
def identifiers() -> dict[str, str]:
    """What :func:`infused` says of the patient and of others, by keyword."""
    return dict(IDENTIFIERS)


@pytest.fixture(scope="session")
def dciodvfy_errors() -> Callable[[Path], list[str]]:
    """Errors that dciodvfy finds in a file."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")

    def errors(path: Path) -> list[str]:
        command = ["dciodvfy", "-new", str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return [one for one in answer.stderr.splitlines() if one.startswith("Error")]

    return errors
