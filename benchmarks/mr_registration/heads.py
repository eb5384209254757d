"""Real heads with several contrasts on one grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.volume import Geometry, Volume
from isocenter.image.head_mask import brain_mask

CONTRASTS = ("flair", "t2", "t1", "t1c")


@dataclass(frozen=True, kw_only=True)
class Head:
    """One session of one person.

    Attributes:
        name: of the file.
        images: by contrast, on one grid.
        brain: mask made by others, or by :func:`isocenter.image.head_mask.brain_mask`.
    """

    name: str
    images: dict[str, Volume]
    brain: NDArray

    @property
    def person(self) -> str:
        """The same for two sessions of one person."""
        return self.name.removesuffix("_s1").removesuffix("_s2")


def read_heads(folder: Path, pattern: str) -> Iterator[Head]:
    """Heads of the sets that have two contrasts or more, in order of their names."""
    for path in sorted(folder.glob("*/*.npz"), key=lambda one: one.name):
        if pattern not in path.name:
            continue
        content = np.load(path)
        images = {name: _volume(content, name) for name in CONTRASTS if name in content.files}
        if len(images) > 1:
            fixed = next(iter(images.values()))
            known = "brain" in content.files
            brain = content["brain"] > 0 if known else brain_mask(fixed)
            yield Head(name=path.stem, images=images, brain=brain)


def _volume(content: dict[str, NDArray], name: str) -> Volume:
    first, second, third = (float(step) for step in content["spacing_mm"])
    array = content[name].astype(np.float32)
    shape = array.shape[0], array.shape[1], array.shape[2]
    geometry = Geometry(shape=shape, spacing_mm=(first, second, third))
    return Volume(array=array, geometry=geometry, unit="")
