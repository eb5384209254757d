"""Features fixed by formula: how strong details of each size and direction are, and how uneven.

For any gray images of 64 pixels a side or more, without weights, so that two people measure the
same. They see texture, sharpness, noise and coarse layout; they do not know what a lung or a tumor
is. For CT patches in HU see :mod:`isocenter.evaluation.ct.texture`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LEVELS = 4
_BLOCK = 4  # pixels of a level over which an amplitude is averaged
_FAINT = 0.01  # about one gray level of 256; keeps the logarithm of an empty area finite
_SMOOTHED_BY = 0.8  # pixels, before a difference is taken


def filter_maps(images: NDArray) -> list[NDArray]:
    """Logarithms of local amplitudes at four levels, each half as fine as the one before.

    At each level: differences along columns, rows and both diagonals, and what a small Gaussian
    takes away. The last map is the value itself.

    Args:
        images: (images, rows, columns) in [-1, 1], 64 pixels a side or more.

    Returns:
        (images, maps, rows, columns) of each level, finest first, and of the value.
    """
    level = np.asarray(images, np.float32)
    found = []
    for _ in range(LEVELS):
        found.append(np.log(_block_means(np.abs(_details(level)), _BLOCK) + _FAINT))
        level = _block_means(level, 2)
    return [*found, _block_means(np.asarray(images, np.float32), _BLOCK)[:, None]]


def thumbnails(images: NDArray, side: int) -> NDArray:
    """Means of a grid of cells, (images, side * side)."""
    rows = np.array_split(np.asarray(images, np.float32), side, axis=1)
    cells = [part.mean(axis=(1, 2)) for row in rows for part in np.array_split(row, side, axis=2)]
    return np.stack(cells, axis=1)


def _details(images: NDArray) -> NDArray:
    """(images, 5, rows - 2, columns - 2)."""
    smooth = ndimage.gaussian_filter(images, (0, _SMOOTHED_BY, _SMOOTHED_BY), mode="nearest")
    inner = (slice(None), slice(1, -1), slice(1, -1))
    maps = [
        smooth[:, 1:-1, 2:] - smooth[:, 1:-1, :-2],
        smooth[:, 2:, 1:-1] - smooth[:, :-2, 1:-1],
        smooth[:, 2:, 2:] - smooth[:, :-2, :-2],
        smooth[:, 2:, :-2] - smooth[:, :-2, 2:],
        images[inner] - smooth[inner],
    ]
    return np.stack(maps, axis=1)


def _block_means(array: NDArray, block: int) -> NDArray:
    """Means of whole blocks; what is left over at the far borders does not count."""
    rows, columns = (max(1, size // block) for size in array.shape[-2:])
    part = array[..., : rows * block, : columns * block]
    tall, wide = min(block, part.shape[-2]), min(block, part.shape[-1])
    return part.reshape(*part.shape[:-2], rows, tall, columns, wide).mean(axis=(-3, -1))
