"""Heads made of formulas with an infarct of known volume: what the mask finds of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.stroke_adc.volunteers import MICROLITERS_IN_ML, diffusion_images
from isocenter.core.seeds import generator_for
from isocenter.physics.diffusion_mr import TISSUE_ADC, diffusion_weighted
from isocenter.physics.mr_signal import rician, spin_echo
from isocenter.physics.mr_tissues import relaxation
from isocenter.tasks.adc.settings import AdcSettings
from isocenter.tasks.adc.stream import adc_maps, rule_of

B_VALUES = (0.0, 1000.0)
FIELD_TESLA, TR_MS, TE_MS = 3.0, 6000.0, 85.0
SHAPE, SPACING_MM = (26, 112, 96), (5.0, 1.8, 1.8)
BRAIN_HALF_AXES_MM = (60.0, 88.0, 70.0)
FOLDS, FOLD_MM, RIM_MM = 14, 3.0, 5.0
RADII_MM = (0.0, 5.0, 8.0, 12.0, 18.0, 28.0)
SIGNAL_TO_NOISE = (20.0, 40.0)
INFARCT_T2_GROWTH = 1.2
"""Vasogenic oedema of the first day lengthens T2 a little."""
BLUR_PIXELS = 0.5
HEADS = 3
TISSUES = ("white matter", "cortex", "csf")


@dataclass(frozen=True, kw_only=True)
class Head:
    """One head.

    Attributes:
        images: b = 0 and b = 1000, (2, slice, row, column), with noise.
        adc_um2_per_s: truth, 0 outside.
        infarct: truth, bool.
    """

    images: NDArray
    adc_um2_per_s: NDArray
    infarct: NDArray


def simulate(seed: int, *, radius_mm: float, signal_to_noise: float) -> Head:
    """An ellipsoid of white matter with folded cortex, ventricles and a ball of infarct.

    Args:
        seed: decides tissue values, the place of the infarct, and the noise.
        radius_mm: of the infarct, 0 for none.
        signal_to_noise: of white matter at b = 0, for the noise of one channel.
    """
    rng = generator_for(seed, "stroke adc", str(radius_mm), str(signal_to_noise))
    places = _places_mm()
    labels = _labels(places)
    center = np.array([rng.uniform(-15, 15), rng.uniform(-20, 25), rng.choice((-1, 1)) * 38.0])
    distance_mm = np.sqrt(
        sum((place - one) ** 2 for place, one in zip(places, center, strict=True))
    )
    infarct = (distance_mm < radius_mm) & ((labels == 0) | (labels == 1))
    adc, signal = np.zeros(SHAPE), np.zeros(SHAPE)
    for label, tissue in enumerate(TISSUES):
        own = TISSUE_ADC[tissue]
        t1_ms, t2_ms, density = relaxation(tissue, field_tesla=FIELD_TESLA)
        spread = (own.high - own.low) / 6
        adc[labels == label] = own.typical + spread * rng.standard_normal()
        for part, growth in ((~infarct, 1.0), (infarct, INFARCT_T2_GROWTH)):
            inside = (labels == label) & part
            signal[inside] = spin_echo(density, t1_ms, growth * t2_ms, tr_ms=TR_MS, te_ms=TE_MS)
    lesion = TISSUE_ADC["acute infarct"]
    adc[infarct] = rng.uniform(lesion.low + 50, lesion.high - 70)
    shading = 1 + 0.25 * rng.standard_normal() * places[2] / BRAIN_HALF_AXES_MM[2]
    clean = np.stack(
        [
            diffusion_weighted(signal, adc, b_s_per_mm2=b) * np.clip(shading, 0.5, 1.5)
            for b in B_VALUES
        ]
    )
    blurred = ndimage.gaussian_filter(clean, (0, 0, BLUR_PIXELS, BLUR_PIXELS))
    sigma = float(np.median(blurred[0][labels == 0])) / signal_to_noise
    return Head(images=rician(blurred, sigma, rng), adc_um2_per_s=adc, infarct=infarct)


def _places_mm() -> list[NDArray]:
    axes = [
        (np.arange(count) - (count - 1) / 2) * step
        for count, step in zip(SHAPE, SPACING_MM, strict=True)
    ]
    return list(np.meshgrid(*axes, indexing="ij"))


def _labels(places: list[NDArray]) -> NDArray:
    """Index of the tissue, -1 outside."""
    scaled = [place / half for place, half in zip(places, BRAIN_HALF_AXES_MM, strict=True)]
    depth_mm = (1 - np.sqrt(sum(one**2 for one in scaled))) * min(BRAIN_HALF_AXES_MM)
    angle = np.arctan2(places[1], places[2])
    height = places[0] / BRAIN_HALF_AXES_MM[0]
    folded_mm = depth_mm + FOLD_MM * np.sin(FOLDS * angle + 4 * height)
    labels = np.full(SHAPE, -1)
    labels[depth_mm > 0] = 2
    labels[(depth_mm > 0) & (folded_mm > FOLD_MM)] = 1
    labels[(depth_mm > 0) & (folded_mm > FOLD_MM + RIM_MM)] = 0
    across, along, up = places[2], places[1], places[0]
    for side in (-1, 1):
        horn = ((across - side * 9) / 6) ** 2 + (along / 30) ** 2 + ((up - 8) / 14) ** 2
        labels[horn < 1] = 2
    return labels


def cases() -> Iterator[dict[str, Any]]:
    """Figures of every head, radius and noise."""
    for signal_to_noise in SIGNAL_TO_NOISE:
        for radius_mm in RADII_MM:
            for seed in range(HEADS):
                yield measure(seed, radius_mm=radius_mm, signal_to_noise=signal_to_noise)


def measure(seed: int, *, radius_mm: float, signal_to_noise: float) -> dict[str, Any]:
    """One head, fitted and marked."""
    head = simulate(seed, radius_mm=radius_mm, signal_to_noise=signal_to_noise)
    started = time.perf_counter()
    images = diffusion_images(head.images, B_VALUES, SPACING_MM)
    maps = adc_maps(images, rule_of(AdcSettings()))
    seconds = time.perf_counter() - started
    brain = (head.adc_um2_per_s > 0) & (head.adc_um2_per_s < 1500) & maps.measured
    error = maps.adc_um2_per_s - head.adc_um2_per_s
    spread = head.adc_um2_per_s[head.adc_um2_per_s > 0]
    everywhere = (head.adc_um2_per_s > 0) & maps.measured
    voxel_ml = float(np.prod(SPACING_MM)) / MICROLITERS_IN_ML
    hit = float((maps.lesion & head.infarct).sum())
    size = float(maps.lesion.sum() + head.infarct.sum())
    z = np.abs(error[brain]) / np.maximum(maps.sd_um2_per_s[brain], 1e-9)
    return {
        "seed": seed,
        "radius_mm": radius_mm,
        "signal_to_noise": signal_to_noise,
        "true_ml": float(head.infarct.sum()) * voxel_ml,
        "marked_ml": float(maps.lesion.sum()) * voxel_ml,
        "beside_ml": float((maps.lesion & ~head.infarct).sum()) * voxel_ml,
        "dice": 2 * hit / size if size else None,
        "mae_brain_um2_per_s": float(np.abs(error[brain]).mean()),
        "mae_lesion_um2_per_s": float(np.abs(error[head.infarct]).mean())
        if head.infarct.any()
        else None,
        "bias_brain_um2_per_s": float(error[brain].mean()),
        "r2": float(1 - (error[everywhere] ** 2).mean() / spread.var()),
        "within_two_sd": float(np.mean(z < 2)),
        "seconds": seconds,
        "seconds_a_slice": seconds / SHAPE[0],
    }
