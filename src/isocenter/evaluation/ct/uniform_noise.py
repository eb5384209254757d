"""Spectra of the noise before and after, shown only where they hold noise and no anatomy.

Regions are the quietest of the even ones. What they integrate to must agree with the blind
measure of the noise, which takes only the band where anatomy is least; where it does not, anatomy
is in them. The difference of the two images holds no anatomy where noise alone was removed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.ct.noise_power import (
    NoisePowerSpectrum,
    Region,
    region_power,
    slice_regions,
    spectrum_of,
    without_structured,
)
from isocenter.evaluation.ct.quiet_noise import QuietNoise, QuietNoiseMeter
from isocenter.evaluation.measure import Pair
from isocenter.image.ct_noise import lowest_of_noise_per_mm

QUIETEST_SHARE = 0.3
FEWEST_REGIONS = 4
# How far the root of a spectrum's integral may lie from the level measured, as a share of it.
LARGEST_DISAGREEMENT = 0.2


@dataclass(frozen=True, kw_only=True)
class UniformNoise:
    """Noise of two images of the same place.

    Attributes:
        quiet: level and mean frequency by the blind meter.
        before, after: spectra of reference and test; None where they do not agree with that level.
        removed: spectrum of test minus reference; None where anatomy was removed with the noise.
        num_regions: that were averaged; 0 where too few even regions were found.
        integral_hu: roots of the integrals of reference and test, whether they agree or not.
    """

    quiet: QuietNoise
    before: NoisePowerSpectrum | None
    after: NoisePowerSpectrum | None
    removed: NoisePowerSpectrum | None
    num_regions: int
    integral_hu: tuple[float, float]


class UniformNoiseMeter:
    """Measures level and spectra in the same slices."""

    def __init__(self) -> None:
        self._quiet = QuietNoiseMeter()
        self._regions: list[tuple[Region, tuple[NDArray, NDArray, NDArray]]] = []
        self._spacing_mm = (1.0, 1.0)

    def add(self, pair: Pair, /) -> None:
        """Take in one pair; all have the same pixel spacing."""
        self._quiet.add(pair)
        self._spacing_mm = pair.spacing_mm
        images = (pair.reference, pair.test, pair.test - pair.reference)
        for region in slice_regions(
            pair.guiding, spacing_mm=pair.spacing_mm, body=pair.body, slice_index=pair.index
        ):
            before, after, removed = (
                region_power(image, region, spacing_mm=pair.spacing_mm) for image in images
            )
            self._regions.append((region, (before, after, removed)))

    def result(self) -> UniformNoise:
        """Over all pairs so far."""
        quiet, powers = self._quiet.result(), self._quietest()
        if len(powers) < FEWEST_REGIONS:
            return UniformNoise(
                quiet=quiet,
                before=None,
                after=None,
                removed=None,
                num_regions=0,
                integral_hu=(float("nan"), float("nan")),
            )
        before, after, removed = (
            self._spectrum([power[which] for power in powers]) for which in range(3)
        )
        return UniformNoise(
            quiet=quiet,
            before=before if _agrees(before.noise_hu, quiet.reference.level_hu) else None,
            after=after if _agrees(after.noise_hu, quiet.test.level_hu) else None,
            removed=removed if _agrees(removed.noise_hu, self._fine_hu(removed)) else None,
            num_regions=len(powers),
            integral_hu=(before.noise_hu, after.noise_hu),
        )

    def _quietest(self) -> list[tuple[NDArray, NDArray, NDArray]]:
        """Powers of the regions that hold least, of before and after together."""
        kept = set(without_structured([region for region, _ in self._regions]))
        powers = [power for region, power in self._regions if region in kept]
        powers.sort(key=lambda power: float(power[0].sum() + power[1].sum()))
        return powers[: max(FEWEST_REGIONS, round(QUIETEST_SHARE * len(powers)))]

    def _spectrum(self, powers: list[NDArray]) -> NoisePowerSpectrum:
        spectrum = spectrum_of(powers, spacing_mm=self._spacing_mm)
        assert spectrum is not None  # there are regions
        return spectrum

    def _fine_hu(self, spectrum: NoisePowerSpectrum) -> float:
        """Standard deviation above the frequencies where anatomy prevails."""
        row, column = spectrum.frequency_row_per_mm, spectrum.frequency_column_per_mm
        fine = np.hypot(row[:, None], column) > lowest_of_noise_per_mm(self._spacing_mm)
        steps = (row[1] - row[0]) * (column[1] - column[0])
        return float(np.sqrt((spectrum.power_hu2_mm2 * fine).sum() * steps))


def _agrees(integral_hu: float, level_hu: float) -> bool:
    return abs(integral_hu - level_hu) <= LARGEST_DISAGREEMENT * level_hu  # False for NaN
