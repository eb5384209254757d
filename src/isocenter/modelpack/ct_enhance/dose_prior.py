"""At which fraction of a standard dose was this scan made? Guessed from its noise.

A scan's dose cannot be read from its noise alone, but the noise of standard-dose body CT at one
sharpness and slice thickness is much alike, and far less than that of low doses. Bayes' rule joins
the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TYPICAL_FREQUENCY_PER_MM = 0.25
TYPICAL_THICKNESS_MM = 5.0


@dataclass(frozen=True, kw_only=True)
class StandardNoise:
    """The noise that a standard dose leaves, before looking.

    Fitted to the full-dose scans used for training, validation and calibration: the exponent of the
    thickness came out as photon statistics have it.

    Attributes:
        standard_noise_hu: median noise of a standard dose at a mean frequency of 0.25 cycles per
            mm in slices of 5 mm.
        frequency_exponent: the noise grows with this power of the frequency.
        thickness_exponent: and with this power of the slice thickness.
        spread: standard deviation of its logarithm.
        unknown_thickness_mm, unknown_spread: taken where the thickness is not known.

    Raises:
        ValueError: a number is outside of what could be meant.
    """

    standard_noise_hu: float = 6.3
    frequency_exponent: float = 1.25
    thickness_exponent: float = -0.5
    spread: float = 0.4
    unknown_thickness_mm: float = 3.0
    unknown_spread: float = 0.5

    def __post_init__(self) -> None:
        for name in ("frequency_exponent", "thickness_exponent"):
            if not abs(getattr(self, name)) <= 10:  # also refuses NaN
                raise ValueError(f"{name} must be within -10 and 10, got {getattr(self, name)}")
        for name in ("standard_noise_hu", "spread", "unknown_thickness_mm", "unknown_spread"):
            if not 0 < getattr(self, name) <= 1e4:
                raise ValueError(
                    f"{name} must be positive and at most 10000, got {getattr(self, name)}"
                )


@dataclass(frozen=True, kw_only=True)
class DosePrior(StandardNoise):
    """What is known of a scan's dose before looking: the noise of a standard one, and a range.

    Attributes:
        fractions: lowest and highest dose fraction, all equally likely on a logarithmic scale.

    Raises:
        ValueError: a number is outside of what could be meant.
    """

    fractions: tuple[float, float] = (0.08, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.fractions
        if not 0 < low < high <= 1:
            raise ValueError(f"fractions must rise within (0, 1], got {self.fractions}")

    def likely_fraction(
        self,
        noise_hu: float,
        mean_frequency_per_mm: float,
        slice_thickness_mm: float | None = None,
    ) -> float:
        """The dose fraction that costs least where the true one is not known.

        A fraction g taken for a true one f adds an error of (g - f)² times the input's noise to one
        of about f times that noise, which no estimate goes below. What is least on average is the
        ratio of the two, and that is so at the harmonic mean of the posterior.

        Args:
            noise_hu: level measured in the scan; where this or the frequency is no positive number,
                the prior's own harmonic mean is returned.
            mean_frequency_per_mm: of that noise.
            slice_thickness_mm: absent where not known.
        """
        fraction, weight = self._posterior(noise_hu, mean_frequency_per_mm, slice_thickness_mm)
        return float(1 / (weight / fraction).sum())

    def fraction_range(
        self,
        noise_hu: float,
        mean_frequency_per_mm: float,
        slice_thickness_mm: float | None = None,
        *,
        coverage: float = 0.9,
    ) -> tuple[float, float]:
        """The dose fractions between which the posterior has so much of its weight.

        Args:
            noise_hu, mean_frequency_per_mm, slice_thickness_mm: as above.
            coverage: the rest lies evenly below and above.
        """
        fraction, weight = self._posterior(noise_hu, mean_frequency_per_mm, slice_thickness_mm)
        ends = np.searchsorted(weight.cumsum(), [(1 - coverage) / 2, (1 + coverage) / 2])
        low, high = fraction[np.minimum(ends, len(fraction) - 1)]
        return float(low), float(high)

    def _posterior(
        self, noise_hu: float, mean_frequency_per_mm: float, slice_thickness_mm: float | None
    ) -> tuple[NDArray, NDArray]:
        """Dose fractions, rising, and the weight of each; weights sum to one."""
        low, high = np.log(self.fractions)
        fraction = np.exp(np.linspace(low, high, 200))
        even = np.full(fraction.shape, 1 / len(fraction))
        measured = np.array([noise_hu, mean_frequency_per_mm])
        if not (np.isfinite(measured).all() and (measured > 0).all()):
            return fraction, even
        spread = self.spread if slice_thickness_mm else self.unknown_spread
        thickness = slice_thickness_mm or self.unknown_thickness_mm
        log_typical = (
            np.log(self.standard_noise_hu)
            + self.frequency_exponent * np.log(mean_frequency_per_mm / TYPICAL_FREQUENCY_PER_MM)
            + self.thickness_exponent * np.log(thickness / TYPICAL_THICKNESS_MM)
        )
        away = (np.log(noise_hu) + 0.5 * np.log(fraction) - log_typical) / spread
        weight = np.exp(-0.5 * away**2)
        if weight.sum() < 1e-12:
            weight = (np.abs(away) == np.abs(away).min()).astype(float)
        return fraction, weight / weight.sum()
