"""What every model says of itself before anybody uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocenter.core.errors import ModelRefused

TEXTS = ("name", "version", "intended_use", "licence")
LISTS = ("not_for", "limits")
LONGEST_NAME = 64  # a DICOM long string


def checked_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card, once it says what every card must.

    Args:
        card: ``name``, ``version``, ``intended_use`` and ``licence`` as text; ``not_for`` and
            ``limits`` as lists of sentences, not empty. More may stand in it.

    Raises:
        ModelRefused: something is missing, empty or of another type.
    """
    for name in TEXTS:
        if not _is_text(card.get(name)):
            raise ModelRefused(f"the model's card must say {name} in words; {_found(card, name)}")
    for name in LISTS:
        said = card.get(name)
        if not (isinstance(said, list) and said and all(_is_text(one) for one in said)):
            raise ModelRefused(
                f"the model's card must list {name} as sentences; {_found(card, name)}"
            )
    for name in ("name", "version"):
        if len(card[name]) > LONGEST_NAME or not card[name].isprintable():
            raise ModelRefused(
                f"the {name} on the model's card must be printable and of at most {LONGEST_NAME} "
                "characters"
            )
    return dict(card)


def bounds_in_markdown(card: Mapping[str, Any]) -> list[str]:
    """Lines for people: what a model is not for, and its limits."""
    return [
        "**Not for:**",
        "",
        *(f"- {one}" for one in card["not_for"]),
        "",
        "**Known limits:**",
        "",
        *(f"- {one}" for one in card["limits"]),
        "",
    ]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _found(card: Mapping[str, Any], name: str) -> str:
    return f"it holds {type(card[name]).__name__}" if name in card else "it says nothing"
