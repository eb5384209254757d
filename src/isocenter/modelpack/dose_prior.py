"""At which fraction of a standard dose was this scan made? Guessed from its noise.

A scan's dose cannot be read from its noise alone, but standard-dose noise of body CT is much alike
at one sharpness, and far less than that of low doses. Bayes' rule joins the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class DosePrior:
    """What is known of scans before looking; fitted to the full-dose scans used for calibration.

    Attributes:
        standard_noise_hu: median noise of a standard dose with the smoothest texture; with the
            sharpest it is three times as much.
        spread: standard deviation of its logarithm.
        smooth_frequency, sharp_frequency: mean frequencies of these textures, cycles per pixel.
        fractions: lowest and highest dose fraction, all equally likely on a logarithmic scale.
    """

    standard_noise_hu: float = 8.0
    spread: float = 0.5
    smooth_frequency: float = 0.1
    sharp_frequency: float = 0.4
    fractions: tuple[float, float] = (0.08, 0.6)

    def expected_fraction(self, noise_hu: float, mean_frequency: float) -> float:
        """Posterior mean of the dose fraction.

        Args:
            noise_hu: level measured in the scan; where not finite, the prior's mean is returned.
            mean_frequency: of that noise, in cycles per pixel.
        """
        low, high = np.log(self.fractions)
        fraction = np.exp(np.linspace(low, high, 200))
        if not (np.isfinite(noise_hu) and np.isfinite(mean_frequency) and noise_hu > 0):
            return float(fraction.mean())
        reach = self.sharp_frequency - self.smooth_frequency
        sharpness = np.clip((mean_frequency - self.smooth_frequency) / reach, 0, 1)
        typical = self.standard_noise_hu * (1 + 2 * sharpness)
        away = (np.log(noise_hu) + 0.5 * np.log(fraction) - np.log(typical)) / self.spread
        weight = np.exp(-0.5 * away**2)
        if weight.sum() < 1e-12:
            return float(fraction[int(np.abs(away).argmin())])
        return float((fraction * weight).sum() / weight.sum())
