"""A head as a map of tissues, and where in it things lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.physics.phantom.head_tissues import NUM_TISSUES, number_of
from isocenter.physics.smooth_fields import nodes_for, smooth_field

# Numbers of tissues behind those that label maps name.
FAT, DURA, ENHANCING, NECROSIS = range(NUM_TISSUES, NUM_TISSUES + 4)
EXTRA_NAMES = ("fat", "dura", "enhancing tumor", "necrosis")
NUM_WITH_EXTRA = NUM_TISSUES + len(EXTRA_NAMES)

WHITE = ("white matter", "lesion")
CEREBRUM = (*WHITE, "cortex")
DEEP_GRAY = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus")
PARENCHYMA = (
    *CEREBRUM, *DEEP_GRAY, "cerebellar white matter", "cerebellar cortex", "brainstem",
)  # fmt: skip
IN_BRAIN = (*PARENCHYMA, "ventricle", "choroid plexus")
COARSE = 2  # voxels of the map in one of the coarse maps of distance
_LEAST_CEREBRUM_VOXELS = 500
_OUTLYING_PERCENT = 0.05
_AQUEDUCT = -0.45  # normalized height: the lateral ventricles are above
_BRAIN_CLOSED_VOXELS = 3  # of the coarse map: sulci count as brain


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """A head in voxels of 1 mm, the slices from the feet up, the rows from the front.

    Attributes:
        tissues: (slice, row, column) uint8 numbers of tissues (see ``head_tissues``, and above).
    """

    tissues: NDArray[np.uint8]

    def where(self, *names: str) -> NDArray[np.bool_]:
        """Voxels of any of these tissues."""
        return members(*names)[self.tissues]

    @cached_property
    def coarse(self) -> NDArray[np.uint8]:
        """Every other voxel along each axis."""
        half = COARSE // 2
        return self.tissues[half::COARSE, half::COARSE, half::COARSE]

    @cached_property
    def cerebrum_box(self) -> tuple[NDArray, NDArray]:
        """Lowest and highest voxel of the cerebrum along each axis, outlying ones left out.

        Raises:
            ValueError: there is next to none.
        """
        places = np.argwhere(members(*CEREBRUM)[self.coarse])
        if len(places) * COARSE**3 < _LEAST_CEREBRUM_VOXELS:
            raise ValueError("the head has next to no white matter or cortex")
        ends = (_OUTLYING_PERCENT, 100 - _OUTLYING_PERCENT)
        low, high = np.percentile(places, ends, axis=0) * COARSE + COARSE // 2
        return low, high

    def normalized(self, voxels: NDArray) -> NDArray[np.float32]:
        """(..., 3) places in the cerebrum's box from -1 to 1: up, back and to the left.

        Args:
            voxels: (..., 3) slices, rows and columns.
        """
        low, high = self.cerebrum_box
        places: NDArray = (2 * voxels - (low + high)) / (high - low)
        return places.astype(np.float32)

    def voxel_at(self, normalized: Iterable[float]) -> NDArray:
        """(3,) slice, row and column of a place in the cerebrum's box."""
        low, high = self.cerebrum_box
        voxel: NDArray = (np.array(list(normalized)) * (high - low) + low + high) / 2
        return voxel

    @cached_property
    def half_width_mm(self) -> float:
        """Half the width of the cerebrum."""
        low, high = self.cerebrum_box
        return float(high[2] - low[2]) / 2

    @cached_property
    def ventricle_mm(self) -> NDArray[np.float32]:
        """Coarse map of the distance to the lateral ventricles."""
        fluid = members("ventricle")[self.coarse]
        slices = np.arange(len(fluid))[:, None] * np.array([COARSE, 0, 0])
        height = self.normalized(slices)[:, 0]
        return distance_mm(fluid & (height > _AQUEDUCT)[:, None, None])

    @cached_property
    def cortex_mm(self) -> NDArray[np.float32]:
        """Coarse map of the distance to the cortex."""
        return distance_mm(members("cortex")[self.coarse])

    @cached_property
    def outside_mm(self) -> NDArray[np.float32]:
        """Coarse map of the distance to what is no brain; 0 there."""
        return distance_mm(~self.brain_coarse)

    @cached_property
    def brain_coarse(self) -> NDArray[np.bool_]:
        """Coarse map of the brain with its ventricles and narrow sulci."""
        inside = members(*IN_BRAIN)[self.coarse]
        grown = ndimage.distance_transform_edt(~inside) <= _BRAIN_CLOSED_VOXELS
        closed: NDArray = ndimage.distance_transform_edt(grown) > _BRAIN_CLOSED_VOXELS
        return (inside | closed) & ~members(*_BONY)[self.coarse]

    @cached_property
    def brain(self) -> NDArray[np.bool_]:
        """Brain with its ventricles and narrow sulci, smooth at the outside."""
        fine = upsampled(self.brain_coarse, self.tissues.shape)
        return (fine | self.where(*IN_BRAIN)) & ~self.where(*_BONY)


_BONY = ("air", "cortical bone", "marrow", "skin", "soft tissue", "muscle", "mucosa")


def noise_over(
    anatomy: Anatomy, rng: np.random.Generator, *, wave_mm: float
) -> NDArray[np.float32]:
    """A smooth random field over a head, of deviation 1."""
    z, y, x = anatomy.tissues.shape
    return smooth_field(rng, (z, y, x), nodes_for((z, y, x), (1.0, 1.0, 1.0), wave_mm))


def members(*names: str) -> NDArray[np.bool_]:
    """(tissue,) whether each number is one of these tissues."""
    found = np.zeros(NUM_WITH_EXTRA, bool)
    for name in names:
        found[tissue_number(name)] = True
    return found


def tissue_number(name: str) -> int:
    """The number of a tissue of a label map or of one of :data:`EXTRA_NAMES`."""
    return NUM_TISSUES + EXTRA_NAMES.index(name) if name in EXTRA_NAMES else number_of(name)


def whole_box(shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """All voxels of a head."""
    z, y, x = shape
    return slice(0, z), slice(0, y), slice(0, x)


def distance_mm(mask: NDArray) -> NDArray[np.float32]:
    """Of each voxel of a coarse map to a mask of it; far away where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, 1e3, np.float32)
    distance: NDArray = ndimage.distance_transform_edt(~mask) * COARSE
    return distance.astype(np.float32)


def upsampled(coarse: NDArray, shape: tuple[int, ...]) -> NDArray:
    """A coarse map at every voxel, by the nearest one."""
    for axis, size in enumerate(shape):
        places = np.minimum(np.arange(size) // COARSE, coarse.shape[axis] - 1)
        coarse = np.take(coarse, places, axis=axis)
    return coarse


def sampled(coarse: NDArray, box: tuple[slice, slice, slice]) -> NDArray[np.float32]:
    """A coarse map at the voxels of a box, interpolated."""
    places = [
        (np.arange(part.start, part.stop, dtype=np.float32) - COARSE // 2) / COARSE for part in box
    ]
    grid = np.meshgrid(*places, indexing="ij")
    found: NDArray = ndimage.map_coordinates(coarse, grid, order=1, mode="nearest")
    return found
