from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.image.ct_values import why_not_hu

SLICE = np.random.default_rng(0).normal(40, 15, (32, 32))


@pytest.mark.parametrize(
    "values", [SLICE, SLICE - 1000, SLICE + 400, np.full(9, -1000), np.array([-3024, 3071])]
)
def test_hu_are_hu(values: NDArray) -> None:
    assert why_not_hu(values) == ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(5), "within -1 and 1"),
        (np.linspace(-1, 1, 9), "within -1 and 1"),
        (np.arange(256.0), "8 bits"),
        (np.array([-1e9, 0.0]), "reach from -1e.09 to 0"),
        (np.array([0.0, 7e4]), "reach from 0 to 70000"),
    ],
)
def test_what_cannot_be_hu_is_told(values: NDArray, reason: str) -> None:
    import re

    assert re.search(reason, why_not_hu(values))


def test_a_patch_may_lie_above_zero_a_scan_may_not() -> None:
    patch = np.abs(SLICE) + 5
    assert why_not_hu(patch) == ""
    assert "rescale" in why_not_hu(patch, whole_scan=True)
