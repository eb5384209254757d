"""A model that draws smooth pictures from a seed alone, and a program that may kill itself.

Run as a program: OUTPUT [MOMENT...], where a MOMENT is a number of images done or "rename". With
moments, one process after the other generates and kills itself there; fails if one lives on.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import SettingRefused
from isocenter.modelpack.generator.defaults import Defaults
from isocenter.modelpack.generator.family import Family, Number
from isocenter.modelpack.generator.wish import Generated, Wish, inside_box

WORDS = ("a", "large", "small", "mass", "left", "right")

HEADS = Family(
    name="heads",
    title="Test heads",
    modality="MR",
    body_part="BRAIN",
    rows=32,
    columns=24,
    pixel_mm=1.5,
    unit="",
    low=0.0,
    high=255.0,
    window=(127.5, 255.0),
    categories={"class": ("glioma", "pituitary tumor"), "plane": ("axial", "coronal", "sagittal")},
    numbers=(Number(name="age", unit="years", least=0, most=100, meaning="Age."),),
    box="tumor",
    guide=("skull", "brain"),
    text=True,
)
SLICES = Family(
    name="slices",
    title="Test slices",
    modality="CT",
    body_part="CHEST",
    rows=16,
    columns=16,
    pixel_mm=2.0,
    unit="HU",
    low=-1024.0,
    high=1024.0,
    window=(-600.0, 1500.0),
    categories={},
    numbers=(),
    box="",
    guide=(),
    text=False,
)
FILMS = Family(
    name="films",
    title="Test radiographs",
    modality="DX",
    body_part="CHEST",
    rows=16,
    columns=20,
    pixel_mm=None,
    unit="",
    low=0.0,
    high=1.0,
    window=(0.5, 1.0),
    categories={"class": ("normal", "pneumonia")},
    numbers=(),
    box="",
    guide=(),
    text=False,
)


@dataclass
class GeneratorDouble:
    """Draws blurred noise of a seed; a box is bright, a mask adds its labels.

    Attributes:
        copies: which draws, counted from 0, are called copies.
        asked: seeds, in the order in which they were drawn.
        remark: of every image; "" for none.
    """

    family: Family = HEADS
    name: str = "generator double"
    version: str = "1"
    weights_sha256: str = "ab" * 32
    card: dict[str, Any] = field(default_factory=dict)
    defaults: Defaults = field(default_factory=Defaults)
    copies: Callable[[int], bool] = lambda draw: False
    spoiled: bool = False
    remark: str = ""
    asked: list[int] = field(default_factory=list)
    _judged: int = 0

    def check(self, wish: Wish, /) -> None:
        self.family.check(wish)
        if unknown := [word for word in wish.text.split() if word not in WORDS]:
            raise SettingRefused(f"{len(unknown)} words are not known: {', '.join(unknown)}")

    def generate(
        self,
        wishes: Sequence[Wish],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str = "own",
        batch_size: int = 4,
        attention: bool = False,
    ) -> Iterator[Generated]:
        if sampler not in ("own", "flow"):
            raise SettingRefused("there is no such sampler; there is flow")
        for wish, seed in zip(wishes, seeds, strict=True):
            self.asked.append(seed)
            words = self._words(wish, seed) if attention else {}
            values, notes = self._values(wish, seed), self._notes()
            yield Generated(values=values, wish=wish, seed=seed, words=words, notes=notes)

    def edit(
        self,
        values: NDArray,
        wish: Wish,
        seed: int,
        *,
        strength: float,
        mask: NDArray | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> Generated:
        new = (1 - strength) * values + strength * self._values(wish, seed)
        if mask is not None and not self.spoiled:
            new = np.where(mask, new, values)
        values, notes = new.astype(np.float32), self._notes()
        return Generated(values=values, wish=wish, seed=seed, notes=notes)

    def interpolate(
        self, first: NDArray, second: NDArray, fractions: Sequence[float]
    ) -> Iterator[NDArray]:
        for share in fractions:
            yield ((1 - share) * first + share * second).astype(np.float32)

    def is_copy(self, values: NDArray, /) -> bool:
        self._judged += 1
        return self.copies(self._judged - 1)

    def _notes(self) -> tuple[str, ...]:
        return (self.remark,) if self.remark else ()

    def _values(self, wish: Wish, seed: int) -> NDArray:
        family = self.family
        shape = (family.rows, family.columns)
        noise = np.random.default_rng(seed).standard_normal(shape)
        share = 0.5 + ndimage.gaussian_filter(noise, 2, mode="wrap")
        if wish.box is not None:
            share += 0.3 * inside_box(wish.box, *shape)
        if wish.mask is not None:
            share += 0.1 * wish.mask
        if self.spoiled:
            share[0, 0] = np.nan
        values = family.low + share * (family.high - family.low)
        return np.clip(values, family.low, family.high).astype(np.float32)

    def _words(self, wish: Wish, seed: int) -> dict[str, NDArray]:
        rng = np.random.default_rng(seed)
        maps = {}
        for word in wish.text.split():
            drawn = rng.random((self.family.rows, self.family.columns))
            maps[word] = (drawn / drawn.sum()).astype(np.float32)
        return maps


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def generate_until(moment: str | None, output: str) -> None:
    from isocenter.core import files
    from isocenter.tasks.generate.generate import generate

    def follow(done: int, total: int) -> None:
        if str(done) == moment:
            _die()

    if moment == "rename":
        setattr(files, "rename_folder", _die)  # noqa: B010  mypy forbids the plain way
    generate(GeneratorDouble(), output, number=3, format="png", progress=follow)


def die_at(moment: str, output: str) -> None:
    process = os.fork()
    if process == 0:
        generate_until(moment, output)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(f"not killed at {moment}")


def main(output: str, *moments: str) -> None:
    import isocenter.tasks.generate.generate  # noqa: F401  takes seconds, once for all processes

    for moment in moments:
        die_at(moment, output)
    if not moments:
        generate_until(None, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
