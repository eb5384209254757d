"""A head made of ellipsoids, for when there is no label map: of no person.

Rough, but with every tissue that contrasts need: folded cortex, white matter, ventricles, deep
gray matter, cerebellum, brainstem, fluid, skull, fat, skin, eyes and air.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.core.checks import check_positive
from isocenter.physics.phantom.head_tissues import number_of
from isocenter.physics.smooth_fields import nodes_for, smooth_field

Triple = tuple[float, float, float]
_HALF_MM = (98.0, 112.0, 92.0)  # of the volume
_GYRUS_MM, _SULCUS_DEPTH_MM = 9.5, 19.0
_FLUID_MM, _CORTEX_MM = 0.6, 3.0
# Paired parts: tissue, center and radii in mm (up, back, side), in order of painting.
_PAIRED: tuple[tuple[str, Triple, Triple], ...] = (
    ("cortex", (2, -4, 43), (15, 24, 3)),
    ("csf", (2, -4, 47), (11, 20, 2)),
    ("putamen", (6, -4, 26), (10, 16, 5.5)),
    ("pallidum", (4, -1, 19.5), (7, 9, 4)),
    ("thalamus", (8, 13, 9.5), (9, 14, 8)),
    ("caudate", (17, -20, 13), (9, 13, 6.5)),
    ("hippocampus", (-17, 14, 27), (5, 17, 6)),
    ("ventricle", (19, -8, 9), (8, 32, 5)),
    ("ventricle", (12, 32, 17), (6, 18, 5)),
    ("ventricle", (-13, 8, 30), (3, 14, 3)),
    ("choroid plexus", (13, 26, 16), (2.5, 5, 2)),
)
_SINGLE: tuple[tuple[str, Triple, Triple], ...] = (
    ("ventricle", (2, 2, 0), (9, 11, 2)),
    ("ventricle", (-44, 30, 0), (9, 6, 7)),
)


def analytic_head(rng: np.random.Generator, *, scale: float = 1.0) -> NDArray[np.uint8]:
    """(slice, row, column) numbers of tissues in voxels of 1 mm, as label maps have them.

    Args:
        rng: draws proportions and folds.
        scale: of all lengths but the voxel; small heads are for trying things out.
    """
    check_positive("scale", scale)
    half = [round(mm * scale) for mm in _HALF_MM]
    z, y, x = (np.arange(-n, n + 1, dtype=np.float32) / np.float32(scale) for n in half)
    head = _Painter(z[:, None, None], y[None, :, None], x[None, None], rng, scale)
    head.paint_outside()
    head.paint_cerebrum()
    head.paint_below()
    wide = rng.uniform(0.8, 1.35)  # of ventricles
    for name, center, radii in _PAIRED:
        for side in (-1, 1):
            grown = tuple(r * wide for r in radii) if name == "ventricle" else radii
            head.paint(name, (center[0], center[1], side * center[2]), grown, only_brain=True)
    for name, center, radii in _SINGLE:
        head.paint(name, center, tuple(r * wide for r in radii), only_brain=True)
    return head.tissues


class _Painter:
    """Tissues on a grid of (up, back, side) mm from the middle of the cerebrum."""

    def __init__(
        self, z: NDArray, y: NDArray, x: NDArray, rng: np.random.Generator, scale: float
    ) -> None:
        self._z, self._y, self._x = z, y, x
        shape = (z.shape[0], y.shape[1], x.shape[2])
        self.tissues = np.zeros(shape, np.uint8)
        spacing = (1 / scale,) * 3
        self._folds = smooth_field(rng, shape, nodes_for(shape, spacing, _GYRUS_MM))
        self._waves = smooth_field(rng, shape, nodes_for(shape, spacing, 40.0))
        self._size = rng.uniform(0.97, 1.03, 3)

    def level(self, center: Triple, radii: Triple) -> NDArray:
        """1 on an ellipsoid, below inside."""
        squared = sum(
            ((axis - middle) / np.float32(radius * size)) ** 2
            for axis, middle, radius, size in zip(
                (self._z, self._y, self._x), center, radii, self._size, strict=True
            )
        )
        return np.sqrt(squared)

    def set(self, where: NDArray, name: str) -> None:
        self.tissues[where] = number_of(name)

    def paint(
        self, name: str, center: Triple, radii: tuple[float, ...], *, only_brain: bool = False
    ) -> None:
        """An ellipsoid."""
        where = self.level(center, (radii[0], radii[1], radii[2])) + 0.06 * self._waves < 1
        if only_brain:
            where &= np.isin(self.tissues, [number_of(n) for n in _PAINTED_OVER])
        self.set(where, name)

    def paint_outside(self) -> None:
        """Skin, fat and muscle, skull, fluid; a neck, eyes and air."""
        vault = self.level((4, 0, 0), (76, 91, 74)) + 0.02 * self._waves
        neck = np.sqrt((self._y / 78) ** 2 + (self._x / 66) ** 2) + 0 * self._z
        below = self._z < 0
        around = np.where(below, np.minimum(vault, np.maximum(neck, 0.2)), vault)
        for name, grown in (("skin", 1.155), ("soft tissue", 1.13)):
            self.set(around < grown, name)
        self.set((neck < 0.75) & (self._z < -58), "muscle")
        for name, grown in (("cortical bone", 1.085), ("marrow", 1.06), ("cortical bone", 1.03)):
            self.set(vault < grown, name)
        self.set(vault < 1.0, "csf")
        for side in (-1, 1):
            self.set(self.level((-34, -80, side * 31), (12, 12, 12)) < 1, "vitreous")
            self.set(self.level((-52, 12, side * 62), (9, 9, 6)) < 1, "air")
        self.set(self.level((-52, -72, 0), (13, 13, 11)) < 1, "air")
        self.set(self.level((-46, -78, 0), (18, 8, 9)) < 0.8, "air")

    def paint_cerebrum(self) -> None:
        """Two hemispheres whose surface folds: sulci run along the zeros of a random field."""
        radii = (66.0, 88.0, 71.5)
        surface = self.level((8, 0, 0), radii)
        depth = (1 - surface) * 72
        bottom = self._z + 36 - 12 * np.exp(-(((self._y + 30) / 30) ** 2))
        depth = np.minimum(depth, np.maximum(bottom, -5))
        fissure = np.where(
            self.level((10, 0, 0), (18, 52, 60)) < 1,
            99.0,
            np.abs(self._x) + 0 * self._z + 0 * self._y,
        )
        depth = np.minimum(depth, fissure)
        fold = np.abs(self._folds) * _GYRUS_MM * 0.45
        from_fluid = np.minimum(depth, fold + np.maximum(depth - _SULCUS_DEPTH_MM, 0) * 1.5)
        inside = depth > 0
        self.set(inside & (from_fluid >= _FLUID_MM), "cortex")
        self.set(inside & (from_fluid >= _FLUID_MM + _CORTEX_MM), "white matter")

    def paint_below(self) -> None:
        """Cerebellum and brainstem."""
        cerebellum = self.level((-46, 48, 0), (24, 32, 48))
        leaves = np.abs(np.sin((self._z + 0.35 * self._y + 3 * self._waves) * 0.95))
        self.set((cerebellum < 1) & (leaves > 0.25), "cerebellar cortex")
        self.set(cerebellum + 0.08 * self._folds < 0.55, "cerebellar white matter")
        stem = np.sqrt(((self._y - 14 + 0.1 * self._z) / 13) ** 2 + (self._x / 14) ** 2)
        self.set((stem < 1) & (self._z < 2), "brainstem")
        self.set(
            (np.hypot(self._y + 2, self._x) < 1.8) & (self._z < -25) & (self._z > -60), "artery"
        )


_PAINTED_OVER = (
    "white matter", "cortex", "csf", "putamen", "caudate", "thalamus", "ventricle", "brainstem",
    "cerebellar white matter", "cerebellar cortex",
)  # fmt: skip
