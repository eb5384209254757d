"""Reconstruction kernels: how the ramp filter ends, from smooth to sharper than any scanner's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The window that multiplies the ramp.

    ``response(f) = (1 + boost * u * exp(1 - u)) * 2 ** -((f / half_frequency_per_mm) ** order)``
    with ``u = (f / boost_frequency_per_mm) ** 2``: one at zero frequency, so HU are kept.

    Attributes:
        half_frequency_per_mm: where the roll-off has fallen to one half.
        order: steepness of the roll-off; 2 is a Gaussian, large values a cut-off.
        boost: edge enhancement, 0 for none; negative values sink the middle frequencies.
        boost_frequency_per_mm: where the enhancement is largest.
    """

    half_frequency_per_mm: float
    order: float = 2.0
    boost: float = 0.0
    boost_frequency_per_mm: float = 0.4

    def __post_init__(self) -> None:
        positive = (self.half_frequency_per_mm, self.order, self.boost_frequency_per_mm)
        if not all(value > 0 for value in positive) or not self.boost > -1:
            raise ValueError(
                "frequencies and order must be positive and boost above -1, got "
                f"{self}; see the kernels named in KERNELS for working values"
            )

    def response(self, frequency_per_mm: Tensor) -> Tensor:
        """Gain at each frequency, measured at the isocenter."""
        u = (frequency_per_mm / self.boost_frequency_per_mm) ** 2
        fall = (frequency_per_mm.abs() / self.half_frequency_per_mm) ** self.order
        return (1 + self.boost * u * torch.exp(1 - u)) * torch.exp2(-fall)

    def filter(
        self, weighted: Tensor, *, channel_angle_rad: float, pitch_at_isocenter_mm: float
    ) -> Tensor:
        """Convolve the last axis with the equiangular ramp and this window.

        Args:
            weighted: line integrals weighted by the cosine of the fan angle, channels last.
            channel_angle_rad: between neighbouring channels, seen from the source.
            pitch_at_isocenter_mm: between neighbouring rays where they pass the isocenter.

        Source: Kak & Slaney, 1988, equations 3.4.1 (63)-(65).
        """
        num = weighted.shape[-1]
        size = 1 << (2 * num - 1).bit_length()
        ramp = _equiangular_ramp(size, channel_angle_rad).to(weighted)
        spectrum = torch.fft.rfft(ramp).real
        frequency = torch.fft.rfftfreq(size, pitch_at_isocenter_mm).to(weighted)
        gain = spectrum * self.response(frequency) * channel_angle_rad
        filtered = torch.fft.irfft(torch.fft.rfft(weighted, n=size) * gain, n=size)
        return filtered[..., :num]


def _equiangular_ramp(size: int, channel_angle_rad: float) -> Tensor:
    """Samples of the ramp's convolution kernel, wrapped around zero, shape (size,)."""
    index = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    odd = index.remainder(2) == 1
    ramp = torch.zeros(size, dtype=torch.float64)
    # beyond a quarter turn the sine would fold back; no channel pair lies that far apart
    angle = (index[odd] * channel_angle_rad).clamp(-math.pi / 2, math.pi / 2)
    ramp[odd] = -1 / (2 * math.pi**2 * torch.sin(angle) ** 2)
    ramp[0] = 1 / (8 * channel_angle_rad**2)
    return ramp


RAMP = Kernel(half_frequency_per_mm=1e6)
"""No window: the sharpest image that the detector's sampling allows."""

KERNELS: dict[str, Kernel] = {
    "B10f": Kernel(half_frequency_per_mm=0.24, order=2.0),
    "B20f": Kernel(half_frequency_per_mm=0.30, order=2.0),
    "B30f": Kernel(
        half_frequency_per_mm=0.392, order=3.0, boost=-0.042, boost_frequency_per_mm=0.352
    ),
    "B40f": Kernel(half_frequency_per_mm=0.40, order=2.5),
    "D45f": Kernel(
        half_frequency_per_mm=0.785, order=5.77, boost=-0.05, boost_frequency_per_mm=0.503
    ),
    "B50f": Kernel(half_frequency_per_mm=0.55, order=3.0, boost=0.4, boost_frequency_per_mm=0.4),
    "B60f": Kernel(half_frequency_per_mm=0.65, order=4.0, boost=0.8, boost_frequency_per_mm=0.5),
    "B70f": Kernel(half_frequency_per_mm=0.80, order=5.0, boost=1.2, boost_frequency_per_mm=0.6),
    "SOFT": Kernel(half_frequency_per_mm=0.33, order=2.2),
    "STANDARD": Kernel(half_frequency_per_mm=0.40, order=2.5, boost=0.1),
    "LUNG": Kernel(half_frequency_per_mm=0.75, order=5.0, boost=1.0, boost_frequency_per_mm=0.55),
    "BONE": Kernel(half_frequency_per_mm=0.70, order=4.0, boost=0.7, boost_frequency_per_mm=0.5),
}
"""Scanners' kernels by name. See docs/ct_dose.md for which are measured and which are estimates."""


def kernel_named(name: str) -> Kernel:
    """One of ``KERNELS``, whatever its case."""
    known = {each.lower(): kernel for each, kernel in KERNELS.items()}
    try:
        return known[name.lower()]
    except KeyError:
        raise ValueError(
            f"kernel {name!r} is unknown; known are {', '.join(KERNELS)}, or pass a Kernel"
        ) from None
