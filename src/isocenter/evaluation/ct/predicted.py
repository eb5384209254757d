"""d' predicted from noise power and sharpness, without having seen a lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.ct.edges import Sharpness
from isocenter.evaluation.ct.noise_power import NoiseComparison
from isocenter.evaluation.lesions.lesions import LESION_KINDS, LesionKind
from isocenter.evaluation.lesions.observer import prewhitened_detectability

BLUR_CONTROL_MM = 0.7
# The edge of lower contrast is nearer to a lesion, if it was measured this well.
_LARGEST_F50_RATIO_ERROR = 0.05
_EDGES_FOR_LESIONS = ("fat to soft tissue", "air or lung to soft tissue")


@dataclass(frozen=True, kw_only=True)
class PredictedDetectability:
    """d' of the ideal linear observer for a disc-like lesion, from noise power and sharpness.

    A prediction for linear systems: it knows no lesion, and a method that treats faint lesions
    otherwise than the edges it was measured on will differ. Inserted lesions decide
    (:func:`isocenter.evaluation.lesions.detectability.detectability_study`).

    Attributes:
        control: of the test after a Gaussian blur of 0.7 mm, which must not win.
        edge: kind of edge whose transfer function was used.
    """

    kind: LesionKind
    reference: float
    test: float
    control: float
    edge: str


def predicted_detectability(
    noise: NoiseComparison | None, sharpness: Mapping[str, Sharpness]
) -> tuple[PredictedDetectability, ...]:
    """For each soft-tissue lesion; empty where noise or a sure edge is missing."""
    edge = next(
        (
            name
            for name in _EDGES_FOR_LESIONS
            if name in sharpness and sharpness[name].f50_ratio_error <= _LARGEST_F50_RATIO_ERROR
        ),
        None,
    )
    if noise is None or edge is None:
        return ()
    frequency = sharpness[edge].reference.frequency_per_mm
    blur = np.exp(-2 * (np.pi * BLUR_CONTROL_MM * frequency) ** 2)
    before, after = sharpness[edge].reference.transfer, sharpness[edge].test.transfer
    power_before, power_after = (
        np.interp(frequency, spectrum.radial_frequency_per_mm, spectrum.radial_power_hu2_mm2)
        for spectrum in (noise.reference, noise.test)
    )

    def d_prime(transfer: NDArray, power: NDArray, kind: LesionKind) -> float:
        return prewhitened_detectability(
            frequency,
            transfer,
            frequency,
            power,
            diameter_mm=kind.diameter_mm,
            contrast_hu=kind.contrast_hu,
        )

    return tuple(
        PredictedDetectability(
            kind=kind,
            reference=d_prime(before, power_before, kind),
            test=d_prime(after, power_after, kind),
            control=d_prime(after * blur, power_after * blur**2, kind),
            edge=edge,
        )
        for kind in LESION_KINDS
        if kind.tissue == "soft"
    )
