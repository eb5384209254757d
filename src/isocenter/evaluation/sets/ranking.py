"""Area under the ROC curve, from ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def area_under_roc(is_positive: NDArray, scores: NDArray) -> float:
    """Chance that a positive has a higher score than a negative; ties count half.

    NaN where one of the two kinds is missing.
    """
    positive = np.asarray(is_positive, bool)
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if not num_positive or not num_negative:
        return float("nan")
    ranks = stats.rankdata(scores)
    above = ranks[positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def areas_of_classes(classes: NDArray, probabilities: NDArray) -> NDArray:
    """One area a class, each against all others; for two classes that of the second alone.

    Args:
        classes: (images,) whole numbers.
        probabilities: (images, classes).
    """
    count = probabilities.shape[1]
    asked = [1] if count == 2 else range(count)
    return np.array([area_under_roc(classes == one, probabilities[:, one]) for one in asked])
