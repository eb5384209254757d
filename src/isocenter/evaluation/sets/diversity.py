"""How different images of one class are from each other: MS-SSIM of pairs.

A generator that makes one image again and again gets a high value; so the value of generated pairs
is read beside that of pairs of real images of different patients. Neither tells whether
differences are anatomy or noise: noise lowers it too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.seeds import generator_for
from isocenter.evaluation.bootstrap import Interval, bootstrap_mean

# Of the levels from fine to coarse, in Wang et al., section III.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SIGMA = 1.5
_REACH = 5
_STABLE_LUMINANCE, _STABLE_CONTRAST = 0.01**2, 0.03**2


def multi_scale_similarity(a: NDArray, b: NDArray) -> float:
    """MS-SSIM of two images in [-1, 1], 1 for equal ones.

    Windows are Gaussian (1.5 pixels, 11 x 11) and lie within the image. An image too small for all
    five levels takes the finest ones, their weights in the same proportion. Similarity of structure
    below zero counts as zero.

    Args:
        a, b: (rows, columns), 11 pixels a side or more.

    Raises:
        ValueError: other shapes.

    Source: Wang, Simoncelli, Bovik, Asilomar 2003, equation 7.
    """
    side = 2 * _REACH + 1
    if a.ndim != 2 or a.shape != b.shape or min(a.shape) < side:
        raise ValueError(
            f"two images of one size are needed, {side} pixels a side or more, got {a.shape} and "
            f"{b.shape}"
        )
    levels = min(len(WEIGHTS), int(np.log2(min(a.shape) / side)) + 1)
    weights = np.array(WEIGHTS[:levels]) / sum(WEIGHTS[:levels])
    first, second = ((np.asarray(each, np.float64) + 1) / 2 for each in (a, b))
    product = 1.0
    for level, weight in enumerate(weights):
        if level:
            first, second = _halved(first), _halved(second)
        luminance, structure = _terms(first, second)
        last = luminance if level == levels - 1 else 1.0
        product *= max(last * structure, 0.0) ** weight
    return float(product)


def _terms(a: NDArray, b: NDArray) -> tuple[float, float]:
    """Means of the luminance term and of the term of contrast and structure."""
    mean_a, mean_b = _local(a), _local(b)
    variance_a = _local(a * a) - mean_a**2
    variance_b = _local(b * b) - mean_b**2
    covariance = _local(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _STABLE_LUMINANCE) / (
        mean_a**2 + mean_b**2 + _STABLE_LUMINANCE
    )
    structure = (2 * covariance + _STABLE_CONTRAST) / (variance_a + variance_b + _STABLE_CONTRAST)
    return float(luminance.mean()), float(structure.mean())


def _local(image: NDArray) -> NDArray:
    smooth = ndimage.gaussian_filter(image, _SIGMA, radius=_REACH)
    return smooth[_REACH:-_REACH, _REACH:-_REACH]


def _halved(image: NDArray) -> NDArray:
    rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    part = image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
    return part.mean(axis=(1, 3))


def pair_similarity(
    images: NDArray,
    classes: Sequence[str] | NDArray | None = None,
    *,
    patients: Sequence[str] | NDArray | None = None,
    most_pairs: int = 100,
    seed: int = 0,
) -> dict[str, Interval]:
    """Mean MS-SSIM of random pairs within each class.

    No image is in two pairs. Of patients, a pair is of two different ones, and the interval is over
    them (the first of each pair), else over pairs.

    Args:
        images: (images, rows, columns) in [-1, 1].
        classes: of each image; None takes all as one, named "all".
        patients: whose each image is; None for generated images.
        most_pairs: of each class.

    Returns:
        By class; one with fewer than four pairs is left out.
    """
    names = np.asarray(["all"] * len(images) if classes is None else classes, dtype=str)
    owners = np.arange(len(images)) if patients is None else np.asarray(patients, dtype=str)
    found = {}
    for name in np.unique(names):
        rng = generator_for(seed, "pairs of images", str(name))
        pairs = _pairs(np.flatnonzero(names == name), owners, most_pairs, rng)
        if len(pairs) < 4:
            continue
        values = [multi_scale_similarity(images[one], images[two]) for one, two in pairs]
        found[str(name)] = bootstrap_mean(
            values,
            patients=None if patients is None else [str(owners[one]) for one, _ in pairs],
            seed=seed,
        )
    return found


def _pairs(
    indices: NDArray, owners: NDArray, most: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Neighbors in a random order, where they are of different owners."""
    order = rng.permutation(indices)
    found = []
    for one, two in zip(order[::2], order[1::2], strict=False):
        if owners[one] != owners[two]:
            found.append((int(one), int(two)))
    return found[:most]
