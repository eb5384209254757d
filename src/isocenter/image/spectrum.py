"""Images and noise over spatial frequency, as tensors.

Axes: B batch, C channel, H row, W column.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frequency_per_mm(
    shape: torch.Size | tuple[int, ...],
    spacing_mm: tuple[float, float],
    *,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Radial frequency of each coefficient of a real FFT, (H, W / 2 + 1) cycles per mm.

    Args:
        shape: of the images; the last two numbers count.
        spacing_mm: row and column spacing; (1, 1) gives cycles per pixel.
        device: of the result.
    """
    row_mm, column_mm = spacing_mm
    rows = torch.fft.fftfreq(shape[-2], row_mm, device=device)[:, None]
    columns = torch.fft.rfftfreq(shape[-1], column_mm, device=device)[None]
    return torch.hypot(rows, columns)


def filtered(images_BCHW: Tensor, gain: Tensor) -> Tensor:
    """Multiply each coefficient of a real FFT by its gain, (..., H, W / 2 + 1)."""
    rows, columns = images_BCHW.shape[-2:]
    return torch.fft.irfft2(torch.fft.rfft2(images_BCHW) * gain, s=(rows, columns))


def low_pass_gain(frequency: Tensor, end: float) -> Tensor:
    """Butterworth's gain of third order: one half of the amplitude at the end of the band."""
    return 1 / (1 + (frequency / end) ** 6)


def radial_power(images_BCHW: Tensor, bins: Tensor, num_bins: int) -> Tensor:
    """Mean power of the coefficients in each bin, (B, num_bins), over all channels.

    Args:
        images_BCHW: without their mean, and zero where they are not to count.
        bins: (H * (W / 2 + 1),) the bin of each coefficient of a real FFT.
        num_bins: how many there are.
    """
    power = torch.fft.rfft2(images_BCHW).abs().square().sum(dim=1).flatten(1)
    total = power.new_zeros(len(power), num_bins).index_add(1, bins, power)
    count = power.new_zeros(num_bins).index_add(0, bins, torch.ones_like(power[0]))
    return total / count.clamp_min(1)
