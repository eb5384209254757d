from __future__ import annotations

import inspect

import pytest

from isocenter.core import errors

DELIBERATE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__ and kind is not errors.IsocenterError
]


@pytest.mark.parametrize("kind", DELIBERATE)
def test_every_refusal_is_one_of_ours_and_a_value_error(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.IsocenterError)
    assert issubclass(kind, ValueError)
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


def test_an_unsuitable_scan_names_its_rule() -> None:
    refused = errors.UnsuitableScan("too coarse", reason="pixel_spacing", can_be_forced=True)
    assert (refused.reason, refused.can_be_forced, str(refused)) == (
        "pixel_spacing",
        True,
        "too coarse",
    )
    assert not errors.UnsuitableScan("color", reason="color").can_be_forced
