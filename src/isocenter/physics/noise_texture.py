"""CT noise of many textures, made directly in the image.

A scanner's noise is coloured by its kernel and pulled into streaks along the paths that lose most
photons. The full simulation in :mod:`isocenter.physics.ct_dose` shows both but costs seconds a
slice. Here the same two facts are kept, and the simulation is left out: noise is a sum over
directions of coloured noise whose spatial frequencies point along that direction, each weighted by
the local variance that the rays seen from there bring. Cheap enough to draw a new texture for
every training image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

NUM_DIRECTIONS = 6
_ANGLES_A_DIRECTION = 4
_MAP_SIZE = 64
WATER_ATTENUATION_PER_MM = 0.0195


@dataclass(frozen=True, kw_only=True)
class NoiseTexture:
    """The power spectrum of noise over radial frequency, in cycles per pixel.

    Power is ``f^exponent * exp(-(f / cutoff)^steepness)``, plus a bump that edge-enhancing kernels
    leave, plus a share of white noise.

    Attributes:
        exponent: 1 for filtered backprojection without apodisation (a ramp in power).
        cutoff, steepness: where and how fast the kernel lets go.
        bump, bump_frequency: added power around a frequency, as a fraction.
        white_share: fraction of the variance that is white.
    """

    exponent: float = 1.0
    cutoff: float = 0.25
    steepness: float = 2.0
    bump: float = 0.0
    bump_frequency: float = 0.3
    white_share: float = 0.0

    def power(self, frequency: NDArray) -> NDArray:
        """Power at the given frequencies, normalized to unit variance on that grid."""
        floor = 0.02
        coloured = (frequency + floor) ** self.exponent
        coloured = coloured * np.exp(-((frequency / self.cutoff) ** self.steepness))
        coloured *= 1 + self.bump * np.exp(-(((frequency - self.bump_frequency) / 0.08) ** 2))
        return (1 - self.white_share) * coloured / coloured.mean() + self.white_share


def random_texture(rng: np.random.Generator) -> NoiseTexture:
    """A texture from thick and smooth to sharper than clinical kernels, streaky or white."""
    return NoiseTexture(
        exponent=rng.uniform(0.2, 1.6),
        cutoff=float(np.exp(rng.uniform(np.log(0.07), np.log(0.7)))),
        steepness=rng.uniform(1.0, 6.0),
        bump=rng.uniform(0.0, 3.0) if rng.random() < 0.3 else 0.0,
        bump_frequency=rng.uniform(0.15, 0.45),
        white_share=rng.uniform(0.0, 0.5) if rng.random() < 0.3 else 0.0,
    )


def radial_frequency(shape: tuple[int, int]) -> NDArray:
    """Frequency of each coefficient of a real FFT over (row, column), in cycles per pixel."""
    rows, columns = shape
    return np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])


def direction_windows(shape: tuple[int, int]) -> NDArray:
    """How much each direction owns of each coefficient, (NUM_DIRECTIONS, rows, columns / 2 + 1).

    Shares sum to one, so that equal variance from all sides leaves the spectrum as it is.
    Direction d holds frequencies around the angle ``d * pi / NUM_DIRECTIONS`` from the column
    axis: noise of the rays that run perpendicular to it.
    """
    rows, columns = shape
    angle = np.arctan2(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    centres = np.arange(NUM_DIRECTIONS) * np.pi / NUM_DIRECTIONS
    apart = (angle[None] - centres[:, None, None] + np.pi / 2) % np.pi - np.pi / 2
    width = np.pi / NUM_DIRECTIONS
    share = np.cos(np.clip(np.abs(apart) / width, 0, 1) * np.pi / 2) ** 2
    return share.astype(np.float32)


def directional_variance(image_hu: NDArray, *, spacing_mm: tuple[float, float]) -> NDArray:
    """Relative noise variance that the rays of each direction bring to each place.

    A ray of line integral p has variance proportional to exp(p); backprojection hands it to every
    pixel on the ray. Parallel rays on a coarse grid suffice.

    Args:
        image_hu: (row, column).
        spacing_mm: row and column spacing.

    Returns:
        (NUM_DIRECTIONS, 64, 64) of a square image, of mean one inside the body; the columns of
        others are in proportion.
    """
    step = max(1, image_hu.shape[0] // 128)
    coarse = ndimage.uniform_filter(np.clip(image_hu, -1000, 1500).astype(np.float32), step)
    coarse = coarse[step // 2 :: step, step // 2 :: step]
    attenuation = (1 + coarse / 1000) * WATER_ATTENUATION_PER_MM * spacing_mm[0] * step
    maps = [
        np.mean(
            [
                _ray_variance(attenuation, (direction + (k + 0.5) / _ANGLES_A_DIRECTION - 0.5))
                for k in range(_ANGLES_A_DIRECTION)
            ],
            axis=0,
        )
        for direction in range(NUM_DIRECTIONS)
    ]
    zoom = _MAP_SIZE / attenuation.shape[0]
    variance = np.stack([ndimage.zoom(one, zoom, order=1) for one in maps])
    inside = ndimage.zoom(coarse, zoom, order=1) > -400
    return (variance / max(float(variance[:, inside].mean()), 1e-6)).astype(np.float32)


def _ray_variance(attenuation: NDArray, direction: float) -> NDArray:
    degrees = direction * 180.0 / NUM_DIRECTIONS
    turned = ndimage.rotate(attenuation, degrees, reshape=False, order=1, mode="nearest")
    along_rays = np.exp(np.minimum(turned.sum(axis=0), 12.0))
    smeared = np.broadcast_to(along_rays, attenuation.shape)
    return ndimage.rotate(smeared, -degrees, reshape=False, order=1, mode="nearest")


def textured_noise(
    power: Tensor, variance: Tensor, *, white: Tensor, windows: Tensor | None = None
) -> Tensor:
    """Colour white noise by a spectrum and a variance for each direction and place.

    Args:
        power: (row, column / 2 + 1), as :meth:`NoiseTexture.power` gives it.
        variance: (NUM_DIRECTIONS, row, column), of mean one where the level is meant to hold.
        white: (slice, row, column) independent unit normal numbers.
        windows: :func:`direction_windows` of the same shape, computed where absent.

    Returns:
        (slice, row, column), of unit variance where the variance is one.
    """
    shape = (white.shape[-2], white.shape[-1])
    owned = torch.from_numpy(direction_windows(shape)) if windows is None else windows
    coefficients = torch.fft.rfft2(white) * power.clamp_min(0).sqrt()
    parts = torch.fft.irfft2(coefficients[:, None] * owned, s=shape)
    return (parts * variance.sqrt()).sum(dim=1)
