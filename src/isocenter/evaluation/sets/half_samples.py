"""How sure a figure between two sets is, and what it would be between real and real.

One loop answers both. Patients of the real set are split into random halves; a figure of one half
against the other is the *floor*: what a perfect generator would get at this size. The same half
against as many generated images can be held beside it fairly, as every such figure depends on the
number of images. And the spread over halves, drawn without putting back, is that of the figure of
the whole set (half-samples; Shao & Wu, Ann. Stat. 17:1176, 1989), without the doubled images of a
bootstrap, which figures of nearest neighbors cannot bear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.seeds import generator_for

Figure = Callable[[NDArray, NDArray], float]
LEAST_PATIENTS = 4


@dataclass(frozen=True, kw_only=True)
class AgainstReal:
    """A figure of a generated set with what is needed to read it.

    Attributes:
        value: all generated against all real images.
        low, high: 95 %: the value and 1.96 times its standard error to either side.
        at_same_size: mean over halves, of as many generated images as the floor has real ones.
        floor: mean of one half of the real patients against the other.
        floor_low, floor_high: least and largest of them.
        num_each: images on either side of the floor, the mean over halves.
    """

    value: float
    low: float
    high: float
    at_same_size: float
    floor: float
    floor_low: float
    floor_high: float
    num_each: tuple[int, int]


def against_real(
    figure: Figure,
    real: NDArray,
    generated: NDArray,
    patients: NDArray,
    *,
    halves: int = 20,
    least: float = -np.inf,
    most: float = np.inf,
    seed: int = 0,
) -> AgainstReal:
    """A figure between sets, its interval over patients and images, and its floor.

    Args:
        figure: of two arrays (samples, features), the first of them real.
        real, generated: (samples, features).
        patients: whose each real sample is.
        halves: random halves that are drawn.
        least, most: the figure cannot be below or above; the interval is cut there.

    Raises:
        ValueError: fewer than four patients, or not one name for each real sample.
    """
    owner = np.unique(np.asarray(patients), return_inverse=True)[1]
    if len(owner) != len(real) or owner.max() + 1 < LEAST_PATIENTS:
        raise ValueError(
            f"each of {len(real)} real samples needs a patient, and {LEAST_PATIENTS} patients at "
            f"least are needed, got {len(owner)} names"
        )
    rng = generator_for(seed, "half samples")
    of_halves, same_size, floors, sizes = [], [], [], []
    for _ in range(halves):
        first, second = split_patients(owner, rng)
        drawn = rng.permutation(len(generated))[: max(2, len(generated) // 2)]
        count = min(len(second), len(drawn))
        other = rng.permutation(second)[:count]
        floors.append(figure(real[first], real[other]))
        same_size.append(figure(real[first], generated[drawn[:count]]))
        whole = same_size[-1] if count == len(drawn) else figure(real[first], generated[drawn])
        of_halves.append(whole)
        sizes.append((len(first), count))
    value = figure(real, generated)
    reach = 1.96 * float(np.std(of_halves, ddof=1))
    mean_sizes = np.rint(np.mean(sizes, axis=0)).astype(int)
    return AgainstReal(
        value=value,
        low=max(value - reach, least),
        high=min(value + reach, most),
        at_same_size=float(np.mean(same_size)),
        floor=float(np.mean(floors)),
        floor_low=float(np.min(floors)),
        floor_high=float(np.max(floors)),
        num_each=(int(mean_sizes[0]), int(mean_sizes[1])),
    )


def split_patients(owner: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Indices of the samples of one random half of the patients and of the other.

    Args:
        owner: (samples,) whole numbers, one a patient, without gaps.
    """
    num_patients = int(owner.max()) + 1
    in_first = np.zeros(num_patients, bool)
    in_first[rng.permutation(num_patients)[: num_patients // 2]] = True
    return np.flatnonzero(in_first[owner]), np.flatnonzero(~in_first[owner])
