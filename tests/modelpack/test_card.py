from __future__ import annotations

from typing import Any

import pytest

from isocenter.core.errors import ModelRefused
from isocenter.modelpack.card import LISTS, TEXTS, checked_card

CARD: dict[str, Any] = {
    "name": "isocenter-tiny",
    "version": "1",
    "intended_use": "Tests.",
    "not_for": ["Anything else."],
    "limits": ["Knows nothing."],
    "licence": "Apache-2.0",
}


def test_a_card_may_say_more_than_it_must() -> None:
    card = CARD | {"coverage": "90 %"}
    assert checked_card(card) == card


@pytest.mark.parametrize("name", [*TEXTS, *LISTS])
@pytest.mark.parametrize("value", [None, "", "  ", [], [""], 3, {"a": "b"}])
def test_what_a_card_must_say_is_there_and_not_empty(name: str, value: object) -> None:
    with pytest.raises(ModelRefused, match=f"card must (say|list) {name}"):
        checked_card(CARD | {name: value})
    with pytest.raises(ModelRefused, match=f"{name}.*it says nothing"):
        checked_card({key: said for key, said in CARD.items() if key != name})


@pytest.mark.parametrize("value", ["a" * 65, "two\nlines", "bell\a"])
def test_name_and_version_fit_into_a_header(value: str) -> None:
    for name in ("name", "version"):
        with pytest.raises(ModelRefused, match="printable"):
            checked_card(CARD | {name: value})
