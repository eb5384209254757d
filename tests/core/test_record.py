from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from isocenter.core.record import RunRecord

RECORD = RunRecord(
    task="ct_enhance",
    product_version="0.1",
    model_name="model",
    model_version="1",
    weights_sha256="ab" * 32,
    settings={"strength": 0.5, "seed": 3},
    source_digest="cd" * 32,
)


@pytest.mark.parametrize(
    "explaining",
    [
        {"warnings": ("noise was 90 HU",)},
        {"library_versions": {"torch": "2"}},
        {"model_name": "renamed", "model_version": "2"},
        {"settings": {"seed": 3, "strength": 0.5}},
    ],
)
def test_digest_ignores_what_changes_no_pixel(explaining: dict[str, Any]) -> None:
    assert replace(RECORD, **explaining).digest() == RECORD.digest()


@pytest.mark.parametrize(
    "decisive",
    [
        {"settings": {"strength": 0.5, "seed": 4}},
        {"settings": {"strength": 0.5, "seed": 3, "steps": 4}},
        {"task": "other"},
        {"product_version": "0.2"},
        {"weights_sha256": "ac" * 32},
        {"source_digest": "ce" * 32},
    ],
)
def test_digest_reacts_to_what_changes_pixels(decisive: dict[str, Any]) -> None:
    assert replace(RECORD, **decisive).digest() != RECORD.digest()


def test_digest_is_the_same_on_every_machine() -> None:
    stored = "14f635e9f424d2c832cdc334bdea0a063737045272e7c476dee4a99051ee0111"
    assert RECORD.digest() == stored


def test_dictionary_goes_through_json_with_its_digest() -> None:
    read = json.loads(json.dumps(replace(RECORD, warnings=("a",)).as_dict()))
    assert read["digest"] == RECORD.digest()
    assert read["warnings"] == ["a"]
    assert read["settings"] == RECORD.settings
