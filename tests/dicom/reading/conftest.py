"""Files that may not be opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isocenter.dicom.reading import listing

Close = Callable[[Path], None]


@pytest.fixture
def close(monkeypatch: pytest.MonkeyPatch) -> Close:
    """Take away the permission to open a file or to list a folder, also from an administrator."""
    closed: set[str] = set()
    looks_like_dicom, scandir = listing.looks_like_dicom, os.scandir

    def look(path: Path) -> bool:
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return looks_like_dicom(path)

    def scan(path: Any) -> Any:
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(listing, "looks_like_dicom", look)
    monkeypatch.setattr(os, "scandir", scan)
    return lambda path: closed.add(str(path))
