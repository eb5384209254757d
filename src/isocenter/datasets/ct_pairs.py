"""Pairs of a low-dose and a standard-dose CT, made from standard-dose scans.

One rule makes a pair: target = anatomy + noise of the standard dose, input = target + further noise
of the same texture. At a dose fraction f the standard dose's noise is a share f of the input's, on
average; so a network needs only to learn the anatomy, and where the anatomy is known free of noise
it learns from that. Texture, level, direction, pixel size and the likeness of neighbouring slices
are drawn anew for each pair, because variety carries over to scanners never seen and one exact
simulator does not. Every pair can be rebuilt from the seed and its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.utils.data import Dataset

from isocenter.core.checks import check_least, check_range, check_share
from isocenter.core.seeds import generator_for
from isocenter.image.ct_noise import measure_noise, radial_noise_power
from isocenter.physics.noise_texture import (
    NoiseTexture,
    direction_windows,
    directional_variance,
    radial_frequency,
    random_texture,
    textured_noise,
)

# A parametric spectrum, or one measured: frequencies in cycles per pixel and power.
Texture = NoiseTexture | tuple[NDArray, NDArray]

AIR_HU = -1024.0
HIGHEST_HU = 3071.0
# What the quietest patches show of the noise of all soft tissue: 0.77 where the noise is known, and
# a tenth more for anatomy that is still taken for noise.
_QUIET_SHARE = 0.85
# Where less is added, it is the soft edge of a lesion.
_LESION_HU = 5.0
_PIXELS_A_LESION = 64 * 64


@dataclass(frozen=True, kw_only=True)
class TrainingScan:
    """A run of neighbouring slices, or a single slice, of one patient.

    Attributes:
        name: what the data's index calls it.
        patient: what patients are told apart by; used for splitting, never shown.
        array: (slice, row, column) int16 HU.
        spacing_mm: slice, row and column spacing.
        noise_hu: standard deviation in soft tissue.
        kernel: the reconstruction kernel's name, "" where unknown.
        slice_thickness_mm: may exceed the spacing, where slices overlap.
    """

    name: str
    patient: str
    array: NDArray
    spacing_mm: tuple[float, float, float]
    noise_hu: float
    kernel: str = ""
    slice_thickness_mm: float = 5.0

    @property
    def in_plane_mm(self) -> tuple[float, float]:
        """Row and column spacing."""
        return self.spacing_mm[1], self.spacing_mm[2]


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """How pairs are drawn; both ends of a range may be one value, which is always taken then.

    Attributes:
        crop: rows and columns of a pair.
        small_crop: rows and columns of the first pairs; small ones cost a quarter and teach as much
            while the network knows little.
        context: neighbouring slices on each side.
        quiet_base: share of pairs whose standard-dose noise is added too, to anatomy shrunk until
            little noise of its own is left; the rest use the scan's own noise as it is.
        own_texture: share of the other pairs whose added noise has the scan's measured spectrum.
        single_slice: share of pairs that repeat one slice instead of showing its neighbours.
        quiet_noise_hu: range of the standard-dose noise that is added for the smoothest texture;
            for the sharpest it is three times as much, as sharp kernels are noisy at any dose.
        as_it_is_below_hu: scans with more noise than this are never taken as they are.
        dose_fraction: range, drawn evenly on a logarithmic scale.
        blobs: share of pairs with small lesions of known shape put into the anatomy.
        faint: share of the lesions in soft tissue whose contrast is 8 to 35 HU, not 10 to 80.
        quiet_zoom, noisy_zoom: range by which anatomy is shrunk, and that of scans with more noise
            than ``noisy_above_hu``, which only strong shrinking makes quiet.
        thin_mm: slices no farther apart than this are averaged in threes, as if they were one of
            usual thickness, where anatomy is to be quiet.
        sharpened: share of quiet pairs whose edges are made steeper, as a sharp kernel leaves them.
    """

    crop: int = 192
    small_crop: int = 96
    context: int = 1
    quiet_base: float = 0.7
    own_texture: float = 0.9
    single_slice: float = 0.45
    quiet_noise_hu: tuple[float, float] = (4.0, 16.0)
    as_it_is_below_hu: float = 30.0
    dose_fraction: tuple[float, float] = (0.08, 0.6)
    blobs: float = 0.4
    faint: float = 0.0
    quiet_zoom: tuple[float, float] = (0.5, 0.85)
    noisy_zoom: tuple[float, float] = (0.4, 0.55)
    noisy_above_hu: float = 12.0
    thin_mm: float = 2.5
    sharpened: float = 0.35

    def __post_init__(self) -> None:
        if min(self.crop, self.small_crop) < 16:
            raise ValueError(f"crops have at least 16 rows, got {self.crop} and {self.small_crop}")
        check_least("context", self.context, 0)
        for name in ("dose_fraction", "quiet_zoom", "noisy_zoom"):
            check_range(name, getattr(self, name), most=1, may_be_one=True)
        check_range("quiet_noise_hu", self.quiet_noise_hu, may_be_one=True)
        for name in ("as_it_is_below_hu", "noisy_above_hu", "thin_mm"):
            check_least(name, getattr(self, name), 0)
        for name in ("quiet_base", "own_texture", "single_slice", "blobs", "faint", "sharpened"):
            check_share(name, getattr(self, name))


@lru_cache(maxsize=4)
def _grids(size: int) -> tuple[NDArray, Tensor]:
    shape = (size, size)
    return radial_frequency(shape), torch.from_numpy(direction_windows(shape))


class CtPairs(Dataset):
    """Pairs by number; number k is the same in any order, batch or process.

    Args:
        scans: at least one.
        settings: how pairs are drawn.
        seed: of all pairs.
        length: the number after that of the last pair.
        start: the number of the first pair.
        num_small: pairs with a lower number are small.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        *,
        settings: PairSettings,
        seed: int,
        length: int,
        start: int = 0,
        num_small: int = 0,
    ) -> None:
        self.scans = list(scans)
        self.settings = settings
        self.seed = seed
        self.length = length
        self.start = start
        self.num_small = num_small
        patients = [scan.patient for scan in self.scans]
        # A patient with many slices weighs more, but less than in proportion.
        weights = np.array(
            [np.sqrt(len(scan.array)) / np.sqrt(patients.count(scan.patient)) for scan in scans]
        )
        self._weights = weights / weights.sum()
        self._variance: dict[tuple[int, int], NDArray] = {}
        self._own_power: dict[int, tuple[NDArray, NDArray]] = {}

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """One pair, float32.

        ``input`` (2c + 1, crop, crop) HU; ``target`` (1, crop, crop) HU at the standard dose;
        ``anatomy`` (1, crop, crop) HU without the noise that was added; ``lesion`` (1, crop, crop),
        1 where a lesion was put in; ``fraction`` (), the dose of the input over the standard dose;
        ``is_clean`` (), 1 where ``anatomy`` may be learned from and 0 where the scan's own noise is
        still in it.
        """
        if not 0 <= number < len(self):
            raise IndexError(number)
        number += self.start
        small = number < self.num_small
        crop = self.settings.small_crop if small else self.settings.crop
        return self._pair(generator_for(self.seed, "ct pair", number), crop)

    def _pair(self, rng: np.random.Generator, crop: int) -> dict[str, Tensor]:
        settings = self.settings
        scan_index = int(rng.choice(len(self.scans), p=self._weights))
        scan = self.scans[scan_index]
        index = int(rng.integers(len(scan.array)))
        quiet = rng.random() < settings.quiet_base
        quiet = quiet or not scan.noise_hu < settings.as_it_is_below_hu
        zoom = 1.0
        if quiet:
            noisy = scan.noise_hu > settings.noisy_above_hu
            zoom = rng.uniform(*(settings.noisy_zoom if noisy else settings.quiet_zoom))
        slices = self._neighbours(rng, scan, index, quiet)
        anatomy, variance = self._crop(rng, scan_index, index, slices, crop, zoom)
        lesion = torch.zeros_like(anatomy)
        if rng.random() < settings.blobs:
            blobs = random_blobs(anatomy, rng, faint=settings.faint)
            anatomy = anatomy + blobs
            lesion = (blobs.abs() > _LESION_HU).float()
        texture = self._texture(rng, scan_index, quiet)
        if quiet:
            if rng.random() < settings.sharpened:
                anatomy = _sharpened(anatomy, rng)
            level = self._level(rng, texture, crop)
            standard = anatomy + level * self._noise(rng, texture, variance, len(anatomy))
        else:
            level = scan.noise_hu
            standard = anatomy
        low, high = np.log(settings.dose_fraction)
        fraction = float(np.exp(rng.uniform(low, high)))
        added = level * np.sqrt(1 / fraction - 1)
        noisy = standard + added * self._noise(rng, texture, variance, len(anatomy))
        flips = [axis for axis in (1, 2) if rng.random() < 0.5]
        middle = slice(settings.context, settings.context + 1)
        pair = {
            "input": noisy.clamp(AIR_HU, HIGHEST_HU),
            "target": standard[middle],
            "anatomy": anatomy[middle],
            "lesion": lesion[middle],
        }
        if rng.random() < settings.single_slice:
            pair["input"] = pair["input"][middle].repeat(2 * settings.context + 1, 1, 1)
        images = {name: image.flip(flips).contiguous() for name, image in pair.items()}
        return images | {
            "fraction": torch.tensor(fraction, dtype=torch.float32),
            "is_clean": torch.tensor(float(quiet)),
        }

    def _neighbours(
        self, rng: np.random.Generator, scan: TrainingScan, middle: int, quiet: bool
    ) -> NDArray:
        """Slices around one; thin ones that are to be quiet become the means of three."""
        reach = np.arange(-self.settings.context, self.settings.context + 1)
        if rng.random() < 0.5:
            reach = -reach
        places = middle + reach
        last = len(scan.array) - 1
        if not quiet or scan.spacing_mm[0] > self.settings.thin_mm:
            return scan.array[np.clip(places, 0, last)]
        triples = np.clip(places[:, None] + np.array([-1, 0, 1]), 0, last)
        return scan.array[triples].mean(axis=1, dtype=np.float32)

    def _crop(
        self,
        rng: np.random.Generator,
        scan_index: int,
        middle: int,
        slices: NDArray,
        crop: int,
        zoom: float,
    ) -> tuple[Tensor, Tensor]:
        """Cut a window that holds body; shrink it; hand its map of directional variance along."""
        rows, columns = slices.shape[1:]
        size = min(round(crop / zoom), rows, columns)
        centre = slices[len(slices) // 2]
        for _ in range(8):
            top = int(rng.integers(rows - size + 1))
            left = int(rng.integers(columns - size + 1))
            if (centre[top : top + size : 8, left : left + size : 8] > -900).mean() > 0.4:
                break
        window = slices[:, top : top + size, left : left + size].astype(np.float32)
        anatomy = torch.from_numpy(window)
        if size != crop:
            anatomy = _resized(anatomy, crop)
        variance = torch.from_numpy(self._variance_of(scan_index, middle))
        scale = variance.shape[-2] / rows  # the same along columns
        box = [round(edge * scale) for edge in (top, top + size, left, left + size)]
        cut = variance[:, box[0] : max(box[1], box[0] + 2), box[2] : max(box[3], box[2] + 2)]
        variance = functional.interpolate(cut[None], (crop, crop), mode="bilinear")[0]
        if rng.random() < 0.15:
            return anatomy, torch.ones_like(variance)
        variance = variance ** rng.uniform(0.3, 1.1)
        if rng.random() < 0.2:
            gains = torch.from_numpy(rng.uniform(0.3, 1.7, len(variance)).astype(np.float32))
            variance = variance * gains[:, None, None]
        return anatomy, variance

    def _variance_of(self, scan_index: int, middle: int) -> NDArray:
        key = (scan_index, middle)
        if key not in self._variance:
            scan = self.scans[scan_index]
            image = scan.array[middle].astype(np.float32)
            self._variance[key] = directional_variance(image, spacing_mm=scan.in_plane_mm)
        return self._variance[key]

    def _texture(self, rng: np.random.Generator, scan_index: int, quiet: bool) -> Texture:
        if not quiet and rng.random() < self.settings.own_texture:
            if scan_index not in self._own_power:
                scan = self.scans[scan_index]
                middle = scan.array[len(scan.array) // 2].astype(np.float32)
                self._own_power[scan_index] = radial_noise_power(
                    middle, spacing_mm=scan.in_plane_mm
                )
            own = self._own_power[scan_index]
            if len(own[0]):
                return own
        return random_texture(rng)

    def _level(self, rng: np.random.Generator, texture: Texture, crop: int) -> float:
        low, high = np.log(self.settings.quiet_noise_hu)
        frequency, power = _spectrum(texture, crop)
        mean_frequency = float((power * frequency).sum() / power.sum())
        sharpness = np.clip((mean_frequency - 0.1) / 0.3, 0, 1)
        return float(np.exp(rng.uniform(low, high)) * (1 + 2 * sharpness))

    def _noise(
        self,
        rng: np.random.Generator,
        texture: Texture,
        variance: Tensor,
        num_slices: int,
    ) -> Tensor:
        """(slice, row, column) of unit level; neighbours alike as overlapping slices are."""
        crop = variance.shape[-1]
        _, windows = _grids(crop)
        _, power = _spectrum(texture, crop)
        shape = (num_slices + 1, crop, crop)
        white = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        share = rng.uniform(0, 0.7) if rng.random() < 0.5 else 0.0
        white = (white[:-1] + share * white[1:]) / np.sqrt(1 + share**2)
        colour = torch.from_numpy(power.astype(np.float32))
        return textured_noise(colour, variance, white=white, windows=windows)


def _spectrum(texture: Texture, crop: int) -> tuple[NDArray, NDArray]:
    frequency, _ = _grids(crop)
    if isinstance(texture, NoiseTexture):
        return frequency, texture.power(frequency)
    power = np.interp(frequency, *texture)
    return frequency, power / power.mean()


def _resized(image: Tensor, size: int) -> Tensor:
    shrunk = functional.interpolate(image[None], (size, size), mode="bilinear", antialias=True)
    return shrunk[0]


def _sharpened(anatomy: Tensor, rng: np.random.Generator) -> Tensor:
    """Steeper edges, as a sharp kernel leaves them."""
    blurred = ndimage.gaussian_filter(anatomy.numpy(), [0, 1.0, 1.0])
    return anatomy + rng.uniform(0.2, 1.2) * (anatomy - torch.from_numpy(blurred))


def random_blobs(anatomy: Tensor, rng: np.random.Generator, *, faint: float = 0.0) -> Tensor:
    """Small soft-edged lesions to add: (slice, row, column) HU, zero elsewhere.

    Faint in soft tissue, dense in lung; 3 to 20 pixels wide, continuing into neighbouring slices.

    Args:
        anatomy: (slice, row, column) HU.
        rng: draws number, places, sizes and contrasts.
        faint: share of those in soft tissue that are very faint.
    """
    slices, rows, columns = anatomy.shape
    added = np.zeros(anatomy.shape, np.float32)
    grid_row, grid_column = np.ogrid[:rows, :columns]
    for _ in range(rng.integers(1, 2 + max(1, rows * columns // _PIXELS_A_LESION))):
        row, column = rng.integers(rows), rng.integers(columns)
        radius = rng.uniform(1.5, 10.0)
        stretch = rng.uniform(0.7, 1.4)
        distance = np.hypot((grid_row - row) * stretch, (grid_column - column) / stretch)
        place = float(anatomy[slices // 2, row, column])
        if place < -500:
            contrast = rng.uniform(150, 900)
        elif place < 300:
            limits = (8, 35) if faint and rng.random() < faint else (10, 80)
            contrast = rng.uniform(*limits) * rng.choice([-1, 1])
        else:
            continue
        edge = rng.uniform(0.4, 1.5)
        for index in range(slices):
            reach = radius * (1 if index == slices // 2 else rng.uniform(0.0, 1.0))
            added[index] += contrast / (1 + np.exp((distance - reach) / edge))
    return torch.from_numpy(added)


def scan_noise_hu(array: NDArray, in_plane_mm: tuple[float, float]) -> float:
    """Noise in all soft tissue, HU: median over up to five slices, blind."""
    # Not spread_evenly, which rounds: it would choose other slices than those whose noise sorted
    # the scans of the shipped weights.
    chosen = array[np.linspace(0, len(array) - 1, min(5, len(array))).astype(int)]
    levels = [
        measure_noise(one.astype(np.float32), spacing_mm=in_plane_mm).level_hu for one in chosen
    ]
    return float(np.nanmedian(levels)) / _QUIET_SHARE if np.isfinite(levels).any() else float("nan")
