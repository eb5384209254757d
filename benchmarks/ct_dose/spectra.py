"""Noise power spectra of many small regions inside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGION = 48  # pixels
SECTOR_DEG = 15


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Mean over regions.

    Attributes:
        power: (REGION, REGION) in HU^2 mm^2, zero frequency first.
        pixel_mm: of the image.
    """

    power: NDArray
    pixel_mm: float

    @property
    def frequency_per_mm(self) -> NDArray:
        axis = np.fft.fftfreq(REGION, self.pixel_mm)
        return np.hypot(axis[:, None], axis[None, :])

    def radial(self) -> tuple[NDArray, NDArray]:
        """Mean frequency and mean power of each ring, out to the corner of the axes."""
        ring = np.rint(self.frequency_per_mm * REGION * self.pixel_mm).astype(int)
        rings = range(1, int(0.7 * REGION))
        frequency = np.array([self.frequency_per_mm[ring == r].mean() for r in rings])
        return frequency, np.array([self.power[ring == r].mean() for r in rings])

    def by_direction(self) -> tuple[NDArray, NDArray]:
        """Centre of each sector in degrees (90: up and down, so streaks from side to side), power.

        Power is relative to the mean over sectors, between 0.08 and 0.7 cycles per mm.
        """
        axis = np.fft.fftfreq(REGION)
        angle = np.degrees(np.arctan2(axis[:, None], axis[None, :])) % 180
        used = (self.frequency_per_mm > 0.08) & (self.frequency_per_mm < 0.7)
        starts = np.arange(0, 180, SECTOR_DEG)
        power = np.array(
            [self.power[used & (angle >= a) & (angle < a + SECTOR_DEG)].mean() for a in starts]
        )
        return starts + SECTOR_DEG / 2, power / power.mean()

    def mean_frequency_per_mm(self) -> float:
        """Over the whole plane, weighted by power."""
        return float((self.frequency_per_mm * self.power).sum() / self.power.sum())

    def peak_frequency_per_mm(self) -> float:
        """Where the smoothed radial spectrum is largest."""
        frequency, power = self.radial()
        return float(frequency[np.argmax(np.convolve(power, np.ones(3) / 3, mode="same"))])

    def streak_ratio(self) -> float:
        """Power of streaks from side to side over power of streaks up and down."""
        angle, power = self.by_direction()
        vertical = np.abs(angle - 90) < 30
        horizontal = np.abs(angle - 90) > 60
        return float(power[vertical].mean() / power[horizontal].mean())


def measure_spectrum(noise_hu: NDArray, mask: NDArray, pixel_mm: float) -> Spectrum:
    """Average over half-overlapping regions inside the mask, each freed of a quadratic trend."""
    window = np.outer(*[np.hanning(REGION + 1)[:REGION]] * 2)
    scale = pixel_mm**2 / (window**2).sum()
    regions = [noise_hu[where] for where in _regions(mask)]
    if not regions:
        raise ValueError(f"no region of {REGION} x {REGION} pixels lies inside the mask")
    detrended = _without_trend(np.stack(regions)) * window
    power = (np.abs(np.fft.fft2(detrended)) ** 2).mean(axis=0) * scale
    return Spectrum(power=power, pixel_mm=pixel_mm)


def _regions(mask: NDArray) -> list[tuple[slice, slice]]:
    starts = [range(0, size - REGION + 1, REGION // 2) for size in mask.shape]
    every = [
        (slice(row, row + REGION), slice(column, column + REGION))
        for row in starts[0]
        for column in starts[1]
    ]
    return [where for where in every if mask[where].mean() > 0.98]


def _without_trend(regions: NDArray) -> NDArray:
    rows, columns = np.mgrid[:REGION, :REGION] / REGION - 0.5
    terms = [np.ones_like(rows), rows, columns, rows**2, columns**2, rows * columns]
    basis, _ = np.linalg.qr(np.stack([term.ravel() for term in terms], axis=1))
    flat = regions.reshape(len(regions), -1)
    return (flat - flat @ basis @ basis.T).reshape(regions.shape)
