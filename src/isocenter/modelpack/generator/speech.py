"""What a text may say to each family, and what it may not contradict.

A network hears every sentence, also one about another kind of image, and then draws something. So a
text is read first, by the encoder's own readings, and what the family's images were never described
by is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isocenter.core.errors import InputRefused
from isocenter.modelpack.generator.wish import Wish

Accepted = Mapping[str, Sequence[str]]
"""Values that a text may say, by the name of the reading."""

# Readings that say what a category of that name says.
_READING_OF = {"class": "finding"}
# A kind and what it is a kind of: to say less is no contradiction.
_KINDS_OF = {
    "tumor": ("glioma", "meningioma", "pituitary tumor"),
    "pneumonia": ("bacterial pneumonia", "viral pneumonia"),
}
_ABSENT = "no "


def check_speech(text: Any, wish: Wish, *, family: str, accepted: Accepted) -> None:
    """See that a text speaks of images of the family, and of none but the one wished for.

    Args:
        text: encoder with ``said(text)``; one without cannot be asked, and nothing is checked.
        wish: with a text.
        family: its name.
        accepted: what may be said; empty where that is not known, and nothing is checked.

    Raises:
        InputRefused: names what does not fit.
    """
    said = getattr(text, "said", None)
    if said is None or not accepted:
        return
    told: Mapping[str, str] = said(wish.text)
    for name, value in told.items():
        _check_reading(name, value, family=family, accepted=accepted)
    for category, wanted in wish.categories.items():
        heard = told.get(_READING_OF.get(category, category), "")
        if heard and not _agree(heard, wanted):
            raise InputRefused(
                f"the text says {heard}, and {category} is {wanted}; say the same in both, or "
                "leave one out"
            )
        if f"{_ABSENT}{wanted}" in told:
            raise InputRefused(
                f"the text says that there is no {wanted}, and {category} is {wanted}; leave one "
                "out"
            )


def _check_reading(name: str, value: str, *, family: str, accepted: Accepted) -> None:
    if name.startswith(_ABSENT):
        absent = name.removeprefix(_ABSENT)
        if "absent" not in accepted:
            raise InputRefused(
                f"the text says that there is no {absent}, which says nothing about an image of "
                f"{family}; leave it out"
            )
        return
    if name not in accepted and name in _LEFT_ALONE:
        return
    values = accepted.get(name, ())
    if value not in values:
        may = f"{name} may be {', '.join(values)}" if values else f"it cannot be told {name}"
        raise InputRefused(
            f"the text says {value}, which {family} was never told in training: {may}. Leave it "
            "out, or ask another model"
        )


_LEFT_ALONE = ("tens of mm",)


def _agree(heard: str, wanted: str) -> bool:
    return heard == wanted or wanted in _KINDS_OF.get(heard, ())
