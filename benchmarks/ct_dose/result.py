"""One slice compared: real noise, simulated noise and their spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ct_dose.pairs import DosePair
from benchmarks.ct_dose.spectra import Spectrum


@dataclass(frozen=True, kw_only=True)
class Result:
    """One slice; ``spectrum`` ratios are simulated over real."""

    pair: DosePair
    fitted: bool
    mask: NDArray
    simulated_hu: NDArray
    real: Spectrum
    simulated: Spectrum

    def figures(self) -> dict[str, float | str | bool]:
        """What the table shows."""
        real_hu = float(self.pair.noise_hu[self.mask].std())
        simulated_hu = float(self.simulated_hu[:, self.mask].std())
        radial = [_shares(spectrum.radial()[1]) for spectrum in (self.real, self.simulated)]
        sector = [spectrum.by_direction()[1] for spectrum in (self.real, self.simulated)]
        return {
            "slice": self.pair.name,
            "fitted": self.fitted,
            "mas": self.pair.exposure_mas,
            "real_hu": real_hu,
            "simulated_hu": simulated_hu,
            "level_ratio": simulated_hu / real_hu,
            "mean_frequency_real_per_mm": self.real.mean_frequency_per_mm(),
            "mean_frequency_ratio": self.simulated.mean_frequency_per_mm()
            / self.real.mean_frequency_per_mm(),
            "peak_frequency_real_per_mm": self.real.peak_frequency_per_mm(),
            "peak_frequency_simulated_per_mm": self.simulated.peak_frequency_per_mm(),
            "radial_misfit": float(np.abs(radial[0] - radial[1]).sum()),
            "streaks_real": self.real.streak_ratio(),
            "streaks_simulated": self.simulated.streak_ratio(),
            "direction_misfit": float(np.abs(sector[0] - sector[1]).mean()),
        }


def _shares(power: NDArray) -> NDArray:
    return power / power.sum()
