"""What a lesion is to a simulation: where it is, how much of a voxel it takes, what it changes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from isocenter.physics.mr_tissues import TissueValues

Box = tuple[slice, slice, slice]
UNCHANGED = TissueValues(1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """One lesion, or one part of it.

    Attributes:
        name: of ``LESION_NAMES``.
        box: of the head in which it lies.
        share: of each voxel of the box that it takes, float32 from 0 to 1.
        factors: on what the tissue there is otherwise, where it takes all of a voxel.
        agent_mm: contrast agent in it after a single dose, mmol per liter.
        facts: what was drawn, for the record.
    """

    name: str
    box: Box
    share: NDArray[np.float32]
    factors: TissueValues = UNCHANGED
    agent_mm: float = 0.0
    facts: dict[str, float | str] = field(default_factory=dict)

    @property
    def volume_mm3(self) -> float:
        """In voxels of 1 mm."""
        return float(self.share.sum())


def box_around(center: NDArray, half_mm: float, shape: tuple[int, ...]) -> Box:
    """The voxels within a distance of a place along each axis, inside the head."""
    low = np.floor(np.maximum(center - half_mm, 0)).astype(int)
    high = np.ceil(np.minimum(center + half_mm + 1, shape)).astype(int)
    first, second, third = (
        slice(int(a), max(int(b), int(a) + 1)) for a, b in zip(low, high, strict=True)
    )
    return first, second, third


def offsets(box: Box, center: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Distances in mm from a place along each axis, to be broadcast over a box."""
    z, y, x = (
        (np.arange(part.start, part.stop, dtype=np.float32) - float(middle))
        for part, middle in zip(box, center, strict=True)
    )
    return z[:, None, None], y[None, :, None], x[None, None]


def soft_below(level: NDArray, threshold: float, edge: float) -> NDArray[np.float32]:
    """1 well below a threshold, 0 well above, over a soft edge of some width."""
    share: NDArray = 0.5 - (level - threshold) / max(2 * edge, 1e-6)
    return np.clip(share, 0, 1).astype(np.float32)
