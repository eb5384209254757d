"""From what a user says to one wish and one seed an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import SettingRefused
from isocenter.core.seeds import derived_seed
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.names import unknown_name
from isocenter.modelpack.generator.wish import Wish
from isocenter.tasks.generate.masks import read_mask
from isocenter.tasks.generate.references import read_reference

ANY = "any"
"""Said of a condition, leaves it free."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One image that is asked for.

    Attributes:
        wish: what it is to be.
        seed: what it is drawn from first; a copy is drawn again from another.
    """

    wish: Wish
    seed: int

    def seed_of(self, attempt: int) -> int:
        """The seed of a draw, from 0: the first is the request's own."""
        return self.seed if attempt == 0 else derived_seed(self.seed, "not a copy", attempt)


def seed_of_image(seed: int, number: int) -> int:
    """The seed of an image from that of a run; ``number`` counts from 1."""
    return derived_seed(seed, "generate", number)


def wish_of(
    family: Family,
    *,
    class_: str | None = None,
    plane: str | None = None,
    conditions: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Any] | None = None,
    box: Sequence[float] | str | None = None,
    mask: str | Path | NDArray | None = None,
    text: str = "",
    reference: str | Path | NDArray | None = None,
) -> Wish:
    """The wish of what was said, once the family can be told it.

    Args:
        class_, plane: as conditions, by names of their own.
        conditions: of any category or number by its name; "any" or None leaves it free.
        numbers: the same of numbers alone.
        box: four fractions of the image, or text that says them.
        mask: label map, a file or an array.
        reference: another image, a file or an array.

    Raises:
        InputRefused: something is not known, not taken, or makes no sense.
    """
    said = _merged({"class": class_, "plane": plane}, conditions or {}, numbers or {})
    for name in numbers or {}:
        family.number(name)
    categories, values = {}, {}
    for name, value in said.items():
        if name not in family.conditions:
            raise unknown_name("condition", name, family.conditions, of=family.name)
        if name in family.categories:
            categories[name] = value
        else:
            values[name] = _number(name, value)
    wish = Wish(
        categories=categories,
        numbers=values,
        box=None if box is None else parsed_box(box),
        mask=None if mask is None else read_mask(mask),
        text=text,
        reference=None if reference is None else read_reference(reference, family),
    )
    family.check(wish)
    return wish


def parsed_box(box: Sequence[float] | str) -> Any:
    """Four numbers, from text such as "0.6,0.4,0.15,0.1" where it is text.

    Raises:
        SettingRefused: they are not.
    """
    if not isinstance(box, str):
        return tuple(box)
    parts = [part.strip() for part in box.strip().strip("()[]").split(",")]
    return tuple(_number("box", part) for part in parts)


def _merged(*said: Mapping[str, Any]) -> dict[str, Any]:
    """What is not free, each said once."""
    merged: dict[str, Any] = {}
    for one in said:
        for name, value in one.items():
            if value is None or value == ANY:
                continue
            if name in merged:
                raise SettingRefused(f"the condition {name} is given twice; give it once")
            merged[name] = value
    return merged


def _number(name: str, value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise SettingRefused(f"{name} takes numbers, such as 0.5; one is none") from None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise SettingRefused(f"{name} takes a number, got {type(value).__name__}")
    return float(value)
