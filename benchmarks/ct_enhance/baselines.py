"""What is usually done, each filter with its parameter chosen on the case it is judged on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Filter = Callable[[NDArray, float], NDArray]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A filter and what its parameter may be.

    Attributes:
        name: as tables show it.
        apply: from an image in HU and the parameter to an image in HU.
        choices: the parameter, rising; for filters that take a noise level, as a multiple of the
            standard deviation of what the lower dose added.
        takes_noise: whether the parameter is such a multiple.
    """

    name: str
    apply: Filter
    choices: Sequence[float]
    takes_noise: bool


def _blur(image_hu: NDArray, sigma_pixels: float) -> NDArray:
    return ndimage.gaussian_filter(image_hu, sigma_pixels)


def _non_local_means(image_hu: NDArray, strength_hu: float) -> NDArray:
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(image_hu, patch_size=5, patch_distance=6, h=strength_hu, fast_mode=True)


def _total_variation(image_hu: NDArray, weight: float) -> NDArray:
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image_hu, weight=weight)


def _bm3d(image_hu: NDArray, sigma_hu: float) -> NDArray:
    import bm3d

    return bm3d.bm3d(image_hu, sigma_hu)


BASELINES = (
    Baseline(
        name="Gaussian blur",
        apply=_blur,
        choices=(0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2),
        takes_noise=False,
    ),
    Baseline(
        name="NL-means",
        apply=_non_local_means,
        choices=(0.4, 0.6, 0.8, 1.0, 1.3, 1.7),
        takes_noise=True,
    ),
    Baseline(
        name="TV",
        apply=_total_variation,
        choices=(0.3, 0.5, 0.8, 1.2, 1.7, 2.4),
        takes_noise=True,
    ),
    Baseline(
        name="BM3D",
        apply=_bm3d,
        choices=(1.0, 1.4, 1.9, 2.6, 3.6),
        takes_noise=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """The best result of a baseline.

    Attributes:
        image_hu: (row, column).
        parameter: the choice that was best.
    """

    image_hu: NDArray
    parameter: float


def best_of(baseline: Baseline, low_hu: NDArray, full_hu: NDArray, inside: NDArray) -> Filtered:
    """Go up the choices until the error against the full dose grows; keep the best."""
    noise_hu = _noise_hu(low_hu, full_hu, inside)
    best: Filtered | None = None
    least = float("inf")
    for choice in baseline.choices:
        image = _applied(baseline, low_hu, choice, noise_hu)
        error = float(np.square((image - full_hu)[inside], dtype=np.float64).mean())
        if error >= least:
            break
        least = error
        best = Filtered(image_hu=image, parameter=choice)
    assert best is not None
    return best


def seconds_of(
    baseline: Baseline, low_hu: NDArray, full_hu: NDArray, inside: NDArray, *, choice: float
) -> float:
    """Time of one run at a choice, here and now."""
    noise_hu = _noise_hu(low_hu, full_hu, inside)
    started = time.perf_counter()
    _applied(baseline, low_hu, choice, noise_hu)
    return time.perf_counter() - started


def _noise_hu(low_hu: NDArray, full_hu: NDArray, inside: NDArray) -> float:
    return float((low_hu - full_hu)[inside].std())


def _applied(baseline: Baseline, low_hu: NDArray, choice: float, noise_hu: float) -> NDArray:
    parameter = choice * noise_hu if baseline.takes_noise else choice
    return np.asarray(baseline.apply(low_hu.astype(np.float32), parameter), np.float32)
