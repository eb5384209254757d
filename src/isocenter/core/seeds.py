"""Randomness that depends on what is made, not on the order in which it is made."""

from __future__ import annotations

import hashlib

import numpy as np


def derived_seed(seed: int, *parts: str | int) -> int:
    """A 63-bit seed for one image, from the run's seed and the image's own name.

    The same image gets the same noise in any batch, order or process.
    """
    text = "/".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *parts: str | int) -> np.random.Generator:
    """A NumPy generator seeded by :func:`derived_seed`."""
    return np.random.default_rng(derived_seed(seed, *parts))
