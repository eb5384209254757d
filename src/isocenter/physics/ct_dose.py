"""The noise that a CT scan would have had at a lower dose.

Filtered backprojection is linear, so the noise of a lower dose is made alone, as the
reconstruction of a sinogram of noise, and added to the scan: its own HU stay as they are, and two
steps of dose reduction make the same noise as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isocenter.physics.ct_kernels import Kernel, kernel_named
from isocenter.physics.ct_projection import FanBeam, Spacing, filtered_backprojection, project

WATER_PER_MM = 0.0193
"""Attenuation of water at the mean energy of a 120 kVp beam behind the patient (about 70 keV)."""

_THINNING_BELOW = 60.0  # expected counts under which a normal distribution is not good enough
_IMAGES_AT_ONCE = 4  # share one set of interpolation weights: nearly free up to here


@dataclass(frozen=True, kw_only=True)
class BowTie:
    """A filter that thins the beam where the patient is thin: it evens out a cylinder of water.

    Attributes:
        cylinder_diameter_mm: of the water cylinder for which it is shaped.
        strength: 0 for no filter, 1 to even out the cylinder fully.
        minimum_transmission: the filter is nowhere thicker than this.
    """

    cylinder_diameter_mm: float = 320.0
    strength: float = 0.3
    minimum_transmission: float = 0.03

    def transmission(self, geometry: FanBeam) -> NDArray:
        """Share of the central ray's photons in each channel, shape (channels,)."""
        radius = self.cylinder_diameter_mm / 2
        distance = geometry.source_to_isocenter_mm * np.sin(geometry.fan_angles_rad().numpy())
        missing_mm = 2 * (radius - np.sqrt(np.clip(radius**2 - distance**2, 0, None)))
        transmission = np.exp(-self.strength * WATER_PER_MM * missing_mm)
        return np.maximum(transmission, self.minimum_transmission)


@dataclass(frozen=True, kw_only=True)
class LowerDose:
    """The change of a sinogram from a scan's dose to a lower one.

    Each measured count is thinned binomially (exactly where few photons arrive, by a normal
    distribution of the same variance elsewhere), the lost share of electronic noise is added, and
    the logarithm is taken of counts clipped at ``starvation_floor``. For many photons the added
    variance is ``(1/d - 1) / n + (1/d^2 - 1) * electronic_noise^2 / n^2`` where n photons arrived
    and d is ``dose_fraction``; steps compose when the next one has ``dose_fraction * photons``.

    Attributes:
        photons: photons of one ray of one view reaching an empty scanner's central channel at the
            scanned dose.
        dose_fraction: new dose over scanned dose, in (0, 1].
        electronic_noise: standard deviation of a reading, in photons.
        bow_tie: None for an even beam.
        current_modulation: 0 for a constant tube current; 1 for one in proportion to the factor by
            which each view's thickest part weakens the beam; scanners choose about one half.
        starvation_floor: smallest count whose logarithm is taken, in photons.
    """

    photons: float
    dose_fraction: float
    electronic_noise: float = 5.0
    bow_tie: BowTie | None = BowTie()
    current_modulation: float = 0.5
    starvation_floor: float = 1.0

    def __post_init__(self) -> None:
        if not (self.photons > 0 and math.isfinite(self.photons)):
            raise ValueError(f"photons must be positive, got {self.photons}")
        if not 0 < self.dose_fraction <= 1:
            raise ValueError(
                f"dose_fraction must lie in (0, 1], got {self.dose_fraction}; a scan cannot be "
                "given a higher dose than it had"
            )
        if not self.electronic_noise >= 0 or not self.starvation_floor > 0:
            raise ValueError(
                f"electronic_noise must not be negative ({self.electronic_noise}) and "
                f"starvation_floor must be positive ({self.starvation_floor})"
            )

    def expected_counts(self, line_integrals: NDArray, geometry: FanBeam) -> NDArray:
        """Photons that arrive at the scanned dose; (..., views, channels)."""
        arriving = self.photons * np.exp(-line_integrals)
        if self.bow_tie is not None:
            arriving *= self.bow_tie.transmission(geometry)
        if self.current_modulation:
            arriving *= _tube_current(line_integrals, self.current_modulation)[..., None]
        return arriving

    def added_variance(self, line_integrals: NDArray, geometry: FanBeam) -> NDArray:
        """Variance of what :meth:`added_noise` adds where many photons arrive."""
        arriving, dose = self.expected_counts(line_integrals, geometry), self.dose_fraction
        electronic = (1 / dose**2 - 1) * (self.electronic_noise / arriving) ** 2
        return (1 / dose - 1) / arriving + electronic

    def added_noise(
        self, line_integrals: NDArray, geometry: FanBeam, rng: np.random.Generator
    ) -> NDArray:
        """What to add to the line integrals, float32 of their shape (..., views, channels)."""
        dose = self.dose_fraction
        if dose == 1:
            return np.zeros(line_integrals.shape, dtype=np.float32)
        arriving = self.expected_counts(line_integrals, geometry).astype(np.float32)
        normal = rng.standard_normal(arriving.shape, dtype=np.float32)
        electronic_variance = (1 - dose**2) * self.electronic_noise**2
        poisson_variance = dose * (1 - dose) * arriving
        few = dose * arriving < _THINNING_BELOW
        if not few.any():
            reading = dose * arriving + normal * np.sqrt(poisson_variance + electronic_variance)
        else:
            spread = np.where(few, 0, poisson_variance) + electronic_variance
            reading = dose * arriving + normal * np.sqrt(spread)
            reading[few] += _thinned(arriving[few], dose, rng) - dose * arriving[few]
        floor = self.starvation_floor
        expected = np.maximum(dose * arriving, floor)
        return -np.log(np.maximum(reading, floor) / expected)


def _tube_current(line_integrals: NDArray, modulation: float) -> NDArray:
    """Relative current of each view, mean one."""
    thickest = line_integrals.max(axis=-1)
    current = np.exp(modulation * (thickest - thickest.mean(axis=-1, keepdims=True)))
    return current / current.mean(axis=-1, keepdims=True)


def _thinned(arriving: NDArray, dose: float, rng: np.random.Generator) -> NDArray:
    """Binomial thinning of counts, rounded at random so that their mean is kept."""
    whole = np.floor(arriving + rng.random(arriving.shape)).astype(np.int64)
    return rng.binomial(whole, dose).astype(np.float32)


class DoseSimulator:
    """One scan, projected once; noise at any dose, kernel and seed from there.

    The line integrals only weigh the noise, so they are made on a coarser grid and interpolated.

    Args:
        image_hu: (row, column) or (slice, row, column), HU. Values below -1000 count as air.
        spacing_mm: distance between rows and between columns.
        photons: see :class:`LowerDose`; :func:`photons_for_noise` finds it from a noise level.
        geometry: the scanner; by default one that covers the image's circle or the scan field.
        electronic_noise, bow_tie, current_modulation: see :class:`LowerDose`.
        water_per_mm: attenuation of water.
        slice_correlation: of the noise of neighbouring slices, up to 0.6: overlapping or
            interpolated slices share photons.
        coarseness: by how much the grid of the line integrals is coarser than the noise's.
        device: where to reconstruct, such as "cuda".
    """

    def __init__(
        self,
        image_hu: NDArray,
        *,
        spacing_mm: Spacing,
        photons: float = 1e5,
        geometry: FanBeam | None = None,
        electronic_noise: float = 5.0,
        bow_tie: BowTie | None = BowTie(),
        current_modulation: float = 0.5,
        water_per_mm: float = WATER_PER_MM,
        slice_correlation: float = 0.0,
        coarseness: int = 2,
        device: str | torch.device = "cpu",
    ) -> None:
        image_hu = np.asarray(image_hu)
        if image_hu.ndim not in (2, 3) or not np.isfinite(image_hu).all():
            raise ValueError(
                "image_hu must be (row, column) or (slice, row, column) with finite values, got "
                f"shape {image_hu.shape}; replace padding by -1000 first"
            )
        if not 0 <= slice_correlation <= 0.6:
            raise ValueError(
                f"slice_correlation must lie between 0 and 0.6, got {slice_correlation}"
            )
        self.spacing_mm = spacing_mm
        self.geometry = geometry or _geometry_for(image_hu.shape[-2:], spacing_mm)
        self.water_per_mm = water_per_mm
        self.slice_correlation = slice_correlation
        self.dose = LowerDose(
            photons=photons,
            dose_fraction=1.0,
            electronic_noise=electronic_noise,
            bow_tie=bow_tie,
            current_modulation=current_modulation,
        )
        self._shape = image_hu.shape
        self._device = torch.device(device)
        slices = image_hu.reshape(-1, *image_hu.shape[-2:])
        self.line_integrals = self._project(slices, coarseness)

    def with_photons(self, photons: float) -> DoseSimulator:
        """The same scan at another dose, sharing its projections."""
        other = object.__new__(DoseSimulator)
        other.__dict__.update(self.__dict__)
        other.dose = replace(self.dose, photons=photons)
        return other

    def noise_hu(
        self,
        dose_fraction: float,
        kernel: Kernel | str,
        rng: np.random.Generator,
        *,
        realizations: int | None = None,
    ) -> NDArray:
        """What the lower dose adds to the scan, float32 HU in the scan's shape.

        Args:
            dose_fraction: new dose over scanned dose.
            kernel: a :class:`Kernel`, or a name in ``KERNELS``.
            rng: decides the noise alone.
            realizations: adds a first axis of so many independent draws, cheaper than one by one.
        """
        lower = replace(self.dose, dose_fraction=dose_fraction)
        last = len(self.line_integrals) - 1
        margin = 1 if self.slice_correlation and last > 0 else 0
        order = np.arange(-margin, last + 1 + margin).clip(0, last)
        many = np.tile(order, realizations or 1)
        images = [
            self.reconstruct_hu(
                np.stack(
                    [lower.added_noise(self.line_integrals[i], self.geometry, rng) for i in group]
                ),
                kernel,
            )
            for group in np.split(many, range(_IMAGES_AT_ONCE, len(many), _IMAGES_AT_ONCE))
        ]
        noise = np.concatenate(images).reshape(-1, len(order), *self._shape[-2:])
        if margin:
            noise = _share_between_slices(noise, self.slice_correlation)[:, margin:-margin]
        return noise.reshape(self._shape if realizations is None else (realizations, *self._shape))

    def reconstruct_hu(self, sinograms: NDArray, kernel: Kernel | str) -> NDArray:
        """Differences in HU from differences in line integrals, (slice, views, channels)."""
        kernel = kernel_named(kernel) if isinstance(kernel, str) else kernel
        parts = torch.from_numpy(sinograms)[:, None].split(_IMAGES_AT_ONCE)
        with torch.no_grad():
            images = [
                filtered_backprojection(
                    part.to(self._device),
                    self.geometry,
                    kernel,
                    shape=(self._shape[-2], self._shape[-1]),
                    spacing_mm=self.spacing_mm,
                ).cpu()
                for part in parts
            ]
        return (torch.cat(images)[:, 0] * (1000 / self.water_per_mm)).numpy()

    def _project(self, slices_hu: NDArray, coarseness: int) -> NDArray:
        hu = torch.from_numpy(np.array(slices_hu, dtype=np.float32))
        attenuation = (hu / 1000 + 1).clamp_(min=0)
        attenuation = attenuation[:, None].to(self._device) * self.water_per_mm
        parts = attenuation.split(_IMAGES_AT_ONCE)
        with torch.no_grad():
            integrals = [
                _coarse_projection(part, self.geometry, self.spacing_mm, coarseness).cpu()
                for part in parts
            ]
        return torch.cat(integrals)[:, 0].numpy()


def simulate_lower_dose(
    image_hu: NDArray,
    *,
    spacing_mm: Spacing,
    dose_fraction: float,
    kernel: Kernel | str,
    photons: float,
    rng: np.random.Generator,
    geometry: FanBeam | None = None,
    electronic_noise: float = 5.0,
    bow_tie: BowTie | None = BowTie(),
    current_modulation: float = 0.5,
    slice_correlation: float = 0.0,
    device: str | torch.device = "cpu",
) -> NDArray:
    """The scan as a lower dose would have shown it, float32 HU.

    Args:
        image_hu: (row, column) or (slice, row, column), HU.
        spacing_mm: distance between rows and between columns.
        dose_fraction: new dose over scanned dose.
        kernel: a :class:`Kernel`, or a name in ``KERNELS``; best the one of the scan itself.
        photons: of one ray at the scanned dose; :func:`photons_for_noise` finds it.
        rng: one generator per scan makes its noise the same in any batch.
    """
    simulator = DoseSimulator(
        image_hu,
        spacing_mm=spacing_mm,
        photons=photons,
        geometry=geometry,
        electronic_noise=electronic_noise,
        bow_tie=bow_tie,
        current_modulation=current_modulation,
        slice_correlation=slice_correlation,
        device=device,
    )
    noise = simulator.noise_hu(dose_fraction, kernel, rng)
    return np.asarray(image_hu, dtype=np.float32) + noise


def photons_for_noise(
    simulator: DoseSimulator,
    *,
    noise_hu: float,
    kernel: Kernel | str,
    mask: NDArray,
    seed: int = 0,
) -> float:
    """The photon number at which a scan of this patient has this noise at full dose.

    Halving the dose adds as much variance as the scan already has, so the noise added by half the
    dose is compared with the wanted level. (With electronic noise it adds up to three times its
    share, so the answer then errs towards more photons by that little.)

    Args:
        simulator: any; its photon number is only the start of the search.
        noise_hu: standard deviation measured in the scan.
        kernel: with which the scan was reconstructed.
        mask: where it was measured, in the shape of the scan.
        seed: of the noise used in the search.
    """
    if not noise_hu > 0:
        raise ValueError(f"noise_hu must be positive, got {noise_hu}")
    if not np.any(mask):
        raise ValueError("the mask is empty: it must mark the tissue where noise_hu was measured")
    photons = simulator.dose.photons
    for _ in range(3):
        rng = np.random.default_rng(seed)
        found = simulator.with_photons(photons).noise_hu(0.5, kernel, rng)[mask].std()
        photons *= float((found / noise_hu) ** 2)
        if abs(found / noise_hu - 1) < 0.02:
            break
    return photons


def _geometry_for(shape: tuple[int, ...], spacing_mm: Spacing) -> FanBeam:
    """A scanner that sees the whole image, or at least a clinical scan field of 500 mm."""
    diagonal_mm = math.hypot(shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
    return FanBeam.covering(min(max(diagonal_mm, 60.0), 700.0))


def _coarse_projection(
    attenuation: Tensor, geometry: FanBeam, spacing_mm: Spacing, coarseness: int
) -> Tensor:
    """Line integrals of a pixel-averaged image, interpolated to the geometry's rays."""
    views = geometry.num_views // coarseness
    if coarseness == 1 or views < 32 or geometry.num_views % (4 * coarseness):
        return project(attenuation, geometry, spacing_mm)
    rows, columns = attenuation.shape[-2:]
    attenuation = functional.pad(
        attenuation, (0, -columns % (2 * coarseness), 0, -rows % (2 * coarseness))
    )
    shift = [
        offset - (-size % (2 * coarseness)) * step / 2
        for offset, size, step in zip(
            geometry.rotation_center_mm, (rows, columns), spacing_mm, strict=True
        )
    ]
    coarse = replace(
        geometry,
        num_views=views,
        num_channels=math.ceil(geometry.num_channels / coarseness) + 1,
        channel_pitch_mm=geometry.channel_pitch_mm * coarseness,
        rotation_center_mm=(shift[0], shift[1]),
    )
    integrals = project(
        functional.avg_pool2d(attenuation, coarseness),
        coarse,
        (spacing_mm[0] * coarseness, spacing_mm[1] * coarseness),
    )
    return _interpolate_rays(integrals, coarse, geometry)


def _interpolate_rays(integrals: Tensor, coarse: FanBeam, fine: FanBeam) -> Tensor:
    """Linear between views (around the turn) and channels."""
    view = torch.arange(fine.num_views) * (coarse.num_views / fine.num_views)
    channel = fine.fan_angles_rad() / coarse.channel_angle_rad + (coarse.num_channels - 1) / 2
    around = torch.cat([integrals, integrals[:, :, :1]], dim=2)
    for axis, position in ((2, view), (3, channel.clamp(0, coarse.num_channels - 1))):
        low = position.floor().clamp(max=around.shape[axis] - 2).long()
        share = (position - low).to(integrals).reshape([-1 if i == axis else 1 for i in range(4)])
        low = low.to(integrals.device)
        around = torch.lerp(
            around.index_select(axis, low), around.index_select(axis, low + 1), share
        )
    return around


def _share_between_slices(noise: NDArray, correlation: float) -> NDArray:
    """Mix (draw, slice, row, column) so that variance stays and neighbours correlate as asked."""
    # (side, middle, side) with middle^2 + 2 side^2 = 1 and 2 * side * middle = correlation
    middle_squared = (1 + math.sqrt(max(0.0, 1 - 2 * correlation**2))) / 2
    middle = math.sqrt(middle_squared)
    side = math.sqrt((1 - middle_squared) / 2)
    mixed = middle * noise
    mixed[:, 1:] += side * noise[:, :-1]
    mixed[:, :-1] += side * noise[:, 1:]
    return mixed
