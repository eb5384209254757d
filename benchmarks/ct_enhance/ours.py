"""Our images of a slice, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ct_enhance.plain import PlainRegressor
from isocenter.core.seeds import derived_seed
from isocenter.modelpack.ct_enhance.contract import LESION_CONTRAST, Estimate
from isocenter.modelpack.ct_enhance.model import CtEnhancer

Result = TypeVar("Result")

STEPS = 4
PLAIN = "plain regressor"
MEAN = "mean (strength 0)"
KNOWN = "mean, dose given"
LEAST = "mean, lesion contrast 0"
MEDIUM = "strength 0.5"
SAMPLE = "strength 1"
KNOWN_SAMPLE = "strength 1, dose given"


@dataclass(frozen=True, kw_only=True)
class OurImages:
    """Images by name, seconds by the same names, and the interval around the mean."""

    images: dict[str, NDArray]
    seconds: dict[str, float]
    lower_hu: NDArray
    upper_hu: NDArray


def our_images(
    model: CtEnhancer,
    plain: PlainRegressor | None,
    window_hu: NDArray,
    *,
    spacing_mm: tuple[float, float],
    guessed_fraction: float,
    dose_fraction: float,
    seed: int,
) -> OurImages:
    """The mean, the two strengths that take a sample, and the plain regressor if it is there.

    All rest on the guessed dose fraction; a second mean and sample are told the true one. A third
    mean gives no contrast of lesions back.
    """

    def estimate_at(fraction: float, lesion_contrast: float = LESION_CONTRAST) -> Estimate:
        return model.estimate(
            window_hu,
            spacing_mm=spacing_mm,
            dose_fraction=fraction,
            lesion_contrast=lesion_contrast,
        )

    def sample_from(estimate: Estimate) -> NDArray:
        return model.sample(
            window_hu,
            estimate,
            spacing_mm=spacing_mm,
            steps=STEPS,
            seed=derived_seed(seed, "benchmark"),
        )

    estimate, mean_seconds = _timed(lambda: estimate_at(guessed_fraction))
    sample, sample_seconds = _timed(lambda: sample_from(estimate))
    mean = estimate.mean_hu
    both = mean_seconds + sample_seconds
    told = estimate_at(dose_fraction)
    images = {
        MEAN: mean,
        KNOWN: told.mean_hu,
        LEAST: estimate_at(guessed_fraction, 0.0).mean_hu,
        MEDIUM: mean + 0.5 * (sample - mean),
        SAMPLE: sample,
        KNOWN_SAMPLE: sample_from(told),
    }
    seconds = dict.fromkeys((MEAN, KNOWN, LEAST), mean_seconds) | dict.fromkeys(
        (MEDIUM, SAMPLE, KNOWN_SAMPLE), both
    )
    if plain is not None:
        images[PLAIN], seconds[PLAIN] = _timed(lambda: plain_result(plain, window_hu))
    return OurImages(
        # A stored CT holds whole HU.
        images={name: np.rint(image) for name, image in images.items()},
        seconds=seconds,
        lower_hu=estimate.lower_hu,
        upper_hu=estimate.upper_hu,
    )


@torch.inference_mode()
def plain_result(plain: PlainRegressor, window_hu: NDArray) -> NDArray:
    """The baseline network on one (2 * context + 1, row, column) window."""
    window = torch.from_numpy(np.ascontiguousarray(window_hu, np.float32))[None]
    return plain(window)[0, 0].numpy()


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started
