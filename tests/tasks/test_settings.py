"""Settings are checked against what their fields say, and refused in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from isocenter.core.errors import InputRefused
from isocenter.tasks.settings import Settings, setting, settings_from


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    """One of each kind."""

    steps: int = setting(4, help="Steps.", at_least=1, at_most=8)
    strength: float = setting(0.0, help="Strength.", at_least=0, at_most=1, parse=float)
    share: float | None = setting(None, help="Share.", above=0, at_most=1, advice="leave it out")
    kind: str = setting("fine", help="Kind.", choices=("fine", "coarse"))
    smooth: bool = setting(False, help="Whether.")


def test_defaults_are_taken() -> None:
    assert settings_from(Example, {}) == Example()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1 and at most 8, got 0"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a whole number"),
        ({"strength": 1.5}, "strength must be from 0 to 1, got 1.5"),
        ({"strength": float("nan")}, "strength must be from 0 to 1, got nan"),
        ({"share": 0}, "share must be above 0 and at most 1, got 0; leave it out"),
        ({"share": "half"}, "share must be above 0 and at most 1, got half"),
        ({"kind": "rough"}, "kind must be one of fine, coarse, got 'rough'"),
        ({"smooth": 1}, "smooth must be of type bool, got 1"),
        ({"strenght": 1}, "there is no setting strenght; did you mean strength?"),
        ({"xyz": 1}, "there is no setting xyz; there are steps, strength"),
    ],
)
def test_other_values_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        settings_from(Example, values)
    assert words in str(refusal.value)


def test_what_a_user_writes_is_turned_into_the_value() -> None:
    assert settings_from(Example, {"strength": "0.25"}).strength == 0.25


def test_a_whole_number_is_the_same_setting_as_a_float() -> None:
    assert repr(Example(share=1)) == repr(Example(share=1.0))
