"""What one new image is to be, and the image that comes of it.

Everything in a wish is optional: what it leaves out is free. What makes no sense for any model is
refused here, what one family of images does not have by
:meth:`isocenter.modelpack.generator.family.Family.check`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, SettingRefused
from isocenter.modelpack.generator.names import shown, unknown_name

Box = tuple[float, float, float, float]

MOST_TEXT = 1000
"""Characters of a text."""
MOST_LABEL = 255
_EDGE = 1e-6  # by so much a box may reach over the edge, where decimals were rounded


@dataclass(frozen=True, kw_only=True, eq=False)
class Wish:
    """What one image is to be; two wishes are equal when they ask for the same.

    Attributes:
        categories: such as {"class": "glioma"}; the names are the family's.
        numbers: such as {"age": 60.0}, each in the unit that the family says.
        box: center x, center y, width and height as fractions of the image, x to the right and y
            downwards.
        mask: (rows, columns) labels, 0 for outside; kept as a read-only uint8 array.
        text: in words, "" for none.
        reference: (rows, columns) another image, in the family's unit; kept as a read-only float32
            array.

    Raises:
        SettingRefused: a value of another kind, not finite, or a box that leaves the image.
        InputRefused: the mask is no flat array of labels.
    """

    categories: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    box: Box | None = None
    mask: NDArray[np.uint8] | None = None
    text: str = ""
    reference: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        categories = {str(name): _category(name, value) for name, value in self.categories.items()}
        numbers = {str(name): finite(name, value) for name, value in self.numbers.items()}
        object.__setattr__(self, "categories", categories)
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "box", None if self.box is None else checked_box(self.box))
        object.__setattr__(self, "mask", None if self.mask is None else checked_labels(self.mask))
        object.__setattr__(self, "text", _checked_text(self.text))
        if self.reference is not None:
            object.__setattr__(self, "reference", checked_reference(self.reference))

    def described(self) -> dict[str, Any]:
        """What is asked for, ready for JSON; a mask by the SHA-256 of its size and labels."""
        said: dict[str, Any] = {}
        if self.categories:
            said["categories"] = dict(sorted(self.categories.items()))
        if self.numbers:
            said["numbers"] = dict(sorted(self.numbers.items()))
        if self.box is not None:
            said["box"] = list(self.box)
        if self.mask is not None:
            said["mask_sha256"] = self._mask_sha256
        if self.text:
            said["text"] = self.text
        if self.reference is not None:
            said["reference_sha256"] = self._reference_sha256
        return said

    @classmethod
    def from_json(
        cls,
        said: Mapping[str, Any],
        *,
        mask: NDArray | None = None,
        reference: NDArray | None = None,
    ) -> Self:
        """The wish again.

        Args:
            said: what :meth:`described` gave.
            mask: the labels, where it names their digest.
            reference: the other image, where it names its digest.

        Raises:
            SettingRefused: a name that a wish has not, or a value of another kind.
            InputRefused: another mask or reference than the one that was described, or none.
        """
        known = ("categories", "numbers", "box", "mask_sha256", "text", "reference_sha256")
        for name in said:
            if name not in known:
                raise unknown_name("part of a wish", name, known)
        expected = said.get("mask_sha256")
        found = None if mask is None else labels_sha256(checked_labels(mask))
        if found != expected:
            raise InputRefused(
                "the mask is not the one that the wish names by its SHA-256; give that mask"
            )
        wish = cls(
            categories=_table(said, "categories"),
            numbers=_table(said, "numbers"),
            box=said.get("box"),
            mask=mask,
            text=said.get("text", ""),
            reference=reference,
        )
        if wish.described().get("reference_sha256") != said.get("reference_sha256"):
            raise InputRefused(
                "the reference image is not the one that the wish names by its SHA-256; give that "
                "image"
            )
        return wish

    @cached_property
    def _mask_sha256(self) -> str:
        assert self.mask is not None
        return labels_sha256(self.mask)

    @cached_property
    def _reference_sha256(self) -> str:
        assert self.reference is not None
        return image_sha256(self.reference)

    @cached_property
    def _key(self) -> str:
        return json.dumps(self.described(), sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Wish) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)


@dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """One image that a model drew.

    Attributes:
        values: (rows, columns) float32 in the family's unit.
        wish: what it was to be.
        seed: what its noise was drawn from.
        words: where attention was asked for, for each word of the text where in the image it
            acted: (rows, columns), not negative, the sum is 1.
        notes: what should be known of it, in words.
    """

    values: NDArray[np.float32]
    wish: Wish
    seed: int
    words: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def checked_box(box: object) -> Box:
    """A box that lies in the image.

    Raises:
        SettingRefused: no four finite numbers, upside down, empty, or outside the image.
    """
    if isinstance(box, str) or not hasattr(box, "__len__") or len(box) != 4:
        raise SettingRefused(
            "a box is four numbers, center x, center y, width and height as fractions of the "
            f"image, such as 0.6,0.4,0.15,0.1; got {shown(box)}"
        )
    x, y, width, height = (finite("box", value) for value in box)  # type: ignore[attr-defined]
    if not (width > 0 and height > 0):
        raise SettingRefused(
            f"a box is center x, center y, width, height, and both sizes are above 0; got a width "
            f"of {width:g} and a height of {height:g}. It is not given by two corners"
        )
    for name, center, size in (("x", x, width), ("y", y, height)):
        first, last = center - size / 2, center + size / 2
        if first < -_EDGE or last > 1 + _EDGE:
            raise SettingRefused(
                f"the box lies outside the image: along {name} it reaches from {first:g} to "
                f"{last:g}, and the image from 0 to 1; sizes are fractions of the image, not pixels"
            )
    return x, y, width, height


def checked_labels(mask: object) -> NDArray[np.uint8]:
    """A mask of labels, (rows, columns), as a read-only uint8 array.

    Raises:
        InputRefused: not flat, no whole numbers, or labels below 0 or above 255.
    """
    labels = np.asarray(mask)
    if labels.ndim != 2 or labels.size == 0:
        raise InputRefused(
            f"a mask is a flat image of labels, (rows, columns); got an array of {labels.shape}"
        )
    if labels.dtype.kind not in "biu":
        raise InputRefused(
            f"the labels of a mask are whole numbers, 0 for outside; got {labels.dtype} values"
        )
    if labels.min() < 0 or labels.max() > MOST_LABEL:
        raise InputRefused(
            f"the labels of a mask are from 0 to {MOST_LABEL}; got {labels.min()} to {labels.max()}"
        )
    kept = labels.astype(np.uint8)
    kept.setflags(write=False)
    return kept


def checked_reference(image: object) -> NDArray[np.float32]:
    """Another image, (rows, columns), as a read-only float32 array.

    Raises:
        InputRefused: not flat, or values that are no finite numbers.
    """
    values = np.asarray(image)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "biuf":
        raise InputRefused(
            "a reference is a flat image of numbers, (rows, columns); got an array of "
            f"{values.shape} of {values.dtype}"
        )
    kept = np.array(values, np.float32, order="C")
    if not np.isfinite(kept).all():
        raise InputRefused("the reference image holds values that are no numbers; fill them first")
    kept.setflags(write=False)
    return kept


def image_sha256(image: NDArray[np.float32]) -> str:
    """Hexadecimal SHA-256 over the size and values of an image."""
    size = f"{image.shape[0]}x{image.shape[1]}:"
    return hashlib.sha256(size.encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def labels_sha256(labels: NDArray[np.uint8]) -> str:
    """Hexadecimal SHA-256 over the size and labels of a mask."""
    size = f"{labels.shape[0]}x{labels.shape[1]}:"
    return hashlib.sha256(size.encode() + np.ascontiguousarray(labels).tobytes()).hexdigest()


def inside_box(box: Box, rows: int, columns: int) -> NDArray[np.bool_]:
    """Where the pixels of an image lie in a box, (rows, columns); at least one pixel does."""
    x, y, width, height = box
    return np.outer(_covered(y, height, rows), _covered(x, width, columns))


def _covered(center: float, size: float, count: int) -> NDArray[np.bool_]:
    """The pixels along one axis whose middle lies in a range, and always the one at its center."""
    middles = (np.arange(count) + 0.5) / count
    covered = np.abs(middles - center) <= size / 2
    covered[min(int(center * count), count - 1)] = True
    return covered


def finite(name: object, value: object) -> float:
    """A finite number.

    Raises:
        SettingRefused: it is none.
    """
    plain = isinstance(value, int | float | np.integer | np.floating)
    if not plain or isinstance(value, bool) or not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise SettingRefused(f"{name} takes a finite number, got {shown(value)}")
    return float(value)  # type: ignore[arg-type]


def _category(name: object, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingRefused(f"{name} takes one of its names as text, got {shown(value)}")
    return value


def _checked_text(text: object) -> str:
    if not isinstance(text, str):
        raise SettingRefused(f"text takes words, got {shown(text)}")
    said = " ".join(text.split())
    if len(said) > MOST_TEXT:
        raise SettingRefused(
            f"the text has {len(said)} characters and at most {MOST_TEXT} are read; shorten it"
        )
    if not said.isprintable():
        raise SettingRefused("the text holds characters that cannot be printed; give plain words")
    return said


def _table(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = said.get(name, {})
    if not isinstance(value, Mapping):
        raise SettingRefused(f"{name} of a wish holds values by name, got {shown(value)}")
    return value
