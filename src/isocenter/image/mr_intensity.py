"""MR values on a scale that means the same for every head, and that a lesion does not move.

MR values have no unit: gain, coil and maker decide them. Median and quartiles of the brain say
where its tissue lies; mean and standard deviation would also say how large a lesion is, or how much
CSF the mask holds, and then the same tissue would get another value in a sicker head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Volume
from isocenter.image.head_mask import brain_mask

_LEAST_VOXELS = 1000
_QUARTILES_TO_SD = 1.349  # distance of the quartiles of a normal distribution of deviation 1


@dataclass(frozen=True, kw_only=True)
class BrainScale:
    """Where the brain's values lie.

    Attributes:
        center: their median, in the image's own values.
        spread: their interquartile range over 1.349, a standard deviation of what is usual.
    """

    center: float
    spread: float

    def normalized(self, values: NDArray) -> NDArray:
        """Values of the image as float32 of center 0 and spread 1."""
        return ((np.asarray(values, np.float32) - self.center) / self.spread).astype(np.float32)

    def restored(self, normalized: NDArray) -> NDArray:
        """The way back."""
        return (np.asarray(normalized, np.float32) * self.spread + self.center).astype(np.float32)


def brain_scale(volume: Volume, brain: NDArray | None = None) -> BrainScale:
    """Measure the scale of an image in its brain.

    Args:
        volume: an MR image of any contrast.
        brain: mask of the brain; rough ones do, as quartiles bear a quarter of wrong voxels. Made
            by :func:`isocenter.image.head_mask.brain_mask` where it is not given.

    Raises:
        UnsuitableScan: no head, too little brain, or one value all over it.
    """
    brain = brain_mask(volume) if brain is None else brain
    if volume.valid is not None:
        brain = brain & volume.valid
    values = volume.array[brain]
    if values.size < _LEAST_VOXELS:
        raise UnsuitableScan(
            f"the brain has {values.size} voxels, at least {_LEAST_VOXELS} are needed to measure "
            "its values; give an image of a whole head",
            reason="values",
        )
    low, middle, high = (float(one) for one in np.percentile(values, (25, 50, 75)))
    if not high > low:
        raise UnsuitableScan(
            "the brain has the same value in half of its voxels or more, so the image cannot be "
            "normalized; give the image as the scanner made it",
            reason="values",
        )
    return BrainScale(center=middle, spread=(high - low) / _QUARTILES_TO_SD)
