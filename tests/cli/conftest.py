"""The program in this process, and stand-ins for what its commands call."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from isocenter.cli import app


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Run the program with some arguments."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="isocenter")

    return run


class Recorder:
    """Stands for a function: keeps what it was called with, returns or raises what it was told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls.append((arguments, options))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Stand:
    """Puts recorders in the place of the functions that the commands import."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def __call__(self, module: str, name: str, answer: Any) -> Recorder:
        recorder = Recorder(answer)
        stand_in = ModuleType(module)
        setattr(stand_in, name, recorder)
        self.patch.setitem(sys.modules, module, stand_in)
        return recorder


@pytest.fixture(scope="session")
def doubles() -> ModuleType:
    """The module ``model_double`` of the tests of tasks."""
    name = "isocenter_tests_model_double_for_cli"
    path = Path(__file__).parents[1] / "tasks" / "model_double.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    return Stand(monkeypatch)


@pytest.fixture
def enhanced(tmp_path: Path) -> SimpleNamespace:
    """What a run of the task gives."""
    return SimpleNamespace(
        folder=tmp_path,
        report=tmp_path / "report.html",
        warnings=(),
        notes=(),
        already_there=False,
        files={"enhanced": (), "uncertainty": ()},
        counts={"inputs": 1, "slices": 3},
    )
