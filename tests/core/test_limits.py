"""Limits are numbers above zero, and say themselves in words."""

from __future__ import annotations

from dataclasses import fields

import pytest

from isocenter.core.errors import InputRefused
from isocenter.core.limits import DEFAULT_LIMITS, Limits, in_bytes


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    assert getattr(DEFAULT_LIMITS, name) > 0
    for value in (0, -1, float("nan")):
        with pytest.raises(InputRefused, match=name):
            Limits(**{name: value})  # type: ignore[arg-type]


def test_bytes_in_words() -> None:
    numbers = (17, 2**10, 3 * 2**19, 2**29, 2**34)
    assert [in_bytes(count) for count in numbers] == [
        "17 bytes",
        "1 KiB",
        "1.5 MiB",
        "512 MiB",
        "16 GiB",
    ]
