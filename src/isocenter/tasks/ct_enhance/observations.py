"""What a run saw of its own result, collected while the slices stream by.

Everything here compares the result with its own input. It shows whether numbers were kept and how
the noise changed; it cannot show that no structure was lost or added, as there is no better scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.spread import spread_evenly
from isocenter.evaluation.ct.continuity import (
    Continuity,
    PairDifference,
    pair_difference,
    pool_continuity,
)
from isocenter.evaluation.ct.hu import FEWEST_VOXELS, solid_tissue_masks
from isocenter.evaluation.ct.noise_power import (
    NoisePowerSpectrum,
    region_power,
    slice_regions,
    spectrum_of,
)
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.image.ct_tissue import TISSUES, body_mask
from isocenter.tasks.ct_enhance.task import ENHANCED, UNCERTAINTY
from isocenter.tasks.task import SliceResult

MOST_OBSERVED_SLICES = 24
NUM_PICTURES = 3
_BIN_HU = 0.25
_NUM_BINS = 4000


@dataclass(frozen=True, kw_only=True)
class EnhancedSlice:
    """One slice before and after.

    Attributes:
        index: place in the series.
        before_hu, image_hu: (row, column), as scanned and enhanced; the same where not valid.
        half_width_hu: (row, column), half of the 90 % interval, 0 where not valid.
        valid: (row, column), False where the scanner wrote no measurement.
    """

    index: int
    before_hu: NDArray
    image_hu: NDArray
    half_width_hu: NDArray
    valid: NDArray

    @classmethod
    def of(cls, result: SliceResult) -> EnhancedSlice:
        """What the stream gives, by its names."""
        before = result.before
        assert before is not None  # the stream gives one for every slice
        return cls(
            index=result.index,
            before_hu=before,
            image_hu=result.values[ENHANCED.name],
            half_width_hu=result.values[UNCERTAINTY.name],
            valid=np.ones(before.shape, bool) if result.valid is None else result.valid,
        )


@dataclass(frozen=True, kw_only=True)
class SliceNoise:
    """Noise of one slice before and after."""

    index: int
    before: NoiseMeasure
    after: NoiseMeasure


@dataclass(frozen=True, kw_only=True)
class TissueChange:
    """What became of one range of HU.

    Attributes:
        tissue: name of the range, see :mod:`isocenter.image.ct_tissue`.
        range_hu: its limits.
        num_voxels: how many were averaged.
        before_hu, after_hu: mean value.
        half_width_median_hu, half_width_p95_hu: of the half of the 90 % interval.
    """

    tissue: str
    range_hu: tuple[float, float]
    num_voxels: int
    before_hu: float
    after_hu: float
    half_width_median_hu: float
    half_width_p95_hu: float

    @property
    def change_hu(self) -> float:
        """Mean of after minus before."""
        return self.after_hu - self.before_hu


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Everything that the report says about one result.

    Attributes:
        num_slices, num_voxels: of the series.
        num_unmeasured: voxels outside the scanner's circle or padding, kept as they were.
        num_clipped: voxels whose new value did not fit the stored range and was clipped to it.
        noise: a slice each, spread over the series.
        tissues: ranges with enough voxels.
        spectrum_before, spectrum_after: noise power in the same regions; None where none was found.
        continuity: difference between neighbouring slices, before as reference and after as test.
        pictures: slices to show, spread over the series.
    """

    num_slices: int
    num_voxels: int
    num_unmeasured: int
    num_clipped: int
    noise: tuple[SliceNoise, ...]
    tissues: tuple[TissueChange, ...]
    spectrum_before: NoisePowerSpectrum | None
    spectrum_after: NoisePowerSpectrum | None
    continuity: Continuity | None
    pictures: tuple[EnhancedSlice, ...]

    @property
    def noise_before_hu(self) -> float:
        """Median over the observed slices; not-a-number where it could not be measured."""
        return _finite_median([each.before.level_hu for each in self.noise])

    @property
    def noise_after_hu(self) -> float:
        """Median over the observed slices; not-a-number where it could not be measured."""
        return _finite_median([each.after.level_hu for each in self.noise])

    def as_dict(self) -> dict[str, Any]:
        """Plain finite numbers, ready for JSON; pictures and curves are left out."""
        spectra = {"before": self.spectrum_before, "after": self.spectrum_after}
        return {
            "num_slices": self.num_slices,
            "num_voxels": self.num_voxels,
            "num_unmeasured": self.num_unmeasured,
            "num_clipped": self.num_clipped,
            "noise_before_hu": _plain(self.noise_before_hu),
            "noise_after_hu": _plain(self.noise_after_hu),
            "noise_mean_frequency_per_mm": {
                name: None if spectrum is None else _plain(spectrum.mean_frequency_per_mm)
                for name, spectrum in spectra.items()
            },
            "tissues": {
                each.tissue: {
                    "num_voxels": each.num_voxels,
                    "before_hu": _plain(each.before_hu),
                    "change_hu": _plain(each.change_hu),
                    "half_width_median_hu": _plain(each.half_width_median_hu),
                    "half_width_p95_hu": _plain(each.half_width_p95_hu),
                }
                for each in self.tissues
            },
        }


def _finite_median(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")


def _plain(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


class Observer:
    """Collects :class:`Observations` slice by slice; its memory does not grow with the series."""

    def __init__(self, *, num_slices: int, spacing_mm: tuple[float, float]) -> None:
        self._num_slices = num_slices
        self._spacing_mm = spacing_mm
        self._observed = frozenset(spread_evenly(num_slices, MOST_OBSERVED_SLICES))
        self._shown = frozenset(spread_evenly(num_slices, NUM_PICTURES))
        self._num_voxels = 0
        self._num_unmeasured = 0
        self._noise: list[SliceNoise] = []
        self._tissues = {name: _TissueSums() for name in TISSUES}
        self._powers: list[tuple[NDArray, NDArray]] = []
        self._pairs: list[PairDifference] = []
        self._previous: tuple[NDArray, NDArray, NDArray] | None = None
        self._pictures: list[EnhancedSlice] = []

    def take(self, result: SliceResult) -> None:
        """Take in one slice; slices come in order."""
        piece = EnhancedSlice.of(result)
        self._num_voxels += piece.valid.size
        self._num_unmeasured += int(piece.valid.size - piece.valid.sum())
        body = body_mask(piece.before_hu, valid=piece.valid) & piece.valid
        self._compare_with_previous(piece, body)
        if piece.index in self._observed:
            self._observe(piece, body)
        if piece.index in self._shown:
            self._pictures.append(piece)

    def _compare_with_previous(self, piece: EnhancedSlice, body: NDArray) -> None:
        if self._previous is not None:
            before, after, body_before = self._previous
            self._pairs.append(
                pair_difference(
                    (before, piece.before_hu), (after, piece.image_hu), masks=(body_before, body)
                )
            )
        self._previous = (piece.before_hu, piece.image_hu, body)

    def _observe(self, piece: EnhancedSlice, body: NDArray) -> None:
        before, after = (
            measure_noise(image, spacing_mm=self._spacing_mm, valid=piece.valid)
            for image in (piece.before_hu, piece.image_hu)
        )
        self._noise.append(SliceNoise(index=piece.index, before=before, after=after))
        # Neither image's noise alone decides which voxels are compared.
        between = (piece.before_hu + piece.image_hu) / 2
        for region in slice_regions(between, spacing_mm=self._spacing_mm, body=body):
            self._powers.append(
                (
                    region_power(piece.before_hu, region, spacing_mm=self._spacing_mm),
                    region_power(piece.image_hu, region, spacing_mm=self._spacing_mm),
                )
            )
        masks = solid_tissue_masks(between, spacing_mm=self._spacing_mm, body=body)
        for name, mask in masks.items():
            self._tissues[name].add(piece, mask)

    def observations(self, *, num_clipped: int = 0) -> Observations:
        """What was seen so far; how many voxels were clipped, the writer knows."""
        before, after = (
            spectrum_of((pair[side] for pair in self._powers), spacing_mm=self._spacing_mm)
            for side in (0, 1)
        )
        return Observations(
            num_slices=self._num_slices,
            num_voxels=self._num_voxels,
            num_unmeasured=self._num_unmeasured,
            num_clipped=num_clipped,
            noise=tuple(self._noise),
            tissues=tuple(self._tissue_changes()),
            spectrum_before=before,
            spectrum_after=after,
            continuity=pool_continuity(self._pairs),
            pictures=tuple(self._pictures),
        )

    def _tissue_changes(self) -> Iterator[TissueChange]:
        for name, sums in self._tissues.items():
            if sums.num_voxels >= FEWEST_VOXELS:
                yield sums.change(name)


class _TissueSums:
    """Running sums and a histogram of one tissue."""

    def __init__(self) -> None:
        self.num_voxels = 0
        self._before = 0.0
        self._after = 0.0
        self._half_widths = np.zeros(_NUM_BINS, np.int64)

    def add(self, piece: EnhancedSlice, mask: NDArray) -> None:
        self.num_voxels += int(mask.sum())
        self._before += float(piece.before_hu[mask].sum(dtype=np.float64))
        self._after += float(piece.image_hu[mask].sum(dtype=np.float64))
        bins = np.clip(piece.half_width_hu[mask] / _BIN_HU, 0, _NUM_BINS - 1).astype(int)
        self._half_widths += np.bincount(bins, minlength=_NUM_BINS)

    def change(self, name: str) -> TissueChange:
        return TissueChange(
            tissue=name,
            range_hu=TISSUES[name],
            num_voxels=self.num_voxels,
            before_hu=self._before / self.num_voxels,
            after_hu=self._after / self.num_voxels,
            half_width_median_hu=self._quantile(0.5),
            half_width_p95_hu=self._quantile(0.95),
        )

    def _quantile(self, share: float) -> float:
        reached = np.searchsorted(self._half_widths.cumsum(), share * self.num_voxels)
        return float(reached) * _BIN_HU
