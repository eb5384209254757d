"""Cases for calibrating and judging CT enhancement: a scan and the same scan at a lower dose.

These come from the fan-beam simulation of :mod:`isocenter.physics.ct_dose`, not from the textures
that the networks are fitted to, so that a model is never judged by its own noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import UnreadableInput
from isocenter.core.seeds import generator_for
from isocenter.datasets.ct_pairs import AIR_HU, HIGHEST_HU, TrainingScan
from isocenter.dicom.reading.open import read_volume
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.image.ct_tissue import body_mask, tissue_masks
from isocenter.physics.ct_dose import DoseSimulator, photons_for_noise
from isocenter.physics.ct_kernels import KERNELS

# Kernels that are named otherwise but look like one whose simulation is known.
_LIKE = {
    "B": "STANDARD",
    "FC17": "STANDARD",
    "B20s": "B20f",
    "B30s": "B30f",
    "B31f": "B30f",
    "B31s": "B30f",
    "B40s": "B40f",
    "B45f": "D45f",
    "59 .10.AB50": "B30f",
    "59 .21.B50s": "B50f",
}
_DEFAULT_KERNEL = "STANDARD"
_LARGEST_CORRELATION = 0.6
# Kernels that leave a standard dose three to five times the noise of a smooth one.
SHARP_KERNELS = ("D45f", "B50f", "B60f", "B70f", "LUNG", "BONE")
# Noise of a standard dose with such kernels in the public collections, HU.
_SHARP_NOISE_HU = (18.0, 50.0)
# A scan's own noise must be little beside it, or its smooth texture would be seen.
_QUIET_ENOUGH_HU = 16.0
# By how much a sharp kernel steepens the edges that a smooth one left.
_SHARPENING = 0.6
# Noise of a dose comes from going down to it from one so many times higher.
_FROM_HIGHER = 100.0


class GuessesDose(Protocol):
    """A model that tells the dose of a scan from its noise."""

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float: ...


@dataclass(frozen=True, kw_only=True)
class DoseCase:
    """Neighbouring slices at two doses.

    Attributes:
        name, patient: of the scan.
        dose_fraction: dose of ``low_hu`` over dose of ``full_hu``.
        full_hu, low_hu: (slice, row, column) float32 HU.
        spacing_mm: slice, row and column spacing.
        slice_thickness_mm: may exceed the slice spacing.
        judged: indices of the slices to judge; the others only give context.
        kernel: with which the noise was simulated, or the scanner's own.
        real: whether both doses were measured.
    """

    name: str
    patient: str
    dose_fraction: float
    full_hu: NDArray
    low_hu: NDArray
    spacing_mm: tuple[float, float, float]
    slice_thickness_mm: float
    judged: tuple[int, ...]
    kernel: str
    real: bool = False

    @property
    def in_plane_mm(self) -> tuple[float, float]:
        """Row and column spacing."""
        return self.spacing_mm[1], self.spacing_mm[2]

    def windows(self, context: int) -> Iterator[tuple[int, NDArray]]:
        """Each judged index with its (2 * context + 1, row, column) low-dose slices."""
        reach = np.arange(-context, context + 1)
        for index in self.judged:
            yield index, self.low_hu[np.clip(index + reach, 0, len(self.low_hu) - 1)]

    def guessed_fraction(self, model: GuessesDose) -> float:
        """Dose fraction as the model guesses it, from the noise of the judged slices."""
        found = [
            measure_noise(self.low_hu[index], spacing_mm=self.in_plane_mm) for index in self.judged
        ]
        noise = NoiseMeasure(
            level_hu=float(np.mean([one.level_hu for one in found])),
            mean_frequency_per_mm=float(np.mean([one.mean_frequency_per_mm for one in found])),
        )
        return model.guess_dose_fraction(noise, slice_thickness_mm=self.slice_thickness_mm)


def simulated_cases(
    scans: Sequence[TrainingScan],
    *,
    dose_fractions: Sequence[float],
    seed: int,
    num_judged: int = 2,
    context: int = 1,
) -> Iterator[DoseCase]:
    """Each scan at each lower dose, with the noise that its own level and kernel ask for.

    Args:
        scans: scans whose noise could not be measured are passed over.
        dose_fractions: doses below one.
        seed: of the noise; each scan and dose has its own generator.
        num_judged: neighbouring slices to judge of each scan, from its middle.
        context: further slices on each side, where the scan has them.
    """
    for scan in scans:
        if not np.isfinite(scan.noise_hu):
            continue
        full, judged = _middle(scan, num_judged, context)
        settings = dose_settings(scan, full)
        simulator = DoseSimulator(
            full,
            spacing_mm=scan.in_plane_mm,
            photons=settings.photons,
            slice_correlation=settings.slice_correlation,
        )
        for fraction in dose_fractions:
            rng = generator_for(seed, "dose case", scan.name, f"{fraction:.4f}")
            noise = simulator.noise_hu(fraction, settings.kernel, rng)
            yield DoseCase(
                name=scan.name,
                patient=scan.patient,
                dose_fraction=fraction,
                full_hu=full,
                low_hu=_stored(full + noise),
                spacing_mm=scan.spacing_mm,
                slice_thickness_mm=scan.slice_thickness_mm,
                judged=judged,
                kernel=settings.kernel,
            )


def sharp_cases(
    scans: Sequence[TrainingScan],
    *,
    dose_fractions: Sequence[float],
    seed: int,
    num_judged: int = 2,
    context: int = 1,
) -> Iterator[DoseCase]:
    """Quiet scans as sharp kernels would have shown them, at each lower dose.

    Standard doses with a sharp kernel are too noisy to stand for a truth, so collections of clean
    scans have none, and what is calibrated on smooth kernels alone is too sure of itself on sharp
    ones. Here edges are made steeper and a standard dose's noise is simulated with the kernel; both
    doses then share it, as measured pairs do.

    Args:
        scans: those with little noise of their own are taken.
        dose_fractions, num_judged, context: as :func:`simulated_cases` has them.
        seed: of kernel, level and noise; each scan has its own generator.
    """
    for scan in scans:
        if not scan.noise_hu <= _QUIET_ENOUGH_HU:  # also passes over what could not be measured
            continue
        rng = generator_for(seed, "sharp case", scan.name)
        smooth, judged = _middle(scan, num_judged, context)
        kernel = str(rng.choice(SHARP_KERNELS))
        blurred = ndimage.gaussian_filter(smooth, [0, 1.0, 1.0])
        anatomy = smooth + _SHARPENING * (smooth - blurred)
        simulator = _at_level(anatomy, scan, kernel, rng)
        higher = simulator.with_photons(simulator.dose.photons * _FROM_HIGHER)
        full = anatomy + higher.noise_hu(1 / (1 + _FROM_HIGHER), kernel, rng)
        for fraction in dose_fractions:
            low = full + simulator.noise_hu(fraction, kernel, rng)
            yield DoseCase(
                name=f"{scan.name} {kernel}",
                patient=scan.patient,
                dose_fraction=fraction,
                full_hu=_stored(full),
                low_hu=_stored(low),
                spacing_mm=scan.spacing_mm,
                slice_thickness_mm=scan.slice_thickness_mm,
                judged=judged,
                kernel=kernel,
            )


def _at_level(
    anatomy: NDArray, scan: TrainingScan, kernel: str, rng: np.random.Generator
) -> DoseSimulator:
    """A simulator whose scanned dose has a noise drawn from that of sharp kernels."""
    level = float(np.exp(rng.uniform(*np.log(_SHARP_NOISE_HU))))
    middle = anatomy[len(anatomy) // 2]
    photons = photons_for_noise(
        DoseSimulator(middle, spacing_mm=scan.in_plane_mm),
        noise_hu=level,
        kernel=kernel,
        mask=_soft_tissue(middle, scan.in_plane_mm),
    )
    return DoseSimulator(anatomy, spacing_mm=scan.in_plane_mm, photons=photons)


def _stored(image_hu: NDArray) -> NDArray:
    """Whole HU within the range that a stored CT has."""
    return np.rint(image_hu).clip(AIR_HU, HIGHEST_HU).astype(np.float32)


def _middle(scan: TrainingScan, num_judged: int, context: int) -> tuple[NDArray, tuple[int, ...]]:
    count = min(num_judged, len(scan.array))
    first = (len(scan.array) - count) // 2
    start, stop = max(0, first - context), min(len(scan.array), first + count + context)
    judged = tuple(range(first - start, first - start + count))
    return scan.array[start:stop].astype(np.float32), judged


@dataclass(frozen=True, kw_only=True)
class DoseSettings:
    """What a scan's noise says of how it was made.

    Attributes:
        kernel: name in ``KERNELS`` of the kernel that is most like the scan's own.
        photons: of a ray at the scanned dose, so that the noise has the measured level.
        noise_hu: that level.
        slice_correlation: of the noise of neighbouring slices, from their overlap.
    """

    kernel: str
    photons: float
    noise_hu: float
    slice_correlation: float


def dose_settings(scan: TrainingScan, full_hu: NDArray) -> DoseSettings:
    """Fit the simulation to a scan, by the noise in the middle of (slice, row, column) HU."""
    name = _LIKE.get(scan.kernel, scan.kernel)
    kernel = name if name in KERNELS else _DEFAULT_KERNEL
    overlap = 1 - scan.spacing_mm[0] / scan.slice_thickness_mm if len(full_hu) > 1 else 0.0
    middle = full_hu[len(full_hu) // 2]
    photons = photons_for_noise(
        DoseSimulator(middle, spacing_mm=scan.in_plane_mm),
        noise_hu=scan.noise_hu,
        kernel=kernel,
        mask=_soft_tissue(middle, scan.in_plane_mm),
    )
    return DoseSettings(
        kernel=kernel,
        photons=photons,
        noise_hu=scan.noise_hu,
        slice_correlation=float(np.clip(overlap, 0, _LARGEST_CORRELATION)),
    )


def _soft_tissue(image_hu: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    masks = tissue_masks(image_hu, spacing_mm=spacing_mm)
    soft = masks["muscle"] | masks["liver"]
    return soft if soft.any() else body_mask(image_hu)


def real_cases(data: Path) -> list[DoseCase]:
    """Pairs that were measured at two doses: ``ct/real_low_dose/<kernel>/full`` and ``quarter``.

    Slices lie apart, so each is a case of its own.

    Raises:
        UnreadableInput: the folder is not there.
    """
    folder = data / "ct" / "real_low_dose"
    if not folder.is_dir():
        raise UnreadableInput("no ct/real_low_dose in the data folder; name the folder that has it")
    return [
        _real_case(path, kernel.name)
        for kernel in sorted(folder.iterdir())
        for path in sorted((kernel / "full").glob("*.dcm"))
    ]


def _real_case(full_path: Path, kernel: str) -> DoseCase:
    full = read_volume(full_path)
    low = read_volume(full_path.parent.parent / "quarter" / full_path.name)
    return DoseCase(
        name=f"{kernel}/{full_path.stem}",
        patient=kernel,
        dose_fraction=0.25,
        full_hu=full.array.clip(AIR_HU, HIGHEST_HU),
        low_hu=low.array.clip(AIR_HU, HIGHEST_HU),
        spacing_mm=full.geometry.spacing_mm,
        slice_thickness_mm=full.acquisition.slice_thickness_mm or full.geometry.spacing_mm[0],
        judged=(0,),
        kernel=kernel.split("_")[0],
        real=True,
    )
