"""Training takes known recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.testing import Result

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def test_train_takes_known_recipes_only(invoke: Invoke, stand: Stand) -> None:
    result = invoke("train", "no_such_recipe", "--data", "d", "--output", "o")
    assert result.exit_code == 2
    assert "ct_enhance" in result.stderr
