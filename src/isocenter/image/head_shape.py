"""Whether an image can be of a head, and whether its skull was taken away.

What is checked is size and shape, in millimeters, and how dark it is under the surface. It tells a
trunk, a limb laid long, a phantom and a cut-out lesion from a head; a knee of the size of a child's
head it does not. Limits were measured on the real heads that ``docs/mr_inputs.md`` names.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Volume
from isocenter.image.head_mask import depth_mm, head_mask
from isocenter.image.orientation import transverse

# Left to right and front to back, from a small child without a skull to a large adult with ears,
# nose and coils that shine through.
WIDTH_MM, LENGTH_MM = (85.0, 215.0), (100.0, 270.0)
LEAST_HEIGHT_MM = 20.0
_RIM_MM, _DEEP_MM = (4.0, 16.0), 25.0
_DARK = 0.4  # of the median inside
_STRIPPED_RIM = 0.05
_CONSTANT_SHARE = 0.97


def check_is_head(volume: Volume, head: NDArray | None = None) -> None:
    """Refuse what cannot be a head by its size.

    Args:
        volume: of any orientation.
        head: as :func:`isocenter.image.head_mask.head_mask` gives it.

    Raises:
        UnsuitableScan: with what was measured.
    """
    head = head_mask(volume) if head is None else head
    body = transverse(Volume(array=head, geometry=volume.geometry, unit=""))
    steps = body.geometry.spacing_mm
    counts = body.array.sum(axis=(1, 2))
    height_mm = float((counts > 0).sum() * steps[0])
    rows, columns = (
        float(np.sort(body.array.any(axis=axis).sum(axis=1))[-_tenth(counts) :].mean() * step)
        for axis, step in ((2, steps[1]), (1, steps[2]))
    )
    fits = (
        WIDTH_MM[0] <= columns <= WIDTH_MM[1]
        and LENGTH_MM[0] <= rows <= LENGTH_MM[1]
        and height_mm >= LEAST_HEIGHT_MM
    )
    if not fits:
        raise UnsuitableScan(
            f"the body in the image is {columns:.0f} mm wide, {rows:.0f} mm from front to back and "
            f"{height_mm:.0f} mm high, which is no head: {WIDTH_MM[0]:g} to {WIDTH_MM[1]:g}, "
            f"{LENGTH_MM[0]:g} to {LENGTH_MM[1]:g} and at least {LEAST_HEIGHT_MM:g} mm are "
            "accepted. Give an image of a head, or check its orientation and spacing",
            reason="body_part",
            can_be_forced=True,
        )


def _tenth(counts: NDArray) -> int:
    return max(1, int((counts > 0).sum() // 10))


def is_skull_stripped(volume: Volume, head: NDArray | None = None) -> bool:
    """Whether nothing but brain is left: no dark skull under the surface, and nothing around.

    Args:
        volume: an MR image of any contrast.
        head: as :func:`isocenter.image.head_mask.head_mask` gives it.
    """
    head = head_mask(volume) if head is None else head
    around = volume.array[~head]
    is_constant = around.size > 0 and float(np.mean(around == volume.array.min())) > _CONSTANT_SHARE
    return is_constant and dark_rim(volume, head) < _STRIPPED_RIM


def dark_rim(volume: Volume, head: NDArray) -> float:
    """Share of what is dark 4 to 16 mm under the surface, less that deep inside."""
    depth = depth_mm(head, volume.geometry.spacing_mm)
    rim = head & (depth > _RIM_MM[0]) & (depth < _RIM_MM[1])
    deep = head & (depth > min(_DEEP_MM, 0.7 * float(depth.max())))
    limit = _DARK * float(np.median(volume.array[head]))
    shares = [
        float(np.mean(volume.array[one] < limit)) if one.any() else 0.0 for one in (rim, deep)
    ]
    return shares[0] - shares[1]
