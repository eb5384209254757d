"""Return a share of the input where faint lesions have their contrast.

A network fitted to the least error halves the contrast of small faint lesions: where noise and
lesion look alike, the likelier answer is no lesion. But they do not look alike at all frequencies.
A lesion of 6 mm and more has its contrast below 0.12 cycles per mm, where the ramp of
reconstruction has taken most of the noise away. So there a share of what was removed is given
back, by a linear filter that treats every lesion alike, seen in training or not.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from isocenter.image.spectrum import filtered, frequency_per_mm, low_pass_gain

BAND_END_PER_MM = 0.12
_MARGIN = 16


def lesion_band(removed_BCHW: Tensor, *, spacing_mm: tuple[float, float]) -> Tensor:
    """The part of what was removed that lies in the band of lesions, (B, C, H, W) HU.

    Args:
        removed_BCHW: input minus estimate, HU.
        spacing_mm: row and column spacing.
    """
    rows, columns = removed_BCHW.shape[-2:]
    margin = min(_MARGIN, rows - 1, columns - 1)
    # Mirrored at the edges, which the filter would otherwise join to the opposite ones.
    around = functional.pad(removed_BCHW, (margin,) * 4, mode="reflect")
    frequency = frequency_per_mm(around.shape, spacing_mm, device=around.device)
    low = filtered(around, low_pass_gain(frequency, BAND_END_PER_MM))
    return low[..., margin : margin + rows, margin : margin + columns]


def give_back(
    mean_BCHW: Tensor,
    removed_BCHW: Tensor,
    *,
    share: float,
    dose_fraction: float,
    spacing_mm: tuple[float, float],
) -> Tensor:
    """The mean with a share of what it lacks of the input in the band of lesions, HU.

    Args:
        mean_BCHW: posterior mean, which holds ``dose_fraction`` of what was removed already.
        removed_BCHW: input minus anatomy, HU.
        share: from 0, the mean as it is, to 1, the input as it is in the band.
        dose_fraction: of the input over the standard dose.
        spacing_mm: row and column spacing.
    """
    if not share:
        return mean_BCHW
    band = lesion_band(removed_BCHW, spacing_mm=spacing_mm)
    return mean_BCHW + (1 - dose_fraction) * share * band


def noise_share(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, float],
    *,
    dose_fraction: float,
    lesion_contrast: float,
) -> Tensor:
    """How much of the input's noise amplitude the mean shows, (H, W / 2 + 1).

    Above the band the dose fraction, the standard dose's own; in it up to all of it.
    """
    band = low_pass_gain(frequency_per_mm(shape, spacing_mm), BAND_END_PER_MM)
    return dose_fraction + (1 - dose_fraction) * lesion_contrast * band
