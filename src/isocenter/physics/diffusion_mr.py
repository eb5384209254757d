"""Diffusion-weighted MR: the signal that is left, and the ADC that a set of b-values tells.

One exponential: perfusion at b-values below about 200 s/mm² and kurtosis above about 1500 s/mm² are
left out, so an ADC depends a little on the b-values that it comes from. b-values are in s/mm², as
DICOM has them; ADC in µm²/s, which is 1e-6 mm²/s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.checks import check_least

MM2_PER_UM2 = 1e-6
FLOOR_SNR = 3.0
"""Below, the magnitude of noise alone lifts a signal by more than 5 % (Gudbjartsson & Patz)."""
_NUM_REWEIGHTED = 2


@dataclass(frozen=True, kw_only=True)
class Diffusivity:
    """ADC of one tissue at body temperature, in µm²/s.

    Attributes:
        typical: of healthy adults, or of the lesion at its usual stage.
        low, high: between which means of persons lie.
    """

    typical: float
    low: float
    high: float


def _adc(typical: float, low: float, high: float) -> Diffusivity:
    return Diffusivity(typical=typical, low=low, high=high)


# Cortex, deep gray and white matter: Helenius et al., AJNR 23:194, 2002: 80 adults, b = 1000 s/mm²,
# 1.5 T, means of the trace 890 (780 to 1090), 750 (640 to 830) and 700 (620 to 790); the nuclei
# take the value of deep gray. CSF and vitreous: free water at 37 C, 3040, by Holz et al., Phys.
# Chem. Chem. Phys. 2:4740, 2000, with flow and pulsation above it. Infarcts: Warach et al., Ann.
# Neurol. 37:231, 1995 and Lansberg et al., AJNR 22:637, 2001: low in the first week, as in healthy
# tissue in the second, above it later. Vasogenic oedema and tumour: Sener, Comput. Med. Imaging
# Graph. 25:299, 2001.
TISSUE_ADC: Mapping[str, Diffusivity] = MappingProxyType(
    {
        "white matter": _adc(700.0, 620.0, 790.0),
        "cortex": _adc(890.0, 780.0, 1090.0),
        "thalamus": _adc(750.0, 640.0, 830.0),
        "caudate": _adc(750.0, 640.0, 830.0),
        "putamen": _adc(750.0, 640.0, 830.0),
        "pallidum": _adc(750.0, 640.0, 830.0),
        "hippocampus": _adc(890.0, 780.0, 1090.0),
        "cerebellar white matter": _adc(700.0, 620.0, 790.0),
        "cerebellar cortex": _adc(750.0, 640.0, 890.0),
        "brainstem": _adc(720.0, 620.0, 830.0),
        "csf": _adc(3040.0, 2800.0, 3600.0),
        "vitreous": _adc(3040.0, 2800.0, 3300.0),
        "acute infarct": _adc(450.0, 300.0, 620.0),
        "subacute infarct": _adc(800.0, 620.0, 1000.0),
        "old infarct": _adc(1900.0, 1200.0, 2800.0),
        "vasogenic oedema": _adc(1500.0, 1100.0, 1900.0),
        "glioma": _adc(1200.0, 800.0, 1700.0),
    }
)
"""The ADC that simulations draw and that a fit is compared with, by tissue."""


@dataclass(frozen=True, kw_only=True)
class AdcFit:
    """What a set of diffusion-weighted images tells; all arrays have the shape of one image.

    Attributes:
        adc_um2_per_s: apparent diffusion coefficient; 0 where ``measured`` is False.
        signal_b0: signal without diffusion weighting, as the fit has it, in the unit of the images.
        sd_um2_per_s: standard deviation of the ADC that the noise of the images causes.
        measured: False where fewer than two images hold a signal, so that there is no ADC.
        above_floor: whether the image of the highest b-value stands above the noise there; where it
            does not, the ADC is a lower bound.
    """

    adc_um2_per_s: NDArray
    signal_b0: NDArray
    sd_um2_per_s: NDArray
    measured: NDArray
    above_floor: NDArray


def diffusion_weighted(
    signal_b0: ArrayLike, adc_um2_per_s: ArrayLike, *, b_s_per_mm2: float
) -> NDArray:
    """Signal that diffusion weighting leaves of one without it.

    Args:
        signal_b0: any unit, broadcast against the ADC.
        adc_um2_per_s: at least 0.
        b_s_per_mm2: diffusion weighting, at least 0.

    Raises:
        ValueError: the ADC or the b-value is negative.

    Source: Stejskal & Tanner, J. Chem. Phys. 42:288, 1965; Le Bihan et al., Radiology 161:401,
    1986.
    """
    check_least("b_s_per_mm2", b_s_per_mm2, 0)
    check_least("adc_um2_per_s", float(np.min(adc_um2_per_s)), 0)
    weight = np.exp(-b_s_per_mm2 * MM2_PER_UM2 * np.asarray(adc_um2_per_s))
    weighted: NDArray = np.asarray(signal_b0) * weight
    return weighted


def trace_weighted(signals: ArrayLike) -> NDArray:
    """The image that rests on no direction, from images of several: their geometric mean.

    Of three directions at right angles it is exp(-b * trace / 3) times the signal without weighting
    exactly; of more, spread evenly over the sphere, up to second order.

    Args:
        signals: (direction, ...), at least 0; those below 0 (after filters) count as 0.

    Source: Mukherjee et al., AJNR 29:632, 2008.
    """
    positive = np.maximum(np.asarray(signals, np.float64), 0.0)
    if positive.shape[0] == 1:
        only: NDArray = positive[0]
        return only
    with np.errstate(divide="ignore"):
        mean: NDArray = np.exp(np.log(positive).mean(axis=0))
    return mean


def fit_adc(
    signals: ArrayLike, b_values_s_per_mm2: Sequence[float], *, noise_sd: ArrayLike = 0.0
) -> AdcFit:
    """The ADC of images of several b-values, voxel by voxel.

    Two b-values have one line through their logarithms, which is exact. Of more, a weighted least
    squares line is taken: noise of standard deviation s in a signal S is s / S in its logarithm,
    so equal weights would let the faintest image, which is known least, decide; the weight of each
    is therefore (S / s)². Weights from the measured signals are biased by their own noise, so they
    are taken anew from the line itself, twice. Images that do not stand above the noise
    (:data:`FLOOR_SNR`) have no weight, as long as two are left.

    Args:
        signals: (b-value, ...), magnitudes in any one unit.
        b_values_s_per_mm2: of each, at least two different ones.
        noise_sd: standard deviation of the noise of each image, or one for all; 0 where unknown,
            which gives a standard deviation of 0 and no floor.

    Raises:
        ValueError: fewer than two b-values, or numbers that are not finite or negative.

    Source: Basser, Mattiello & Le Bihan, J. Magn. Reson. B 103:247, 1994 (weights); Veraart et al.,
    NeuroImage 81:335, 2013 (taken anew from the line).
    """
    values = np.asarray(signals, np.float64)
    b_values = np.asarray(b_values_s_per_mm2, np.float64)
    noise = np.broadcast_to(np.asarray(noise_sd, np.float64), b_values.shape)
    _check_fit(values, b_values, noise)
    order = np.argsort(b_values, kind="stable")
    values, b_values, noise = values[order], b_values[order], noise[order]
    column = (-1, *(1,) * (values.ndim - 1))
    floor = (FLOOR_SNR * noise).reshape(column)
    used = _used(values, values > floor)
    logs = np.log(np.where(used, values, 1.0))
    x = (b_values * MM2_PER_UM2).reshape(column)
    # Equal weights where noise is unknown: only ratios of weights decide the line.
    sd = np.where(noise > 0, noise, 1.0 if not noise.any() else noise[noise > 0].min())
    share = 1 / sd.reshape(column)
    largest = np.where(used, values, 0.0).max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)
    measured = _spread(used, b_values.reshape(column)) > 0
    weighted = np.where(used, values, 0.0) / scale
    intercept, slope, variance = _line(x, logs, (weighted * share) ** 2)
    if len(b_values) > 2:
        for _ in range(_NUM_REWEIGHTED):
            fitted = np.where(used, np.exp(np.clip(intercept + slope * x, -80, 80)), 0.0) / scale
            intercept, slope, variance = _line(x, logs, (fitted * share) ** 2)
    deviation = np.sqrt(variance) / scale if noise.any() else np.zeros_like(variance)
    return AdcFit(
        adc_um2_per_s=np.where(measured, -slope, 0.0),
        signal_b0=np.where(measured, np.exp(np.clip(intercept, -700, 700)), 0.0),
        sd_um2_per_s=np.where(measured, deviation, 0.0),
        measured=measured,
        above_floor=measured & (values[-1] > floor[-1]),
    )


def _used(values: NDArray, above: NDArray) -> NDArray:
    """Which images count in a voxel: those above the floor, and the two of lowest b in any case."""
    used = above & (values > 0)
    used[:2] = values[:2] > 0
    if len(values) == 2:
        used[:] = values > 0
    return used


def _spread(used: NDArray, b_values: NDArray) -> NDArray:
    """How far apart the lowest and highest b-value are that count in each voxel; 0 for none."""
    lowest = np.where(used, b_values, np.inf).min(axis=0)
    highest = np.where(used, b_values, -np.inf).max(axis=0)
    return np.where(used.any(axis=0), highest - lowest, 0.0)


def _line(x: NDArray, y: NDArray, weights: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Intercept, slope and the slope's variance of the weighted line through points."""
    total = weights.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    middle_x, middle_y = (weights * x).sum(axis=0) / safe, (weights * y).sum(axis=0) / safe
    apart = (weights * (x - middle_x) ** 2).sum(axis=0)
    known = apart > 0
    apart = np.where(known, apart, 1.0)
    slope = np.where(known, (weights * (x - middle_x) * (y - middle_y)).sum(axis=0) / apart, 0.0)
    return middle_y - slope * middle_x, slope, np.where(known, 1 / apart, 0.0)


def _check_fit(values: NDArray, b_values: NDArray, noise: NDArray) -> None:
    if b_values.ndim != 1 or values.shape[:1] != b_values.shape:
        raise ValueError(
            f"one image a b-value is needed, got {values.shape[:1]} images and {b_values.shape} "
            "b-values"
        )
    if len(np.unique(b_values)) < 2:
        raise ValueError("at least two different b-values are needed for an ADC")
    if not np.all(np.isfinite(values)):
        raise ValueError("signals must be finite; set what was not measured to 0")
    check_least("b_values_s_per_mm2", float(b_values.min()), 0)
    check_least("noise_sd", float(noise.min()), 0)
