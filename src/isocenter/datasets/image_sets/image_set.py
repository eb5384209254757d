"""Images in memory with what is known of each, shared out by patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.errors import InputRefused
from isocenter.datasets.splits import PARTS, TRAIN

Box = tuple[float, float, float, float]
DROPPED = "dropped"  # in no part, since it might share a patient with two
_NO_LABELS: Mapping[str, Any] = {}
_LARGEST_GRAY = 255


@dataclass(frozen=True, kw_only=True)
class ImageLabels:
    """What is known of one image.

    Attributes:
        file: what its source calls it; never an identifier that a hospital gave.
        patient: what patients are told apart by.
        part: "train", "validation", "calibration", "test", or "dropped".
        categories: such as class and plane; what is not known is left out.
        numbers: such as echo time.
        box: center x, center y, width and height as fractions of the image.
        text: a sentence that came with the image.
    """

    file: str
    patient: str
    part: str = TRAIN
    categories: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    box: Box | None = None
    text: str = ""

    def __post_init__(self) -> None:
        if self.part not in (*PARTS, DROPPED):
            raise ValueError(f"a part is one of {', '.join(PARTS)} or {DROPPED}, got {self.part}")

    def described(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "file": self.file,
            "patient": self.patient,
            "part": self.part,
            "categories": dict(self.categories),
            "numbers": dict(self.numbers),
            "box": list(self.box) if self.box else None,
            "text": self.text,
        }

    @classmethod
    def from_description(cls, said: Mapping[str, Any]) -> ImageLabels:
        """What :meth:`described` said."""
        return cls(**{**said, "box": tuple(said["box"]) if said["box"] else None})


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images of one family and size.

    Stored numbers stay as small as they came, since whole sets lie in memory; networks see
    :meth:`values`.

    Attributes:
        family: name of the generator's family.
        stored: (image, row, column), any numeric type.
        low, high: stored numbers that -1 and 1 stand for.
        labels: one an image.
        guides: (image, row, column) uint8 label maps, or None.
        guide_names: name of label k + 1; empty where there are no guides.
        references: (image, row, column) other images of the same places, stored as these are, or
            None.
    """

    family: str
    stored: NDArray
    low: float = 0.0
    high: float = float(_LARGEST_GRAY)
    labels: tuple[ImageLabels, ...]
    guides: NDArray | None = None
    guide_names: tuple[str, ...] = ()
    references: NDArray | None = None

    def __post_init__(self) -> None:
        if self.stored.ndim != 3 or len(self.stored) != len(self.labels):
            raise ValueError(
                f"a set is (image, row, column) with one label an image, got shape "
                f"{self.stored.shape} and {len(self.labels)} labels"
            )
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")
        if self.guides is not None and self.guides.shape != self.stored.shape:
            raise ValueError(
                f"guides are as many and as large as the images, got {self.guides.shape} for "
                f"{self.stored.shape}"
            )

        if self.references is not None and self.references.shape != self.stored.shape:
            raise ValueError(
                f"references are as many and as large as the images, got {self.references.shape} "
                f"for {self.stored.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.stored.shape[1], self.stored.shape[2]

    def values(self, which: ArrayLike | slice = slice(None)) -> NDArray:
        """Images as networks see them.

        Args:
            which: a slice, an index or several; all where absent.

        Returns:
            float32 in [-1, 1], of the shape that indexing gives; a copy.
        """
        return self._scaled(self.stored, which)

    def reference_values(self, which: ArrayLike | slice = slice(None)) -> NDArray:
        """The references as networks see them; as :meth:`values`.

        Raises:
            ValueError: there are none.
        """
        if self.references is None:
            raise ValueError(f"{self.family} has no references")
        return self._scaled(self.references, which)

    def _scaled(self, stored: NDArray, which: ArrayLike | slice) -> NDArray:
        chosen = stored[which if isinstance(which, slice) else np.asarray(which)]
        scaled = (chosen.astype(np.float32) - self.low) * (2 / (self.high - self.low)) - 1
        return np.clip(scaled, -1, 1, dtype=np.float32)

    @property
    def images(self) -> NDArray:
        """All :meth:`values` as float16."""
        return np.concatenate(
            [self.values([k]).astype(np.float16) for k in range(len(self))]
            or [np.empty((0, *self.size), np.float16)]
        )

    def indices(self, part: str) -> NDArray:
        """(number,) places of the images of a part."""
        if part not in PARTS:
            raise ValueError(f"a part is one of {', '.join(PARTS)}, got {part!r}")
        return np.array([k for k, one in enumerate(self.labels) if one.part == part], np.int64)

    def part(self, name: str) -> ImageSet:
        """The images of "train", "validation", "calibration" or "test"."""
        return self.chosen(self.indices(name))

    def chosen(self, which: Sequence[int] | NDArray) -> ImageSet:
        """Some images, in the order asked for."""
        places = np.asarray(which, np.int64)
        return ImageSet(
            family=self.family,
            stored=self.stored[places],
            low=self.low,
            high=self.high,
            labels=tuple(self.labels[k] for k in places),
            guides=None if self.guides is None else self.guides[places],
            guide_names=self.guide_names,
            references=None if self.references is None else self.references[places],
        )

    def category_values(self) -> dict[str, tuple[str, ...]]:
        """The values of each category that stand in the set, sorted."""
        found: dict[str, set[str]] = {}
        for one in self.labels:
            for name, value in one.categories.items():
                found.setdefault(name, set()).add(value)
        return {name: tuple(sorted(values)) for name, values in sorted(found.items())}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Images and patients of each part."""
        return {
            part: (len(own), len({one.patient for one in own}))
            for part in PARTS
            for own in [[one for one in self.labels if one.part == part]]
        }

    def digest(self) -> str:
        """SHA-256 of everything in it."""
        told = hashlib.sha256(self._head().encode())
        for array in (self.stored, self.guides, self.references):
            if array is not None:
                told.update(str((array.dtype.str, array.shape)).encode())
                told.update(np.ascontiguousarray(array).data)
        return told.hexdigest()

    def _head(self) -> str:
        return json.dumps(
            {
                "family": self.family,
                "low": self.low,
                "high": self.high,
                "guide_names": list(self.guide_names),
                "labels": [one.described() for one in self.labels],
            },
            sort_keys=True,
        )


def combined(sets: Sequence[ImageSet]) -> ImageSet:
    """Several sets of one family as one.

    Raises:
        InputRefused: there is none, or they differ in family, size, scale or guides.
    """
    if not sets:
        raise InputRefused("no set of images to combine; name at least one")
    kinds = {(one.family, one.size, one.low, one.high, one.guide_names) for one in sets}
    if len(kinds) > 1:
        raise InputRefused(
            f"{len(sets)} sets of images differ in family, size, scale or guides; combine those "
            "of one family and size"
        )
    first = sets[0]
    return ImageSet(
        family=first.family,
        stored=np.concatenate([one.stored for one in sets]),
        low=first.low,
        high=first.high,
        labels=tuple(label for one in sets for label in one.labels),
        guides=(
            None
            if any(one.guides is None for one in sets)
            else np.concatenate([one.guides for one in sets if one.guides is not None])
        ),
        guide_names=first.guide_names,
        references=(
            None
            if any(one.references is None for one in sets)
            else np.concatenate([one.references for one in sets if one.references is not None])
        ),
    )


def check_patients_apart(labels: Sequence[ImageLabels]) -> None:
    """See that no patient stands in two parts.

    Raises:
        InputRefused: says how many do.
    """
    parts: dict[str, set[str]] = {}
    for one in labels:
        if one.part != DROPPED:
            parts.setdefault(one.patient, set()).add(one.part)
    if shared := sum(len(of) > 1 for of in parts.values()):
        raise InputRefused(f"{shared} patients stand in two parts; share out by patient")
