"""Kernel distance of two sets: like a Fréchet distance, but without bias from few images.

Source: Binkowski et al., ICLR 2018 (KID): the unbiased estimate of the squared maximum mean
discrepancy under the kernel (x . y / d + 1)^3, over blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.core.seeds import generator_for

BLOCK = 100
_LEAST = 2


def kernel_distance(features_a: NDArray, features_b: NDArray) -> float:
    """Unbiased squared discrepancy of two sets (samples, features); may be a little below zero.

    Raises:
        ValueError: fewer than two samples in a set, or sets measured differently.
    """
    _check(features_a, features_b)
    own_a, own_b = _kernel(features_a, features_a), _kernel(features_b, features_b)
    num_a, num_b = len(features_a), len(features_b)
    within_a = (own_a.sum() - np.trace(own_a)) / (num_a * (num_a - 1))
    within_b = (own_b.sum() - np.trace(own_b)) / (num_b * (num_b - 1))
    return float(within_a + within_b - 2 * _kernel(features_a, features_b).mean())


def kernel_distance_of_blocks(
    features_a: NDArray, features_b: NDArray, *, blocks: int = 50, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation over random blocks of up to 100 samples of either set."""
    _check(features_a, features_b)
    rng = generator_for(seed, "blocks of a kernel distance")
    size = min(BLOCK, len(features_a), len(features_b))
    found = [
        kernel_distance(
            features_a[rng.choice(len(features_a), size, replace=False)],
            features_b[rng.choice(len(features_b), size, replace=False)],
        )
        for _ in range(blocks)
    ]
    return float(np.mean(found)), float(np.std(found, ddof=1)) if blocks > 1 else float("nan")


def _kernel(a: NDArray, b: NDArray) -> NDArray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _check(features_a: NDArray, features_b: NDArray) -> None:
    for features in (features_a, features_b):
        if features.ndim != 2 or len(features) < _LEAST:
            raise ValueError(
                f"features must be (samples, features) with at least {_LEAST} samples, got an "
                f"array of shape {features.shape}"
            )
    if features_a.shape[1] != features_b.shape[1]:
        raise ValueError(
            f"sets have {features_a.shape[1]} and {features_b.shape[1]} features; "
            "measure both in the same way"
        )
