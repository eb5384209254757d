"""One slice as the model judged it, with everything that a gradient needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from isocenter.image.ct_noise import NoiseMeasure
from isocenter.modelpack.ct_enhance.contract import LESION_CONTRAST
from isocenter.modelpack.ct_enhance.mean import MeanAndSpread


@dataclass(frozen=True, kw_only=True)
class JudgedSlice:
    """One slice as the model sees it; images are (1, 1, H, W) HU.

    Attributes:
        middle: the slice as it came.
        mean, lower, upper: posterior mean, with the contrast of lesions given back, and calibrated
            interval.
        raw: what the network said.
        spacing_mm: row and column spacing.
        dose_fraction, lesion_contrast: with which it was judged.
        noise: measured in the slice.
    """

    middle: Tensor
    mean: Tensor
    lower: Tensor
    upper: Tensor
    raw: MeanAndSpread
    spacing_mm: tuple[float, float]
    dose_fraction: float
    lesion_contrast: float
    noise: NoiseMeasure


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
        lesion_contrast: float = LESION_CONTRAST,
    ) -> JudgedSlice: ...

    def draw(self, judged: JudgedSlice, white: Tensor, *, steps: int) -> Tensor: ...

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float: ...
