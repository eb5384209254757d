"""Quality and variety apart: precision, recall, density and coverage of a generated set.

Around each image lies a ball that reaches to its k-th nearest neighbor of the same set. *Precision*
is the share of generated images within a ball of a real one, *recall* the share of real images
within a ball of a generated one (Kynkäänniemi et al., NeurIPS 2019). *Density* counts in how many
real balls a generated image lies, over k, and *coverage* is the share of real balls that hold a
generated image (Naeem et al., ICML 2020); a few outliers, which make precision and recall too
good, do less to these two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

NEIGHBORS = 5


class Neighborhood(NamedTuple):
    """Shares from 0 to 1; density may be above 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighborhood(real: NDArray, generated: NDArray, *, neighbors: int = NEIGHBORS) -> Neighborhood:
    """All four, of sets (samples, features) measured in the same way and on the same scale.

    Raises:
        ValueError: a set has no more samples than ``neighbors``.
    """
    for features in (real, generated):
        if features.ndim != 2 or len(features) <= neighbors:
            raise ValueError(
                f"a set needs more than {neighbors} samples of features, got an array of shape "
                f"{features.shape}"
            )
    across = cdist(real, generated)
    real_reach, generated_reach = (_reach(each, neighbors) for each in (real, generated))
    in_real_balls = across <= real_reach[:, None]
    return Neighborhood(
        precision=float(in_real_balls.any(axis=0).mean()),
        recall=float((across <= generated_reach[None, :]).any(axis=1).mean()),
        density=float(in_real_balls.sum(axis=0).mean() / neighbors),
        coverage=float(in_real_balls.any(axis=1).mean()),
    )


def _reach(features: NDArray, neighbors: int) -> NDArray:
    """Distance to the k-th nearest other sample."""
    distances = cdist(features, features)
    np.fill_diagonal(distances, np.inf)
    return np.partition(distances, neighbors - 1, axis=1)[:, neighbors - 1]
