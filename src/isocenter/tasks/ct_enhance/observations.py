"""What a run saw of its own result, collected while the slices stream by.

Everything here compares the result with its own input. It shows whether numbers were kept and how
the noise changed; it cannot show that no structure was lost or added, as there is no better scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.spread import spread_evenly
from isocenter.evaluation.continuity import Continuity, ContinuityMeter
from isocenter.evaluation.ct.hu import TissueChange, TissueChanges
from isocenter.evaluation.ct.noise_power import NoiseMeter, NoisePowerSpectrum
from isocenter.evaluation.ct.quiet_noise import QuietNoise, QuietNoiseMeter
from isocenter.evaluation.ct.windows import find_body
from isocenter.evaluation.measure import OnSlices, Pair
from isocenter.tasks.ct_enhance.outputs import ENHANCED, UNCERTAINTY
from isocenter.tasks.task import SliceResult

MOST_OBSERVED_SLICES = 24
NUM_PICTURES = 3


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
class Observations:
    """Everything that the report says about one result.

    Attributes:
        num_slices, num_voxels: of the series.
        num_unmeasured: voxels outside the scanner's circle or padding, kept as they were.
        num_clipped: voxels whose new value did not fit the stored range and was clipped to it.
        noise: by the meter of the guard, in slices spread over the series.
        tissues: ranges with enough voxels.
        spectrum_before, spectrum_after: of the same even regions, for the shape of the curves; they
            hold fine anatomy too, so no level is taken from them. None where none was found.
        continuity: difference between neighbouring slices, before as reference and after as test.
        pictures: slices to show, spread over the series.
    """

    num_slices: int
    num_voxels: int
    num_unmeasured: int
    num_clipped: int
    noise: QuietNoise
    tissues: tuple[TissueChange, ...]
    spectrum_before: NoisePowerSpectrum | None
    spectrum_after: NoisePowerSpectrum | None
    continuity: Continuity | None
    pictures: tuple[EnhancedSlice, ...]

    @property
    def noise_before_hu(self) -> float:
        """Median over the observed slices; NaN where it could not be measured."""
        return self.noise.reference.level_hu

    @property
    def noise_after_hu(self) -> float:
        """Median over the observed slices; NaN where it could not be measured."""
        return self.noise.test.level_hu

    def as_dict(self) -> dict[str, Any]:
        """Plain finite numbers, ready for JSON; pictures and curves are left out."""
        return {
            "num_slices": self.num_slices,
            "num_voxels": self.num_voxels,
            "num_unmeasured": self.num_unmeasured,
            "num_clipped": self.num_clipped,
            "noise_before_hu": _plain(self.noise_before_hu),
            "noise_after_hu": _plain(self.noise_after_hu),
            "noise_mean_frequency_per_mm": {
                "before": _plain(self.noise.reference.mean_frequency_per_mm),
                "after": _plain(self.noise.test.mean_frequency_per_mm),
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


def _plain(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


class Observer:
    """Collects :class:`Observations` slice by slice; its memory does not grow with the series."""

    def __init__(self, *, num_slices: int, spacing_mm: tuple[float, float]) -> None:
        self._num_slices = num_slices
        self._spacing_mm = spacing_mm
        observed = frozenset(spread_evenly(num_slices, MOST_OBSERVED_SLICES))
        self._shown = frozenset(spread_evenly(num_slices, NUM_PICTURES))
        self._num_voxels = 0
        self._num_unmeasured = 0
        self._continuity = ContinuityMeter()
        self._noise = QuietNoiseMeter()
        self._spectra = NoiseMeter()
        self._tissues = TissueChanges()
        self._meters = (
            self._continuity,
            OnSlices(self._noise, observed),
            OnSlices(self._spectra, observed),
            OnSlices(self._tissues, observed),
        )
        self._pictures: list[EnhancedSlice] = []

    def take(self, result: SliceResult) -> None:
        """Take in one slice; slices come in order."""
        piece = EnhancedSlice.of(result)
        self._num_voxels += piece.valid.size
        self._num_unmeasured += int(piece.valid.size - piece.valid.sum())
        pair = Pair(
            index=piece.index,
            reference=piece.before_hu,
            test=piece.image_hu,
            valid=piece.valid,
            body=find_body(piece.before_hu, piece.valid) & piece.valid,
            spacing_mm=self._spacing_mm,
            # Neither image's noise alone decides which voxels are compared.
            guide=(piece.before_hu + piece.image_hu) / 2,
            interval=(-piece.half_width_hu, piece.half_width_hu),
        )
        for meter in self._meters:
            meter.add(pair)
        if piece.index in self._shown:
            self._pictures.append(piece)

    def observations(self, *, num_clipped: int = 0) -> Observations:
        """What was seen so far; how many voxels were clipped, the writer knows."""
        spectra = self._spectra.result()
        return Observations(
            num_slices=self._num_slices,
            num_voxels=self._num_voxels,
            num_unmeasured=self._num_unmeasured,
            num_clipped=num_clipped,
            noise=self._noise.result(),
            tissues=self._tissues.result(),
            spectrum_before=spectra.reference if spectra else None,
            spectrum_after=spectra.test if spectra else None,
            continuity=self._continuity.result(),
            pictures=tuple(self._pictures),
        )
