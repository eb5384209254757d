"""A result that is for its owner alone, from the first byte to the last."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import isocenter
from isocenter.tasks import registry

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
SOURCE = Path(__file__).parent / "smooth" / "task.py"


@pytest.fixture(autouse=True)
def smooth(load_module: Callable[[Path, str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    load_module(SOURCE, "isocenter_tests_smooth_private")
    monkeypatch.setitem(registry.TASKS, "smooth", "isocenter_tests_smooth_private")


@pytest.fixture(autouse=True)
def generous_system() -> Any:
    """One whose defaults let everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> tuple[set[int], set[int]]:
    """Permissions of all folders, and of all files."""
    paths = [folder, *folder.rglob("*")]
    return tuple(
        {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir() == is_folder}
        for is_folder in (True, False)
    )  # type: ignore[return-value]


def test_a_private_result_is_closed_to_others_while_it_grows_and_after(
    trunk_on_disk: Callable[..., Path], tmp_path: Path
) -> None:
    scan = trunk_on_disk(tmp_path / "in", shape=(3, 96, 96))
    seen = set()

    def look(done: int, total: int) -> None:
        (partial,) = (path for path in tmp_path.glob(".out.partial-*") if path.is_dir())
        seen.add(stat.S_IMODE(partial.stat().st_mode))

    run = isocenter.__getattr__("smooth")
    result = run(scan, tmp_path / "out", private=True, progress=look)
    assert seen == {0o700}
    assert modes(result.folder) == ({0o700}, {0o600})


def test_a_result_that_is_there_becomes_private_when_it_is_asked_for(
    trunk_on_disk: Callable[..., Path], tmp_path: Path
) -> None:
    scan = trunk_on_disk(tmp_path / "in", shape=(3, 96, 96))
    run = isocenter.__getattr__("smooth")
    result = run(scan, tmp_path / "out")
    assert modes(result.folder) == ({0o777}, {0o666})
    assert run(scan, tmp_path / "out", private=True).already_there
    assert modes(result.folder) == ({0o700}, {0o600})
