"""Noise measured blind, in the image itself: how strong it is, and how coarse.

Two measurements. :func:`noise_level_maps` gives a network the texture it faces, band by band and
place by place. :func:`measure_noise` gives people two numbers a slice. Both look at what remains
of an image in a band of spatial frequencies, and take low quantiles, because anatomy has few
strong edges but noise is everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from isocenter.image.ct_tissue import body_mask

# Bands are differences of neighbouring binomial blurs, from the finest to the coarsest.
NUM_BANDS = 4
BLOCK = 16
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
# Median of |x| for a unit normal variable.
_NORMAL_MEDIAN = 0.6745


def _blur(image: Tensor, dilation: int) -> Tensor:
    kernel = torch.tensor(_BINOMIAL, dtype=image.dtype, device=image.device)
    pad = 2 * dilation
    across = functional.pad(image, (pad, pad, 0, 0), mode="replicate")
    across = functional.conv2d(across, kernel.view(1, 1, 1, 5), dilation=(1, dilation))
    down = functional.pad(across, (0, 0, pad, pad), mode="replicate")
    return functional.conv2d(down, kernel.view(1, 1, 5, 1), dilation=(dilation, 1))


def frequency_bands(image: Tensor) -> Tensor:
    """Split an image into bands of spatial frequency (a stationary Laplacian pyramid).

    Args:
        image: (batch, 1, row, column).

    Returns:
        (batch, NUM_BANDS, row, column), the finest band first; the coarse rest is dropped.

    Source: Burt & Adelson, IEEE Trans. Commun. 31:532, 1983, undecimated.
    """
    bands = []
    for level in range(NUM_BANDS):
        coarser = _blur(image, 2**level)
        bands.append(image - coarser)
        image = coarser
    return torch.cat(bands, dim=1)


def noise_level_maps(image_hu: Tensor) -> Tensor:
    """Local noise level in each band of spatial frequency.

    Args:
        image_hu: (batch, 1, row, column); rows and columns divisible by 16.

    Returns:
        (batch, NUM_BANDS, row / 16, column / 16) in HU: the robust standard deviation of each
        16 x 16 block, then the second smallest among its 3 x 3 neighbours, which passes over edges.
    """
    size = magnitude_blocks(frequency_bands(image_hu).abs())
    level = size.median(dim=-1).values / _NORMAL_MEDIAN
    around = functional.unfold(functional.pad(level, (1, 1, 1, 1), mode="replicate"), 3)
    around = around.view(*level.shape[:2], 9, *level.shape[2:])
    return around.kthvalue(2, dim=2).values


def magnitude_blocks(values: Tensor) -> Tensor:
    """(batch, band, row, column) to (batch, band, row / 16, column / 16, 256)."""
    batch, bands, rows, columns = values.shape
    grid = values.reshape(batch, bands, rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
    return grid.permute(0, 1, 2, 4, 3, 5).flatten(4)


@dataclass(frozen=True, kw_only=True)
class NoiseMeasure:
    """Noise of one slice.

    Attributes:
        level_hu: standard deviation in soft tissue.
        mean_frequency_per_mm: mean spatial frequency of the noise power; low for smooth kernels
            and thick slices, high for sharp kernels.
    """

    level_hu: float
    mean_frequency_per_mm: float


SOFT_TISSUE_HU = (-160.0, 240.0)
_PATCH_MM = 16.0
ANATOMY_BELOW_PER_MM = 0.15
_QUIETEST = 0.3


def measure_noise(
    image_hu: NDArray, *, spacing_mm: tuple[float, float], valid: NDArray | None = None
) -> NoiseMeasure:
    """Noise of one slice without a reference, from its quietest soft-tissue patches.

    Args:
        image_hu: (row, column).
        spacing_mm: row and column spacing.
        valid: same shape, False outside the scanner's circle.

    Returns:
        Level and mean frequency, averaged over the quietest 30 % of 16 mm patches that hold
        soft tissue only, each freed of its plane, above 0.15 cycles per mm: reconstruction's ramp
        leaves CT noise less than a tenth of its amplitude below, and anatomy has most of its own
        there. Not-a-number where the slice holds no such patch; the frequency also where there is
        no noise at all.
    """
    patches = _soft_tissue_patches(image_hu, spacing_mm, valid)
    if not patches:
        return NoiseMeasure(level_hu=float("nan"), mean_frequency_per_mm=float("nan"))
    frequency = _radial_frequency(patches[0].shape, spacing_mm)
    fine = frequency > lowest_of_noise_per_mm(spacing_mm)
    power = _quietest_power(patches, fine) * fine
    total = power.sum()
    return NoiseMeasure(
        level_hu=float(np.sqrt(total)),
        mean_frequency_per_mm=float((power * frequency).sum() / total if total > 0 else np.nan),
    )


def radial_noise_power(
    image_hu: NDArray, *, spacing_mm: tuple[float, float], valid: NDArray | None = None
) -> tuple[NDArray, NDArray]:
    """Noise power over radial frequency, from the quietest soft-tissue patches of one slice.

    Below 0.15 cycles per mm, where anatomy prevails, the power falls in proportion to the frequency
    as the ramp of reconstruction makes it.

    Args:
        image_hu: (row, column).
        spacing_mm: row and column spacing.
        valid: same shape, False outside the scanner's circle.

    Returns:
        Frequencies in cycles per pixel and power in arbitrary units, both (num_bins,); empty
        where the slice holds no soft-tissue patch.
    """
    patches = _soft_tissue_patches(image_hu, spacing_mm, valid)
    if not patches:
        return np.empty(0), np.empty(0)
    side = min(patches[0].shape)
    in_mm = _radial_frequency(patches[0].shape, spacing_mm)
    lowest = lowest_of_noise_per_mm(spacing_mm)
    fine = in_mm > lowest
    frequency = _radial_frequency(patches[0].shape, (1.0, 1.0)).ravel()
    bins = np.minimum((frequency * side).astype(int), side // 2)
    count = np.bincount(bins)
    middle, power, per_mm = (
        np.bincount(bins, values.ravel()) / count
        for values in (frequency, _quietest_power(patches, fine), in_mm)
    )
    first = int(np.argmax(per_mm > lowest))
    power[:first] = power[first] * middle[:first] / middle[first]
    return middle, power


def lowest_of_noise_per_mm(spacing_mm: tuple[float, float]) -> float:
    """Where the noise that is measured begins, in cycles per mm; lower for pixels above 1.3 mm."""
    return min(ANATOMY_BELOW_PER_MM, 0.2 / max(spacing_mm))


def _soft_tissue_patches(
    image_hu: NDArray, spacing_mm: tuple[float, float], valid: NDArray | None
) -> list[NDArray]:
    low, high = SOFT_TISSUE_HU
    smooth = ndimage.gaussian_filter(image_hu, [2.0 / step for step in spacing_mm])
    soft = (smooth > low) & (smooth < high) & body_mask(image_hu, valid=valid)
    rows, columns = (max(8, round(_PATCH_MM / step)) for step in spacing_mm)
    corners = (
        (row, column)
        for row in range(0, image_hu.shape[0] - rows + 1, rows // 2)
        for column in range(0, image_hu.shape[1] - columns + 1, columns // 2)
    )
    return [
        image_hu[row : row + rows, column : column + columns].astype(float)
        for row, column in corners
        if soft[row : row + rows, column : column + columns].all()
    ]


def _without_plane(patch: NDArray) -> NDArray:
    rows, columns = np.indices(patch.shape).reshape(2, -1)
    design = np.stack([np.ones(patch.size), rows, columns], axis=1)
    plane, *_ = np.linalg.lstsq(design, patch.ravel(), rcond=None)
    return patch - (design @ plane).reshape(patch.shape)


def _power(residue: NDArray) -> NDArray:
    """Power of each coefficient; the sum is the variance."""
    window = np.outer(np.hanning(residue.shape[0]), np.hanning(residue.shape[1]))
    return np.abs(np.fft.fft2(residue * window)) ** 2 / ((window**2).sum() * window.size)


def _quietest_power(patches: list[NDArray], fine: NDArray) -> NDArray:
    """Mean power of the patches that have the least at the frequencies marked."""
    powers = np.array([_power(_without_plane(patch)) for patch in patches])
    variances = (powers * fine).sum(axis=(1, 2))
    quiet = np.argsort(variances)[: max(1, int(len(variances) * _QUIETEST))]
    mean: NDArray = powers[quiet].mean(axis=0)
    return mean


def _radial_frequency(shape: tuple[int, ...], spacing_mm: tuple[float, float]) -> NDArray:
    rows, columns = (np.fft.fftfreq(n, step) for n, step in zip(shape, spacing_mm, strict=True))
    return np.hypot(rows[:, None], columns[None, :])
