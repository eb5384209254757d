"""What one name makes: the images of a family, their values, and what they may be told."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.modelpack.generator.names import nearest, shown, unknown_name
from isocenter.modelpack.generator.wish import MOST_LABEL, Wish

LEAST_SIDE, MOST_SIDE = 8, 4096

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CODE_STRING = re.compile(r"[A-Z0-9_][A-Z0-9_ ]{0,15}")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number that images may be told.

    Attributes:
        name: in a wish, such as "age".
        unit: "" where it has none.
        least, most: what is accepted, both included.
        meaning: in words.
    """

    name: str
    unit: str
    least: float
    most: float
    meaning: str

    def __post_init__(self) -> None:
        _check_name("a number", self.name)
        if not (math.isfinite(self.least) and math.isfinite(self.most) and self.least < self.most):
            raise ValueError(
                f"the number {self.name} needs finite ends that rise, got {self.least:g} to "
                f"{self.most:g}"
            )

    @property
    def accepted(self) -> str:
        """Such as "0 to 100 %"."""
        return f"{self.least:g} to {self.most:g} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Family:
    """What one model name makes and what it may be told.

    Attributes:
        name: such as "brain_t1c".
        title: in words, such as "Brain MR, contrast-enhanced T1".
        modality: DICOM Modality, such as "MR".
        body_part: DICOM Body Part Examined, such as "BRAIN".
        rows, columns: of every image.
        pixel_mm: None where it is not known.
        unit: "HU", or "" for gray levels without unit.
        low, high: the values that -1 and 1 of the network stand for.
        window: center and width to look at it, in the unit.
        categories: names by kind, such as {"class": ("glioma", ...)}; each optional in a wish.
        numbers: each optional in a wish.
        box: what a box marks, such as "tumor"; "" where none is taken.
        guide: names of the labels of a mask image: label k + 1 is guide[k] and 0 is outside; ()
            where none is taken.
        text: whether it is told words.
        reference: what another image is that it may be told, such as "T1 of the same slice", of the
            same size and values; "" where none is taken. It takes the place of a guide.

    Raises:
        ValueError: the parts make no sense.
    """

    name: str
    title: str
    modality: str
    body_part: str
    rows: int
    columns: int
    pixel_mm: float | None
    unit: str
    low: float
    high: float
    window: tuple[float, float]
    categories: Mapping[str, tuple[str, ...]]
    numbers: tuple[Number, ...]
    box: str
    guide: tuple[str, ...]
    text: bool
    reference: str = ""

    def __post_init__(self) -> None:
        kept = {name: tuple(values) for name, values in self.categories.items()}
        object.__setattr__(self, "categories", kept)
        for name in ("numbers", "guide", "window"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_name("a family", self.name)
        self._check_codes()
        self._check_values()
        self._check_conditions()

    def _check_codes(self) -> None:
        if not self.title.strip():
            raise ValueError(f"{self.name} needs a title in words")
        for name, code in (("modality", self.modality), ("body_part", self.body_part)):
            if not _CODE_STRING.fullmatch(code):
                raise ValueError(
                    f"{name} of {self.name} is a DICOM code of up to 16 capitals, digits, spaces "
                    f"and underscores, got {shown(code)}"
                )

    def _check_values(self) -> None:
        for side in (self.rows, self.columns):
            if not LEAST_SIDE <= side <= MOST_SIDE:
                raise ValueError(
                    f"images of {self.name} have {LEAST_SIDE} to {MOST_SIDE} rows and columns, "
                    f"got {self.rows} and {self.columns}"
                )
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"values of {self.name} rise, got {self.low:g} to {self.high:g}")
        if self.pixel_mm is not None and not 0 < self.pixel_mm < math.inf:
            raise ValueError(f"pixel_mm of {self.name} is above 0 or None, got {self.pixel_mm:g}")
        if not (len(self.window) == 2 and np.isfinite(self.window).all() and self.window[1] > 0):
            raise ValueError(
                f"the window of {self.name} is a center and a width above 0, got {self.window}"
            )

    def _check_conditions(self) -> None:
        names = [*self.categories, *(number.name for number in self.numbers)]
        for name in names:
            _check_name("a condition", name)
            if name in ("box", "mask", "text") or names.count(name) > 1:
                raise ValueError(f"the condition {name} of {self.name} needs a name of its own")
        for name, values in [*self.categories.items(), ("guide", self.guide)]:
            if not values and name != "guide":
                raise ValueError(f"the category {name} of {self.name} has no names")
            if len({value.casefold() for value in values}) != len(values) or not all(
                value.strip() == value and value.isprintable() and value for value in values
            ):
                raise ValueError(
                    f"{name} of {self.name} needs names that differ, got {', '.join(values)}"
                )
        if self.guide and self.reference:
            raise ValueError(
                f"{self.name} is guided by a mask or by a reference image, not by both"
            )
        if len(self.guide) > MOST_LABEL:
            raise ValueError(f"a mask of {self.name} has at most {MOST_LABEL} labels")

    @property
    def conditions(self) -> tuple[str, ...]:
        """Every name that a wish may hold, categories first."""
        return (*self.categories, *(number.name for number in self.numbers))

    def number(self, name: str) -> Number:
        """The number of this name.

        Raises:
            SettingRefused: there is none.
        """
        for number in self.numbers:
            if number.name == name:
                return number
        raise unknown_name(
            "number that can be set", name, [each.name for each in self.numbers], of=self.name
        )

    def check(self, wish: Wish) -> None:
        """See that this family can be told what a wish says.

        Raises:
            SettingRefused: a name, number, box or text that it does not take.
            InputRefused: a mask that it does not take, of another size or with other labels.
        """
        for name, value in wish.categories.items():
            self._check_category(name, value)
        for name, number in wish.numbers.items():
            accepted = self.number(name)
            if not accepted.least <= number <= accepted.most:
                raise SettingRefused(
                    f"{name} of {self.name} is from {accepted.accepted}, got {number:g}"
                )
        if wish.box is not None and not self.box:
            raise SettingRefused(f"{self.name} takes no box; leave it out{self._takes()}")
        if wish.mask is not None:
            self._check_mask(wish.mask)
        if wish.reference is not None:
            self._check_reference(wish.reference)
        if wish.text and not self.text:
            raise SettingRefused(f"{self.name} takes no text; leave it out{self._takes()}")

    def _check_category(self, name: str, value: str) -> None:
        if name not in self.categories:
            raise unknown_name("condition", name, self.conditions, of=self.name)
        if value not in self.categories[name]:
            raise unknown_name(name, value, self.categories[name], of=self.name)

    def _check_mask(self, mask: Any) -> None:
        if not self.guide:
            raise InputRefused(f"{self.name} takes no mask; leave it out{self._takes()}")
        labels = ", ".join(f"{number} {name}" for number, name in enumerate(self.guide, 1))
        if mask.shape != (self.rows, self.columns):
            raise InputRefused(
                f"the mask has {mask.shape[0]} rows and {mask.shape[1]} columns; {self.name} takes "
                f"{self.rows} x {self.columns}"
            )
        if not mask.any():
            raise InputRefused(
                f"the mask is empty: every pixel is 0, which is outside. Labels of {self.name}: "
                f"{labels}"
            )
        if mask.max() > len(self.guide):
            unknown = sorted({int(label) for label in np.unique(mask) if label > len(self.guide)})
            raise InputRefused(
                f"the mask holds labels that {self.name} does not know: "
                f"{', '.join(map(str, unknown[:8]))}{' …' if len(unknown) > 8 else ''}. "
                f"Accepted: 0 outside, {labels}"
            )

    def _check_reference(self, image: Any) -> None:
        if not self.reference:
            raise InputRefused(f"{self.name} takes no reference image; leave it out{self._takes()}")
        if image.shape != (self.rows, self.columns):
            raise InputRefused(
                f"the reference image has {image.shape[0]} rows and {image.shape[1]} columns; "
                f"{self.name} takes {self.rows} x {self.columns}"
            )
        if image.min() < self.low or image.max() > self.high:
            raise InputRefused(
                f"the values of the reference image reach from {image.min():g} to "
                f"{image.max():g}; {self.name} takes {self.low:g} to {self.high:g}"
            )

    def _takes(self) -> str:
        """What it does take, to end a refusal with."""
        taken = list(self.conditions)
        taken += ["a box"] * bool(self.box) + ["a mask"] * bool(self.guide)
        taken += [f"a reference image ({self.reference})"] * bool(self.reference)
        taken += ["a text"] * self.text
        return f". It takes {', '.join(taken)}" if taken else ""

    def described(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        said = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        said["numbers"] = [
            {each.name: getattr(number, each.name) for each in fields(Number)}
            for number in self.numbers
        ]
        if not self.reference:
            del said["reference"]  # as in families that were written before it could be told
        return said

    @classmethod
    def from_json(cls, said: object) -> Self:
        """The family again, from what :meth:`described` gave.

        Raises:
            ModelRefused: a part is missing, unknown, of another kind, or makes no sense.
        """
        if isinstance(said, Mapping):
            said = {"reference": "", **said}
        values = _fitting(cls, said, "the family")
        numbers = [_fitting(Number, one, "a number") for one in values["numbers"]]
        values["categories"] = {
            name: _texts(f"categories.{name}", one) for name, one in values["categories"].items()
        }
        values["guide"] = _texts("guide", values["guide"])
        try:
            values["numbers"] = tuple(Number(**one) for one in numbers)
            return cls(**values)
        except ValueError as error:
            raise ModelRefused(f"the family of the model makes no sense: {error}") from error


def _fitting(kind: type, said: object, what: str) -> dict[str, Any]:
    """The values of a dataclass out of JSON: each there, known and of its type."""
    if not isinstance(said, Mapping):
        raise ModelRefused(f"{what} of the model must be values by name, got {shown(said)}")
    hints = typing.get_type_hints(kind)
    for name in said:
        if name not in hints:
            near = nearest(str(name), hints)
            hint = f"; did you mean {near}?" if near else ""
            raise ModelRefused(f"{what} of the model has no {shown(name)}{hint}")
    if missing := [name for name in hints if name not in said]:
        raise ModelRefused(f"{what} of the model does not say {', '.join(missing)}")
    return {name: _converted(hints[name], f"{what}'s {name}", said[name]) for name in hints}


def _converted(kind: Any, name: str, value: Any) -> Any:
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == tuple[float, float] and isinstance(value, list | tuple):
        return tuple(_converted(float, name, one) for one in value)
    plain = typing.get_origin(kind) or kind
    accepted = (list, tuple) if plain is tuple else plain
    if not isinstance(value, accepted) or (isinstance(value, bool) and plain is not bool):
        raise ModelRefused(f"{name} of the model has another type than it should: {shown(value)}")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ModelRefused(f"the family's {name} of the model are names, got {shown(value)}")
    return tuple(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: list(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} is named in small letters, digits and underscores, got {shown(name)}"
        )
