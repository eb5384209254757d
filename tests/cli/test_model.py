"""A model's weights are verified and its card is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from typer.testing import Result

from isocenter.modelpack.ct_enhance.measured import CoverageSet, MeasuredCoverage

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def test_model_prints_the_card_and_the_digest(invoke: Invoke, stand: Stand) -> None:
    card = {"intended_use": "research"}
    model = SimpleNamespace(name="ct", version="1", weights_sha256="ab" * 32, card=card)
    load = stand("isocenter.modelpack.folder", "load", model)
    result = invoke("model", "folder")
    assert load.calls == [(("folder",), {})]
    assert "ab" * 32 in result.stdout
    assert "intended_use" in result.stdout


def test_model_prints_what_its_interval_held(invoke: Invoke, stand: Stand) -> None:
    coverage = MeasuredCoverage(
        promised=0.9, sets=(CoverageSet(name="one", patients=2, pooled=0.87, tissues={}),)
    )
    measured = SimpleNamespace(coverage=coverage)
    model = SimpleNamespace(name="ct", version="1", weights_sha256="", card={}, measured=measured)
    stand("isocenter.modelpack.folder", "load", model)
    wanted = "90 % interval held 87 % of voxels in one measured set of pairs"
    assert wanted in invoke("model").stdout


def test_model_prints_what_is_to_be_known_of_a_generator(invoke: Invoke, stand: Stand) -> None:
    model = SimpleNamespace(
        name="g", version="1", weights_sha256="", card={}, measured={}, notes=("Not always.",)
    )
    stand("isocenter.modelpack.folder", "load", model)
    assert "Not always." in invoke("model", "brain_t1c").stdout


def test_a_program_gets_the_card_and_the_digest(invoke: Invoke, stand: Stand) -> None:
    facts = {"name": "ct", "version": "1", "weights_sha256": "ab" * 32, "card": {"a": ["b"]}}
    stand("isocenter.modelpack.folder", "load", SimpleNamespace(**facts))
    assert json.loads(invoke("model", "--json").stdout)["result"] == facts
