"""One slice as the model judged it, with everything that a gradient needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from isocenter.image.ct_noise import NoiseMeasure
from isocenter.modelpack.ct_enhance.mean import MeanAndSpread


@dataclass(frozen=True, kw_only=True)
class JudgedSlice:
    """One slice as the model sees it, all (1, 1, H, W) HU.

    Attributes:
        middle: the slice as it came.
        mean, lower, upper: posterior mean and calibrated interval.
        raw: the same before calibration.
    """

    middle: Tensor
    mean: Tensor
    lower: Tensor
    upper: Tensor
    raw: MeanAndSpread


class JudgesSlices(Protocol):
    """What enhancing images in memory asks of a model."""

    context: int

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def max_steps(self) -> int:
        """Most steps of the bridge."""
        ...

    def judge(
        self,
        window_BCHW: Tensor,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
    ) -> JudgedSlice: ...

    def draw(self, judged: JudgedSlice, white: Tensor, *, steps: int) -> Tensor: ...

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float: ...
