"""A head made of formulas, in any contrast: scalp, dark skull, CSF, folded cortex, ventricles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.volume import Geometry, Volume

# Scalp, skull, CSF, gray matter, white matter.
SIGNALS = {
    "T1": (260, 10, 35, 85, 120),
    "T2": (130, 10, 320, 115, 85),
    "FLAIR": (95, 8, 25, 112, 92),
    "PD": (120, 12, 125, 118, 100),
}
HALF_AXES_MM = (85.0, 96.0, 76.0)
SHAPE = (24, 60, 50)
SPACING_MM = (5.0, 4.0, 4.0)


def labels(geometry: Geometry, *, person: int = 0) -> NDArray:
    """0 air, 1 to 5 as in :data:`SIGNALS`; heads of other persons fold otherwise."""
    grid = np.indices(geometry.shape).reshape(3, -1)
    places = np.stack([geometry.position_mm(0)] * 1).T  # (3, 1), LPS of the first voxel
    directions = np.array(
        [geometry.slice_direction, geometry.row_direction, geometry.column_direction]
    )
    x, y, z = places + directions.T @ (grid * np.array(geometry.spacing_mm)[:, None])
    radius = np.sqrt(
        (z / HALF_AXES_MM[0]) ** 2 + (y / HALF_AXES_MM[1]) ** 2 + (x / HALF_AXES_MM[2]) ** 2
    )
    rng = np.random.default_rng(person)
    folds = np.zeros_like(x)
    for _ in range(24):
        wave = rng.normal(0, 0.11, 3)
        folds += np.cos(wave[0] * x + wave[1] * y + wave[2] * z + rng.uniform(0, 6.3))
    found = np.zeros(x.shape, np.uint8)
    found[radius < 1.0] = 1
    found[radius < 0.92] = 2
    found[radius < 0.84] = 3
    found[radius < 0.81] = 5
    found[(radius < 0.81) & (folds > 1.5)] = 4
    found[(radius < 0.81) & (folds < -5)] = 3
    ventricle = ((np.abs(x) - 12) / 9) ** 2 + ((y + 4) / 28) ** 2 + ((z - 6) / 14) ** 2 < 1
    found[ventricle] = 3
    return found.reshape(geometry.shape)


def geometry(
    shape: tuple[int, int, int] = SHAPE,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    **more: Any,
) -> Geometry:
    """A grid with the head in its middle."""
    first, second, third = (
        -(count - 1) * step / 2 for count, step in zip(shape, spacing_mm, strict=True)
    )
    return Geometry(shape=shape, spacing_mm=spacing_mm, origin_mm=(third, second, first), **more)


def head(
    contrast: str = "T1",
    *,
    grid: Geometry | None = None,
    person: int = 0,
    stripped: bool = False,
    seed: int = 0,
) -> Volume:
    """An image of the head, with noise and a little blur."""
    grid = grid or geometry()
    tissue = labels(grid, person=person)
    signals = np.array([0, *SIGNALS[contrast]], float)
    if stripped:
        signals[1:3] = 0
        tissue = np.where(tissue == 3, 3, tissue)
    array = ndimage.gaussian_filter(signals[tissue], 0.4)
    rng = np.random.default_rng(seed)
    array = np.hypot(array + rng.normal(0, 1.5, array.shape), rng.normal(0, 1.5, array.shape))
    if stripped:
        array[(tissue < 3)] = 0
    return Volume(array=np.rint(array).astype(np.float32), geometry=grid, unit="")


def brain(grid: Geometry | None = None) -> NDArray:
    """What lies inside the skull."""
    return labels(grid or geometry()) >= 3
