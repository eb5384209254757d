"""The images of a diffusion study, one of each b-value, with head and noise: what the fit takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from isocenter.core.volume import Geometry, SliceSource
from isocenter.image.diffusion_lesion import head_mask
from isocenter.image.mr_noise import tissue_noise_sd
from isocenter.physics.diffusion_mr import AdcFit, fit_adc, trace_weighted

# Up to here the mean of several images is that of repetitions, not of directions.
UNWEIGHTED_S_PER_MM2 = 20.0


class WeightedSource(SliceSource, Protocol):
    """A stack of one b-value and direction, such as
    :class:`isocenter.dicom.reading.diffusion_study.DiffusionStack`."""

    @property
    def b_value_s_per_mm2(self) -> float: ...
    @property
    def is_trace(self) -> bool: ...
    @property
    def direction(self) -> tuple[float, ...] | None: ...


@dataclass(frozen=True, kw_only=True)
class DiffusionImages:
    """One image a b-value.

    Attributes:
        b_values_s_per_mm2: rising.
        signals: (b-value, slice, row, column) float32; of several directions their geometric mean.
        valid: (slice, row, column), False where the scanner wrote no measurement.
        head: same shape, where the head is in the image of the lowest b-value.
        noise_sd: of each b-value, 0 where it could not be told.
        geometry: of the slices.
    """

    b_values_s_per_mm2: tuple[float, ...]
    signals: NDArray
    valid: NDArray
    head: NDArray
    noise_sd: tuple[float, ...]
    geometry: Geometry

    @property
    def weighted(self) -> NDArray:
        """Of the highest b-value, (slice, row, column)."""
        highest: NDArray = self.signals[-1]
        return highest

    def fit(self, index: int) -> AdcFit:
        """The fit of one slice; nothing is measured where the scanner says so."""
        signals = np.where(self.valid[index], self.signals[:, index], 0.0)
        return fit_adc(signals, self.b_values_s_per_mm2, noise_sd=self.noise_sd)


def by_b_value(scans: Mapping[str, SliceSource]) -> dict[float, list[WeightedSource]]:
    """The stacks of each b-value, by rising b-value."""
    groups: dict[float, list[WeightedSource]] = {}
    for scan in scans.values():
        weighted = cast(WeightedSource, scan)  # as the task's opener gives them
        groups.setdefault(weighted.b_value_s_per_mm2, []).append(weighted)
    return dict(sorted(groups.items()))


def one_a_b_value(scans: Mapping[str, SliceSource]) -> DiffusionImages:
    """Read all stacks and make one image of each b-value.

    Raises:
        UnreadableInput: the pixels of a slice are damaged.
    """
    groups = by_b_value(scans)
    geometry = next(iter(scans.values())).geometry
    signals = np.zeros((len(groups), *geometry.shape), np.float32)
    valid = np.ones(geometry.shape, bool)
    for number, (b_value, stacks) in enumerate(groups.items()):
        for index in range(geometry.shape[0]):
            signals[number, index] = _combined([one.values(index) for one in stacks], b_value)
            for one in stacks:
                valid[index] &= one.valid(index)
    head = head_mask(np.where(valid, signals[0], 0.0))
    return DiffusionImages(
        b_values_s_per_mm2=tuple(groups),
        signals=signals,
        valid=valid,
        head=head,
        noise_sd=tuple(tissue_noise_sd(one, head) for one in signals),
        geometry=geometry,
    )


def _combined(images: Sequence[NDArray], b_value: float) -> NDArray:
    if b_value <= UNWEIGHTED_S_PER_MM2:
        return np.maximum(np.mean(images, axis=0), 0.0)
    return trace_weighted(np.stack(images))
