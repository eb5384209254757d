"""The simulation of the real pairs, and the fit of what a scanner's maker does not publish."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.ct_dose.pairs import DOSE_FRACTION, DosePair
from benchmarks.ct_dose.spectra import Spectrum, measure_spectrum
from isocenter.physics.ct_dose import BowTie, DoseSimulator
from isocenter.physics.ct_kernels import Kernel
from isocenter.physics.ct_projection import FanBeam

# The flying focal spot doubles the channels of this scanner, hence half its pitch.
GEOMETRY = FanBeam.covering(500, pitch_at_isocenter_mm=0.3524, num_views=720)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was set for one protocol.

    Attributes:
        kernel: fitted to the radial noise spectrum.
        photons_per_mas: fitted to the noise level; photons of a ray are this times the mAs.
        electronic_noise, bow_tie, current_modulation: as in ``LowerDose``, equal for all protocols.
    """

    kernel: Kernel
    photons_per_mas: float
    electronic_noise: float = 5.0
    bow_tie: BowTie = field(default_factory=BowTie)
    current_modulation: float = 0.5


def simulate(
    pair: DosePair, calibration: Calibration, *, seed: int = 0, realizations: int = 2
) -> NDArray:
    """Noise that a quarter of the dose adds, (realization, row, column) HU."""
    rng = np.random.default_rng([seed, pair.index])
    return simulator_of(pair, calibration).noise_hu(
        DOSE_FRACTION, calibration.kernel, rng, realizations=realizations
    )


def simulator_of(
    pair: DosePair, calibration: Calibration, geometry: FanBeam = GEOMETRY
) -> DoseSimulator:
    """The pair's full-dose slice as a simulated scan."""
    return DoseSimulator(
        pair.full_hu,
        spacing_mm=(pair.pixel_mm, pair.pixel_mm),
        photons=calibration.photons_per_mas * pair.exposure_mas,
        geometry=geometry,
        electronic_noise=calibration.electronic_noise,
        bow_tie=calibration.bow_tie,
        current_modulation=calibration.current_modulation,
    )


def mean_spectrum(noise_hu: NDArray, mask: NDArray, pixel_mm: float) -> Spectrum:
    """Over realizations."""
    spectra = [measure_spectrum(each, mask, pixel_mm).power for each in noise_hu]
    return Spectrum(power=np.mean(spectra, axis=0), pixel_mm=pixel_mm)


def fit(pairs: list[DosePair], masks: list[NDArray], start: Calibration) -> Calibration:
    """Kernel from the shape of the radial spectra, then photons from the noise level."""
    kernel = _fit_kernel(pairs, masks, start)
    start = replace(start, kernel=kernel)
    ratios = [
        simulate(pair, start)[:, mask].std() / pair.noise_hu[mask].std()
        for pair, mask in zip(pairs, masks, strict=True)
    ]
    return replace(start, photons_per_mas=start.photons_per_mas * float(np.mean(ratios)) ** 2)


def _fit_kernel(pairs: list[DosePair], masks: list[NDArray], start: Calibration) -> Kernel:
    """Nelder-Mead over four parameters; the same random sinograms at each step."""
    geometry = replace(GEOMETRY, num_views=360)
    prepared = []
    for pair, mask in zip(pairs, masks, strict=True):
        simulator = simulator_of(pair, start, geometry)
        lower = replace(simulator.dose, dose_fraction=DOSE_FRACTION)
        rng = np.random.default_rng(pair.index)
        sinogram = lower.added_noise(simulator.line_integrals, geometry, rng)
        target = measure_spectrum(pair.noise_hu, mask, pair.pixel_mm).radial()[1]
        prepared.append((pair, mask, simulator, sinogram, target / target.sum()))

    def misfit(values: NDArray) -> float:
        kernel = _kernel_from(values)
        total = 0.0
        for pair, mask, simulator, sinogram, target in prepared:
            noise = simulator.reconstruct_hu(sinogram, kernel)
            power = mean_spectrum(noise, mask, pair.pixel_mm).radial()[1]
            total += float(np.abs(power / power.sum() - target).sum())
        return total / len(prepared)

    first = _values_of(start.kernel)
    simplex = np.vstack([first, first + np.diag([0.15, 0.3, 0.25, 0.2])])
    options = {"maxfev": 40, "initial_simplex": simplex}
    return _kernel_from(optimize.minimize(misfit, first, method="Nelder-Mead", options=options).x)


def _values_of(kernel: Kernel) -> NDArray:
    logs = np.log([kernel.half_frequency_per_mm, kernel.order, kernel.boost_frequency_per_mm])
    return np.array([logs[0], logs[1], kernel.boost, logs[2]])


def _kernel_from(values: NDArray) -> Kernel:
    half, order, boost_frequency = np.exp(values[[0, 1, 3]])
    return Kernel(
        half_frequency_per_mm=float(half),
        order=float(order),
        boost=float(np.clip(values[2], -0.9, 3.0)),
        boost_frequency_per_mm=float(boost_frequency),
    )
