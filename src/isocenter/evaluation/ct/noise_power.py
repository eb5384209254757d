"""Noise power spectrum: how strong the noise is, and how coarse or fine its texture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.ct.windows import find_body
from isocenter.evaluation.measure import Pair, array_pairs
from isocenter.image.ct_tissue import body_mask

SOFT_TISSUE_HU = (-160.0, 240.0)
REGION_SIDE_MM = 24.0
MOST_REGIONS_A_SLICE = 16
_FEWEST_PIXELS = 16
_STRUCTURE_SMOOTHING_MM = 2.0
# A region is dropped where its coarse structure exceeds the median of the chosen ones by this.
_STRUCTURE_LIMIT = 1.5


@dataclass(frozen=True, kw_only=True)
class Region:
    """A rectangle of one slice.

    Attributes:
        slice_index, row, column: its first pixel.
        shape: rows and columns.
        structure_hu: standard deviation of what is coarser than 2 mm in it.
    """

    slice_index: int
    row: int
    column: int
    shape: tuple[int, int]
    structure_hu: float

    def of(self, image_hu: NDArray) -> NDArray:
        """Its pixels in a (row, column) slice, float64."""
        rows = slice(self.row, self.row + self.shape[0])
        columns = slice(self.column, self.column + self.shape[1])
        return image_hu[rows, columns].astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class NoisePowerSpectrum:
    """Power of the noise over spatial frequency.

    Attributes:
        power_hu2_mm2: (row frequency, column frequency), zero frequency in the middle.
        frequency_row_per_mm, frequency_column_per_mm: its axes.
        radial_frequency_per_mm, radial_power_hu2_mm2: mean over rings up to the Nyquist frequency.
        num_regions: how many regions were averaged.
    """

    power_hu2_mm2: NDArray
    frequency_row_per_mm: NDArray
    frequency_column_per_mm: NDArray
    radial_frequency_per_mm: NDArray
    radial_power_hu2_mm2: NDArray
    num_regions: int

    @property
    def noise_hu(self) -> float:
        """Standard deviation: root of the integral over both frequencies."""
        step_row = self.frequency_row_per_mm[1] - self.frequency_row_per_mm[0]
        step_column = self.frequency_column_per_mm[1] - self.frequency_column_per_mm[0]
        return math.sqrt(float(self.power_hu2_mm2.sum() * step_row * step_column))

    @property
    def mean_frequency_per_mm(self) -> float:
        """Mean of the radial frequency weighted by the radial power.

        As vendors and most papers define it (a one-dimensional mean of the radial curve); weighting
        by the two-dimensional power gives larger numbers.
        """
        total = self.radial_power_hu2_mm2.sum()
        if not total > 0:
            return math.nan
        return float((self.radial_frequency_per_mm * self.radial_power_hu2_mm2).sum() / total)

    @property
    def peak_frequency_per_mm(self) -> float:
        """Where the radial curve, smoothed over three rings, is highest."""
        if not self.radial_power_hu2_mm2.any():
            return math.nan
        smooth = np.convolve(np.pad(self.radial_power_hu2_mm2, 1, mode="edge"), [0.25, 0.5, 0.25])
        return _parabolic_peak(self.radial_frequency_per_mm, smooth[2:-2])


def slice_regions(
    reference_hu: NDArray,
    *,
    spacing_mm: tuple[float, float],
    body: NDArray | None = None,
    slice_index: int = 0,
    side_mm: float = REGION_SIDE_MM,
    most: int = MOST_REGIONS_A_SLICE,
) -> list[Region]:
    """Squares of one (row, column) slice that hold the least structured soft tissue.

    Structure is what remains of the reference after smoothing by 2 mm and removing a parabolic
    trend. Centres lie at least half a side apart (the window fades out the rest); the least
    structured come first.
    """
    shape = _region_shape(spacing_mm, side_mm)
    smooth = ndimage.gaussian_filter(
        reference_hu.astype(np.float64), [_STRUCTURE_SMOOTHING_MM / step for step in spacing_mm]
    )
    inside = body_mask(reference_hu) if body is None else body
    soft = inside & (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    candidates = [
        Region(
            slice_index=slice_index,
            row=row,
            column=column,
            shape=shape,
            structure_hu=float(_without_trend(_window(smooth, row, column, shape)).std()),
        )
        for row, column in _corners_within(soft, shape)
    ]
    return _least_structured(candidates, most)


def without_structured(regions: Sequence[Region]) -> list[Region]:
    """Drop regions far more structured than the median one."""
    if not regions:
        return []
    limit = _STRUCTURE_LIMIT * float(np.median([region.structure_hu for region in regions]))
    return [region for region in regions if region.structure_hu <= limit]


def region_power(image_hu: NDArray, region: Region, *, spacing_mm: tuple[float, float]) -> NDArray:
    """Periodogram of one region of a (row, column) slice in HU^2 mm^2, a parabolic trend removed.

    Zero frequency lies in the middle. A Hann window keeps the strong middle frequencies of a sharp
    kernel from leaking into the weak low ones, where lesions are.
    """
    residue = _without_trend(region.of(image_hu))
    window = _hann(residue.shape)
    power = np.abs(np.fft.fftshift(np.fft.fft2(residue * window))) ** 2
    return power * (spacing_mm[0] * spacing_mm[1] / float((window**2).sum()))


def spectrum_of(
    powers: Iterable[NDArray], *, spacing_mm: tuple[float, float]
) -> NoisePowerSpectrum | None:
    """Average periodograms of one shape; None where there are none."""
    total: NDArray | None = None
    count = 0
    for power in powers:
        total = power.copy() if total is None else total + power
        count += 1
    if total is None:
        return None
    mean = total / count
    row, column = (
        np.fft.fftshift(np.fft.fftfreq(size, step))
        for size, step in zip(mean.shape, spacing_mm, strict=True)
    )
    radius, radial = _rings(mean, row, column)
    return NoisePowerSpectrum(
        power_hu2_mm2=mean,
        frequency_row_per_mm=row,
        frequency_column_per_mm=column,
        radial_frequency_per_mm=radius,
        radial_power_hu2_mm2=radial,
        num_regions=count,
    )


@dataclass(frozen=True, kw_only=True)
class NoiseLevel:
    """Noise of one image in one slice, over the same regions and frequencies as the spectrum.

    Attributes:
        level_hu: standard deviation; NaN where the slice offers no region.
        mean_frequency_per_mm: of the radial curve; NaN also where there is no noise.
    """

    level_hu: float
    mean_frequency_per_mm: float


@dataclass(frozen=True, kw_only=True)
class SliceNoise:
    """Noise of one slice of reference and test."""

    index: int
    reference: NoiseLevel
    test: NoiseLevel


@dataclass(frozen=True, kw_only=True)
class NoiseComparison:
    """Noise power spectra in the same regions.

    Attributes:
        difference: spectrum of test minus reference: what was added or taken away. It holds no
            anatomy where the two differ by noise alone.
        regions: where they were measured, chosen on the reference or on what guides.
        of_slices: the same, slice by slice; their powers average to those of the spectra.
    """

    reference: NoisePowerSpectrum
    test: NoisePowerSpectrum
    difference: NoisePowerSpectrum
    regions: tuple[Region, ...]
    of_slices: tuple[SliceNoise, ...] = ()


class NoiseMeter:
    """The one meter of noise before and after: level, mean frequency and spectrum.

    All three come from the same regions, the least structured soft tissue, and from the whole
    spectrum. What anatomy the regions hold counts as noise of low frequency.
    """

    def __init__(self) -> None:
        self._regions: list[tuple[Region, tuple[NDArray, NDArray, NDArray]]] = []
        self._indices: list[int] = []
        self._spacing_mm = (1.0, 1.0)

    def add(self, pair: Pair, /) -> None:
        """Take in one pair.

        Raises:
            ValueError: its pixel spacing is not that of the pairs before.
        """
        if self._indices and pair.spacing_mm != self._spacing_mm:
            raise ValueError(
                f"spectra of pixels of {self._spacing_mm} mm and {pair.spacing_mm} mm cannot be "
                "averaged; measure each series by a meter of its own"
            )
        self._spacing_mm = pair.spacing_mm
        self._indices.append(pair.index)
        images = (pair.reference, pair.test, pair.test - pair.reference)
        for region in slice_regions(
            pair.guiding, spacing_mm=pair.spacing_mm, body=pair.body, slice_index=pair.index
        ):
            reference, test, difference = (
                region_power(image, region, spacing_mm=pair.spacing_mm) for image in images
            )
            self._regions.append((region, (reference, test, difference)))

    def result(self) -> NoiseComparison | None:
        """Over all regions but those far more structured than the rest; None without any."""
        kept = set(without_structured([region for region, _ in self._regions]))
        powers = [(region, power) for region, power in self._regions if region in kept]
        if not powers:
            return None
        reference, test, difference = (
            _mean_spectrum([power[which] for _, power in powers], self._spacing_mm)
            for which in range(3)
        )
        return NoiseComparison(
            reference=reference,
            test=test,
            difference=difference,
            regions=tuple(region for region, _ in powers),
            of_slices=tuple(
                self._slice_noise(
                    index, [power for region, power in powers if region.slice_index == index]
                )
                for index in self._indices
            ),
        )

    def _slice_noise(
        self, index: int, powers: Sequence[tuple[NDArray, NDArray, NDArray]]
    ) -> SliceNoise:
        reference, test = (
            _level(spectrum_of((power[which] for power in powers), spacing_mm=self._spacing_mm))
            for which in (0, 1)
        )
        return SliceNoise(index=index, reference=reference, test=test)


def homogeneous_regions(
    reference_hu: NDArray,
    *,
    spacing_mm: tuple[float, float, float],
    mask: NDArray | None = None,
    side_mm: float = REGION_SIDE_MM,
    most_a_slice: int = MOST_REGIONS_A_SLICE,
) -> list[Region]:
    """Least structured soft tissue of a volume (slice, row, column), chosen on the reference."""
    found: list[Region] = []
    for pair in array_pairs(
        reference_hu, reference_hu, spacing_mm=spacing_mm, mask=mask, find_body=find_body
    ):
        found += slice_regions(
            pair.guiding,
            spacing_mm=pair.spacing_mm,
            body=pair.body,
            slice_index=pair.index,
            side_mm=side_mm,
            most=most_a_slice,
        )
    return without_structured(found)


def noise_power_spectrum(
    image_hu: NDArray, regions: Sequence[Region], *, spacing_mm: tuple[float, float, float]
) -> NoisePowerSpectrum | None:
    """Noise power spectrum of a volume (slice, row, column) in given regions.

    Give the same regions for reference and test. What anatomy they hold counts as noise at low
    frequencies; with two repeats a and b of a scan, give (a - b) / sqrt(2), which holds none.

    Returns:
        None where there is no region.

    Source: AAPM Report 233, 2019; ICRU Report 87, 2012.
    """
    powers = (
        region_power(image_hu[region.slice_index], region, spacing_mm=spacing_mm[1:])
        for region in regions
    )
    return spectrum_of(powers, spacing_mm=spacing_mm[1:])


def _mean_spectrum(
    powers: Sequence[NDArray], spacing_mm: tuple[float, float]
) -> NoisePowerSpectrum:
    spectrum = spectrum_of(powers, spacing_mm=spacing_mm)
    assert spectrum is not None
    return spectrum


def _level(spectrum: NoisePowerSpectrum | None) -> NoiseLevel:
    if spectrum is None:
        return NoiseLevel(level_hu=math.nan, mean_frequency_per_mm=math.nan)
    return NoiseLevel(
        level_hu=spectrum.noise_hu, mean_frequency_per_mm=spectrum.mean_frequency_per_mm
    )


def _region_shape(spacing_mm: tuple[float, float], side_mm: float) -> tuple[int, int]:
    rows, columns = (max(_FEWEST_PIXELS, round(side_mm / step)) for step in spacing_mm)
    return rows, columns


def _window(image: NDArray, row: int, column: int, shape: tuple[int, int]) -> NDArray:
    return image[row : row + shape[0], column : column + shape[1]]


def _corners_within(mask: NDArray, shape: tuple[int, int]) -> list[tuple[int, int]]:
    """First pixels, on a grid of a quarter of the side, of the windows wholly inside the mask."""
    total = np.pad(mask, ((1, 0), (1, 0))).cumsum(0, dtype=np.int64).cumsum(1)
    rows, columns = shape
    inside = total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns]
    inside = inside + total[:-rows, :-columns]
    steps = (max(1, rows // 4), max(1, columns // 4))
    full = inside[:: steps[0], :: steps[1]] == rows * columns
    return [(int(row) * steps[0], int(column) * steps[1]) for row, column in np.argwhere(full)]


def _least_structured(candidates: list[Region], most: int) -> list[Region]:
    chosen: list[Region] = []
    for region in sorted(candidates, key=lambda each: each.structure_hu):
        if len(chosen) == most:
            break
        if not any(_overlap(region, other) for other in chosen):
            chosen.append(region)
    return chosen


def _overlap(a: Region, b: Region) -> bool:
    """Whether they share more than half a side along both axes."""
    rows, columns = a.shape
    return 2 * abs(a.row - b.row) < rows and 2 * abs(a.column - b.column) < columns


@cache
def _trend_basis(shape: tuple[int, int]) -> NDArray:
    """Orthonormal polynomials up to the second degree over a rectangle, (pixel, 6)."""
    row, column = (np.linspace(-1, 1, size) for size in shape)
    r, c = (grid.ravel() for grid in np.meshgrid(row, column, indexing="ij"))
    return np.linalg.qr(np.stack([np.ones_like(r), r, c, r * c, r**2, c**2], axis=1))[0]


@cache
def _hann(shape: tuple[int, int]) -> NDArray:
    rows, columns = (np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2 for size in shape)
    return np.outer(rows, columns)


def _without_trend(patch: NDArray) -> NDArray:
    basis = _trend_basis(patch.shape)
    flat = patch.ravel()
    return (flat - basis @ (basis.T @ flat)).reshape(patch.shape)


def _rings(power: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Mean over rings one frequency step wide, the zero frequency left out."""
    step = max(row[1] - row[0], column[1] - column[0])
    nyquist = min(-row[0], -column[0])
    ring = np.rint(np.hypot(row[:, None], column[None, :]) / step).astype(int).ravel()
    sums = np.bincount(ring, weights=power.ravel())
    radius = np.arange(1, int(nyquist / step + 1e-6) + 1)
    return radius * step, sums[radius] / np.bincount(ring)[radius]


def _parabolic_peak(position: NDArray, height: NDArray) -> float:
    top = int(height.argmax())
    if top in (0, len(height) - 1):
        return float(position[top])
    left, middle, right = height[top - 1 : top + 2]
    curvature = left - 2 * middle + right
    shift = 0.0 if curvature == 0 else 0.5 * (left - right) / curvature
    return float(position[top] + shift * (position[1] - position[0]))
