"""Split conformal prediction with patients as the unit, for any interval of any model.

Sources: Romano et al., NeurIPS 2019 (conformalized quantile regression), in the scaled form of
Angelopoulos et al., ICML 2022; one weight a patient as in Dunn et al., JASA 118:2491, 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def conformal_factor(scores: list[NDArray], coverage: float) -> float:
    """The smallest factor that covers the wanted share, each patient counting alike.

    Args:
        scores: for each patient, distances of the truth from the mean over the raw distance.
        coverage: share to cover.

    Returns:
        The weighted quantile of the scores.
    """
    kept = [np.sort(one) for one in scores if len(one)]
    values = np.concatenate(kept)
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in kept])
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) / weights.sum()
    index = min(int(np.searchsorted(cumulative, coverage)), len(values) - 1)
    return float(values[order][index])
