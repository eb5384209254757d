"""A model's weights are verified and its card is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from typer.testing import Result

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def test_model_prints_the_card_and_the_digest(invoke: Invoke, stand: Stand) -> None:
    card = {"intended_use": "research"}
    model = SimpleNamespace(name="ct", version="1", weights_sha256="ab" * 32, card=card)
    load = stand("isocenter.modelpack.folder", "load", model)
    result = invoke("model", "folder")
    assert load.calls == [((Path("folder"),), {})]
    assert "ab" * 32 in result.stdout
    assert "intended_use" in result.stdout


def test_a_program_gets_the_card_and_the_digest(invoke: Invoke, stand: Stand) -> None:
    facts = {"name": "ct", "version": "1", "weights_sha256": "ab" * 32, "card": {"a": ["b"]}}
    stand("isocenter.modelpack.folder", "load", SimpleNamespace(**facts))
    assert json.loads(invoke("model", "--json").stdout)["result"] == facts
