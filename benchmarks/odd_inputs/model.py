"""A model that costs nothing and takes every scan, so that inputs are judged and not weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.modelpack.ct_enhance.contract import AcceptedScans, Estimate

_ANY = (0.0, 1e6)


class StandIn:
    """Averages a slice with its neighbors."""

    name = "stand-in"
    version = "1"
    weights_sha256 = "0" * 64
    context = 1
    measured = None
    notes: tuple[str, ...] = ()
    accepted = AcceptedScans(
        pixel_spacing_mm=(0.4, 5.0),
        field_of_view_mm=(200.0, 700.0),
        slice_thickness_mm=(0.3, 10.0),
        noise_hu=_ANY,
        noise_mean_frequency_per_mm=_ANY,
    )

    def __init__(self) -> None:
        self.card: dict[str, Any] = {
            "name": self.name,
            "intended_use": ["Checks of odd inputs."],
            "not_for": ["People."],
            "coverage": "None was measured.",
        }

    def guess_dose_fraction(self, noise: Any, *, slice_thickness_mm: float | None = None) -> float:
        return 0.5

    def dose_range(
        self, noise: Any, *, slice_thickness_mm: float | None = None
    ) -> tuple[float, float]:
        return 0.2, 1.0

    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
        lesion_contrast: float = 0.5,
    ) -> Estimate:
        middle = window_hu[len(window_hu) // 2]
        mean = (0.8 * middle + 0.2 * window_hu.mean(axis=0)).astype(np.float32)
        spread = np.float32(5.0)
        return Estimate(mean_hu=mean, lower_hu=mean - spread, upper_hu=mean + spread)

    def sample(
        self,
        window_hu: NDArray,
        estimate: Estimate,
        *,
        spacing_mm: tuple[float, float],
        steps: int,
        seed: int,
    ) -> NDArray:
        return estimate.mean_hu
