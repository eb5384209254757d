"""HU of each tissue: the mean of test minus reference where the reference shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.bootstrap import Interval, bootstrap_mean
from isocenter.evaluation.ct.windows import find_body
from isocenter.evaluation.measure import Pair, array_pairs, measure
from isocenter.image.ct_regions import REGION_KINDS, RegionKind, region_masks
from isocenter.image.ct_tissue import body_mask, tissue_masks

# Tissue is chosen on a coarse image of the reference, holes are closed and specks opened, so that
# the reference's own noise has little say in which pixels are judged. Chosen on a fine image, a
# perfect result would show a bias: pixels that noise lifted out of the range would be missing.
COARSE_MM = 2.6
HOLE_RADIUS_MM = 2.0
SOLID_RADIUS_MM = 3.0
FEWEST_VOXELS = 500
_BIN_HU = 0.25
_NUM_BINS = 4000


@dataclass(frozen=True, kw_only=True)
class SliceBias:
    """Sums over one tissue in one slice."""

    tissue: str
    num_voxels: int
    mean_difference_hu: float
    mean_reference_hu: float


@dataclass(frozen=True, kw_only=True)
class TissueBias:
    """HU bias of one tissue.

    Attributes:
        tissue: name of a range of HU, see :mod:`isocenter.image.ct_tissue`.
        reference_hu: mean of the reference there.
        interval_hu: mean of test minus reference with its bootstrap interval.
        num_voxels: how many were averaged.
    """

    tissue: str
    reference_hu: float
    interval_hu: Interval
    num_voxels: int

    @property
    def bias_hu(self) -> float:
        """Mean of test minus reference."""
        return self.interval_hu.mean


def solid_tissue_masks(
    reference_hu: NDArray, *, spacing_mm: tuple[float, float], body: NDArray | None = None
) -> dict[str, NDArray]:
    """Tissue masks of one slice, without holes below 4 mm and parts thinner than 6 mm."""
    inside = body_mask(reference_hu) if body is None else body
    sigma = [COARSE_MM / step for step in spacing_mm]
    coarse_hu = ndimage.gaussian_filter(reference_hu.astype(np.float64), sigma)
    masks = tissue_masks(coarse_hu, spacing_mm=spacing_mm, body=inside)
    hole, solid = (_disc(spacing_mm, radius) for radius in (HOLE_RADIUS_MM, SOLID_RADIUS_MM))
    return {
        name: ndimage.binary_opening(ndimage.binary_closing(mask, hole) & inside, solid)
        for name, mask in masks.items()
    }


def slice_hu_bias(
    reference_hu: NDArray,
    test_hu: NDArray,
    *,
    spacing_mm: tuple[float, float],
    body: NDArray | None = None,
) -> list[SliceBias]:
    """Mean difference of each tissue found in one (row, column) slice of the reference."""
    masks = solid_tissue_masks(reference_hu, spacing_mm=spacing_mm, body=body)
    difference_hu = test_hu.astype(np.float64) - reference_hu
    return [
        SliceBias(
            tissue=tissue,
            num_voxels=int(mask.sum()),
            mean_difference_hu=float(difference_hu[mask].mean()),
            mean_reference_hu=float(reference_hu[mask].mean(dtype=np.float64)),
        )
        for tissue, mask in masks.items()
        if mask.any()
    ]


def pool_hu_bias(
    parts: Iterable[SliceBias], *, patients: Sequence[str | int] | None = None, seed: int = 0
) -> dict[str, TissueBias]:
    """Bias of each tissue over slices, or over patients.

    Args:
        patients: the patient of each part. Given, the interval is one over patients.

    Returns:
        Tissues with at least 500 voxels, weighted by voxels.
    """
    parts = list(parts)
    names = dict.fromkeys(part.tissue for part in parts)
    pooled = {}
    for tissue in names:
        chosen = [index for index, part in enumerate(parts) if part.tissue == tissue]
        counts = [parts[index].num_voxels for index in chosen]
        if sum(counts) < FEWEST_VOXELS:
            continue
        pooled[tissue] = TissueBias(
            tissue=tissue,
            reference_hu=float(
                np.average([parts[index].mean_reference_hu for index in chosen], weights=counts)
            ),
            interval_hu=bootstrap_mean(
                [parts[index].mean_difference_hu for index in chosen],
                weights=counts,
                patients=None if patients is None else [patients[index] for index in chosen],
                seed=seed,
            ),
            num_voxels=sum(counts),
        )
    return pooled


class HuBias:
    """HU bias of each tissue over the pairs that it is given.

    Args:
        seed: of the bootstrap over slices.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self.parts: list[SliceBias] = []

    def add(self, pair: Pair, /) -> None:
        """Take in one pair."""
        self.parts += slice_hu_bias(
            pair.reference, pair.test, spacing_mm=pair.spacing_mm, body=pair.body
        )

    def result(self) -> dict[str, TissueBias]:
        """Bias of each tissue that was found, with a 95 % interval over slices."""
        return pool_hu_bias(self.parts, seed=self._seed)


def hu_bias(
    reference_hu: NDArray,
    test_hu: NDArray,
    *,
    spacing_mm: tuple[float, float, float],
    mask: NDArray | None = None,
    seed: int = 0,
) -> dict[str, TissueBias]:
    """HU bias of each tissue in a volume (slice, row, column) of one patient.

    Args:
        mask: the body, same shape; measured on the reference where absent.

    Returns:
        Bias of each tissue that was found, with a 95 % interval over slices.
    """
    meter = HuBias(seed=seed)
    measure(
        array_pairs(reference_hu, test_hu, spacing_mm=spacing_mm, mask=mask, find_body=find_body),
        [meter],
    )
    return meter.result()


@dataclass(frozen=True, kw_only=True)
class RegionChange:
    """What became of the even regions of one kind.

    Attributes:
        kind: which, see :mod:`isocenter.image.ct_regions`.
        num_voxels: how many were averaged.
        before_hu, after_hu: mean value of reference and test.
        half_width_median_hu, half_width_p95_hu: of the half of the stated interval; NaN where none
            was stated.
        slices_hu: mean change of each slice that holds enough, by its index.
    """

    kind: RegionKind
    num_voxels: int
    before_hu: float
    after_hu: float
    half_width_median_hu: float
    half_width_p95_hu: float
    slices_hu: Mapping[int, float]

    @property
    def change_hu(self) -> float:
        """Mean of after minus before."""
        return self.after_hu - self.before_hu


class RegionChanges:
    """Mean HU of even regions before and after, and how wide the stated interval is there."""

    def __init__(self) -> None:
        self._sums = {kind.key: _RegionSums(kind) for kind in REGION_KINDS}

    def add(self, pair: Pair, /) -> None:
        """Take in one pair; its guide decides which region is where."""
        masks = region_masks(pair.guiding, spacing_mm=pair.spacing_mm, body=pair.body)
        for key, mask in masks.items():
            self._sums[key].add(pair, mask)

    def result(self) -> tuple[RegionChange, ...]:
        """Kinds with at least 500 voxels."""
        return tuple(
            sums.change() for sums in self._sums.values() if sums.num_voxels >= FEWEST_VOXELS
        )


class _RegionSums:
    """Running sums of one kind, and a histogram of half-widths."""

    def __init__(self, kind: RegionKind) -> None:
        self.kind = kind
        self.num_voxels = 0
        self._before = 0.0
        self._after = 0.0
        self._slices: dict[int, float] = {}
        self._half_widths = np.zeros(_NUM_BINS, np.int64)

    def add(self, pair: Pair, mask: NDArray) -> None:
        num_voxels = int(mask.sum())
        before = float(pair.reference[mask].sum(dtype=np.float64))
        after = float(pair.test[mask].sum(dtype=np.float64))
        self.num_voxels += num_voxels
        self._before += before
        self._after += after
        if num_voxels >= FEWEST_VOXELS:
            self._slices[pair.index] = (after - before) / num_voxels
        if pair.interval is not None:
            lower, upper = pair.interval
            half_width = (upper[mask] - lower[mask]) / 2
            bins = np.clip(half_width / _BIN_HU, 0, _NUM_BINS - 1).astype(int)
            self._half_widths += np.bincount(bins, minlength=_NUM_BINS)

    def change(self) -> RegionChange:
        return RegionChange(
            kind=self.kind,
            num_voxels=self.num_voxels,
            before_hu=self._before / self.num_voxels,
            after_hu=self._after / self.num_voxels,
            half_width_median_hu=self._quantile(0.5),
            half_width_p95_hu=self._quantile(0.95),
            slices_hu=dict(self._slices),
        )

    def _quantile(self, share: float) -> float:
        seen = self._half_widths.cumsum()
        return float(np.searchsorted(seen, share * seen[-1])) * _BIN_HU if seen[-1] else math.nan


def _disc(spacing_mm: tuple[float, float], radius_mm: float) -> NDArray:
    rows, columns = (math.floor(radius_mm / step) for step in spacing_mm)
    row = np.arange(-rows, rows + 1)[:, None] * spacing_mm[0]
    column = np.arange(-columns, columns + 1)[None, :] * spacing_mm[1]
    return np.hypot(row, column) <= radius_mm
