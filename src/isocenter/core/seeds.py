"""Randomness that depends on what is made, not on the order in which it is made."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def derived_seed(seed: int, *parts: str | int) -> int:
    """A 63-bit seed for one image, from the run's seed and the image's own name.

    The same image gets the same noise in any batch, order or process.
    """
    text = "/".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *parts: str | int) -> np.random.Generator:
    """A NumPy generator seeded by :func:`derived_seed`."""
    return np.random.default_rng(derived_seed(seed, *parts))


def seed_for_pixels(seed: int, values: NDArray) -> int:
    """A 63-bit seed for one image, from a seed and the image's own values in whole numbers.

    What is drawn for one patient is then not what the same seed draws for another.
    """
    whole = np.nan_to_num(np.rint(np.asarray(values, np.float64))).clip(-(2.0**31), 2.0**31 - 1)
    digest = hashlib.sha256(whole.astype("<i4").tobytes()).hexdigest()
    return derived_seed(seed, "pixels", *values.shape, digest)
