"""Does an uncertainty keep its word: coverage, width, and whether it knows where the errors are.

In any unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from isocenter.core.seeds import generator_for
from isocenter.evaluation.bootstrap import Interval, bootstrap_mean
from isocenter.evaluation.measure import Pair, array_pairs, measure

Classes = Callable[[Pair], Mapping[str, NDArray]]
"""From a pair to masks by name: the classes of voxels that are counted apart."""

MOST_VOXELS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class SliceCoverage:
    """Counts over one class of voxels in one slice."""

    name: str
    num_voxels: int
    num_covered: int
    mean_width: float


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How often intervals hold the truth.

    Attributes:
        name: class of voxels, such as a tissue.
        fraction: of voxels whose truth lies within [lower, upper], with its bootstrap interval.
        mean_width: mean of upper minus lower; at equal coverage, narrower is better.
        num_voxels: how many were counted.
    """

    name: str
    fraction: Interval
    mean_width: float
    num_voxels: int


def slice_coverage(
    truth: NDArray, lower: NDArray, upper: NDArray, *, masks: Mapping[str, NDArray]
) -> list[SliceCoverage]:
    """Counts of each class that a slice holds; limits belong to the interval.

    Raises:
        ValueError: an upper limit lies below its lower limit.
    """
    if np.any(upper < lower):
        raise ValueError("an upper limit lies below its lower limit; were they swapped?")
    covered = (truth >= lower) & (truth <= upper)
    width = upper.astype(np.float64) - lower
    return [
        SliceCoverage(
            name=name,
            num_voxels=int(mask.sum()),
            num_covered=int(covered[mask].sum()),
            mean_width=float(width[mask].mean()),
        )
        for name, mask in masks.items()
        if mask.any()
    ]


def pool_coverage(
    parts: Iterable[SliceCoverage], *, patients: Sequence[str | int] | None = None, seed: int = 0
) -> dict[str, Coverage]:
    """Coverage of each class over slices or, where ``patients`` names one a part, over patients."""
    parts = list(parts)
    pooled = {}
    for name in dict.fromkeys(part.name for part in parts):
        chosen = [index for index, part in enumerate(parts) if part.name == name]
        counts = [parts[index].num_voxels for index in chosen]
        widths = [parts[index].mean_width for index in chosen]
        pooled[name] = Coverage(
            name=name,
            fraction=bootstrap_mean(
                [parts[index].num_covered / parts[index].num_voxels for index in chosen],
                weights=counts,
                patients=None if patients is None else [patients[index] for index in chosen],
                seed=seed,
            ),
            mean_width=float(np.average(widths, weights=counts)),
            num_voxels=sum(counts),
        )
    return pooled


def _everything(pair: Pair) -> Mapping[str, NDArray]:
    return {"all": pair.body}


class CoverageMeter:
    """How often the intervals of the pairs hold the reference, for each class of voxels.

    Args:
        classes: masks by name; the whole body where None.
        seed: of the bootstrap.
    """

    def __init__(self, classes: Classes | None = None, *, seed: int = 0) -> None:
        self._classes = classes or _everything
        self._seed = seed
        self.parts: list[SliceCoverage] = []

    def add(self, pair: Pair, /) -> None:
        """Take in one pair.

        Raises:
            ValueError: the pair states no interval, or limits that are swapped.
        """
        if pair.interval is None:
            raise ValueError(
                f"slice {pair.index} states no interval; give lower and upper limits of each value"
            )
        self.parts += slice_coverage(pair.reference, *pair.interval, masks=self._classes(pair))

    def result(self) -> dict[str, Coverage]:
        """Coverage of each class, its interval one over slices."""
        return pool_coverage(self.parts, seed=self._seed)


def interval_coverage(
    truth: NDArray,
    lower: NDArray,
    upper: NDArray,
    *,
    masks: Mapping[str, NDArray],
    seed: int = 0,
) -> dict[str, Coverage]:
    """Coverage in a volume (slice, row, column) of one patient, for each named mask."""
    meter = CoverageMeter(
        lambda pair: {name: mask[pair.index] for name, mask in masks.items()}, seed=seed
    )
    pairs = array_pairs(truth, truth)
    measure(
        (replace(pair, interval=(lower[pair.index], upper[pair.index])) for pair in pairs), [meter]
    )
    return meter.result()


@dataclass(frozen=True, kw_only=True)
class ErrorRetention:
    """RMSE of the voxels that remain when the most doubtful are set aside.

    Attributes:
        fraction_kept: falling from 1, shape (n,).
        rmse: of the voxels with the least uncertainty.
        best_rmse: of the voxels with the least error: what a perfect uncertainty would give.
        correlation: Spearman's rank correlation of uncertainty and absolute error.
        num_voxels: how many were used.
    """

    fraction_kept: NDArray
    rmse: NDArray
    best_rmse: NDArray
    correlation: float
    num_voxels: int

    @property
    def ause(self) -> float:
        """Area between the two curves over the RMSE of all; 0 is perfect.

        Source: Ilg et al., ECCV 2018 (area under the sparsification error).
        """
        gap = self.rmse - self.best_rmse
        total = self.rmse[0]
        return float(np.trapezoid(gap, 1 - self.fraction_kept) / total) if total > 0 else math.nan

    @property
    def random_ause(self) -> float:
        """The same for an uncertainty that knows nothing: the figure to stay below."""
        gap = self.rmse[0] - self.best_rmse
        total = self.rmse[0]
        return float(np.trapezoid(gap, 1 - self.fraction_kept) / total) if total > 0 else math.nan


def error_retention(
    error: NDArray,
    uncertainty: NDArray,
    *,
    mask: NDArray | None = None,
    num_points: int = 50,
    seed: int = 0,
) -> ErrorRetention:
    """How well an uncertainty sorts the errors.

    Args:
        error: estimate minus truth, any shape.
        uncertainty: same shape; only its order counts.
        mask: voxels that count. Of more than a million, that many are drawn.
        num_points: points of the curve, the last at 1 / num_points kept.
    """
    from scipy.stats import rankdata

    error, uncertainty = _drawn(error, uncertainty, mask, seed)
    size = np.abs(error)
    fraction = np.linspace(1, 1 / num_points, num_points)
    kept = np.maximum(1, np.rint(fraction * size.size).astype(int))
    ranks = rankdata(uncertainty), rankdata(size)
    constant = any(np.ptp(rank) == 0 for rank in ranks)
    return ErrorRetention(
        fraction_kept=fraction,
        rmse=_rmse_of_first(size[np.argsort(uncertainty, kind="stable")], kept),
        best_rmse=_rmse_of_first(np.sort(size), kept),
        correlation=math.nan if constant else float(np.corrcoef(*ranks)[0, 1]),
        num_voxels=size.size,
    )


def _drawn(
    error: NDArray, uncertainty: NDArray, mask: NDArray | None, seed: int
) -> tuple[NDArray, NDArray]:
    """The voxels inside the mask, in an order of no meaning so that ties are broken by chance."""
    if error.shape != uncertainty.shape or (mask is not None and mask.shape != error.shape):
        raise ValueError(
            f"error, uncertainty and mask must have one shape, got {error.shape}, "
            f"{uncertainty.shape} and {None if mask is None else mask.shape}"
        )
    index = np.arange(error.size) if mask is None else np.flatnonzero(mask)
    if not index.size:
        raise ValueError("the mask holds no voxel; give one that does")
    rng = generator_for(seed, "error retention")
    index = rng.choice(index, size=min(index.size, MOST_VOXELS), replace=False)
    return error.ravel()[index].astype(np.float64), uncertainty.ravel()[index].astype(np.float64)


def _rmse_of_first(size: NDArray, kept: NDArray) -> NDArray:
    return np.sqrt(np.cumsum(size**2)[kept - 1] / kept)
