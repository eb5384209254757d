"""What a run saw of its own result, collected while the slices stream by.

Everything here compares the result with its own input. It shows whether numbers were kept and how
the noise changed; it cannot show that no structure was lost or added, as there is no better scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isocenter.core.spread import spread_evenly
from isocenter.core.volume import Geometry
from isocenter.evaluation.ct.hu import RegionChange, RegionChanges
from isocenter.evaluation.ct.quiet_noise import QuietNoise
from isocenter.evaluation.ct.uniform_noise import UniformNoise, UniformNoiseMeter
from isocenter.evaluation.ct.windows import find_body
from isocenter.evaluation.measure import Pair
from isocenter.tasks.ct_enhance.enhanced_slice import EnhancedSlice
from isocenter.tasks.ct_enhance.places import ChangedPlace, largest_change
from isocenter.tasks.ct_enhance.viewing import ViewKeeper, Views
from isocenter.tasks.task import SliceResult

MOST_OBSERVED_SLICES = 24
MOST_SHOWN_SLICES = 12
FEWEST_SHOWN_SLICES = 3
# A page of so many pixels has some ten megabytes.
MOST_SHOWN_PIXELS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Everything that the report says about one result.

    Attributes:
        num_slices, num_voxels: of the series.
        num_unmeasured: voxels outside the scanner's circle or padding, kept as they were.
        num_clipped: voxels whose new value did not fit the stored range and was clipped to it.
        uniform: noise before and after in slices spread over the series, by the meter of the
            guard, and spectra where they hold noise and no anatomy.
        regions: kinds of even region with enough voxels.
        changed: the largest change of each slice that is shown.
        views: what the viewer shows.
    """

    num_slices: int
    num_voxels: int
    num_unmeasured: int
    num_clipped: int
    uniform: UniformNoise
    regions: tuple[RegionChange, ...]
    changed: tuple[ChangedPlace, ...]
    views: Views

    @property
    def noise(self) -> QuietNoise:
        """By the meter of the guard, in slices spread over the series."""
        return self.uniform.quiet

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
            "regions": {
                each.kind.key: {
                    "num_voxels": each.num_voxels,
                    "before_hu": _plain(each.before_hu),
                    "change_hu": _plain(each.change_hu),
                    "half_width_median_hu": _plain(each.half_width_median_hu),
                    "half_width_p95_hu": _plain(each.half_width_p95_hu),
                }
                for each in self.regions
            },
        }


def _plain(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def num_shown_slices(geometry: Geometry) -> int:
    """How many slices the viewer gets at most: fewer of large matrices."""
    fitting = MOST_SHOWN_PIXELS // (geometry.shape[1] * geometry.shape[2])
    return min(MOST_SHOWN_SLICES, max(FEWEST_SHOWN_SLICES, fitting))


class Observer:
    """Collects :class:`Observations` slice by slice; its memory hardly grows with the series.

    Args:
        geometry: of the scan.
        body_rows: first and last row of the patient, where known before the first slice.
    """

    def __init__(self, geometry: Geometry, *, body_rows: tuple[int, int] | None = None) -> None:
        self._geometry = geometry
        self._spacing_mm = geometry.spacing_mm[1:]
        observed = spread_evenly(geometry.shape[0], MOST_OBSERVED_SLICES)
        places = spread_evenly(len(observed), num_shown_slices(geometry), with_ends=True)
        self._observed = frozenset(observed)
        self._shown = tuple(observed[place] for place in places)
        self._keeper = ViewKeeper(geometry, self._shown, body_rows=body_rows)
        self._num_voxels = 0
        self._num_unmeasured = 0
        self._noise = UniformNoiseMeter()
        self._regions = RegionChanges()
        self._changed: list[ChangedPlace] = []

    def take(self, result: SliceResult) -> None:
        """Take in one slice; slices come in order."""
        piece = EnhancedSlice.of(result)
        self._num_voxels += piece.valid.size
        self._num_unmeasured += int(piece.valid.size - piece.valid.sum())
        body = None
        if piece.index in self._observed:
            pair = self._pair(piece)
            body = pair.body
            self._noise.add(pair)
            self._regions.add(pair)
        if body is not None and piece.index in self._shown:
            changed = largest_change(piece, body, spacing_mm=self._spacing_mm)
            self._changed += [changed] if changed else []
        self._keeper.take(piece, body)

    def _pair(self, piece: EnhancedSlice) -> Pair:
        return Pair(
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

    def observations(self, *, num_clipped: int = 0) -> Observations:
        """What was seen so far; how many voxels were clipped, the writer knows."""
        return Observations(
            num_slices=self._geometry.shape[0],
            num_voxels=self._num_voxels,
            num_unmeasured=self._num_unmeasured,
            num_clipped=num_clipped,
            uniform=self._noise.result(),
            regions=self._regions.result(),
            changed=tuple(self._changed),
            views=self._keeper.views(),
        )
