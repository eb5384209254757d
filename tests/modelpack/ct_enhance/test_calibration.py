from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from isocenter.image.ct_tissue import TISSUES
from isocenter.modelpack.ct_enhance.calibration import (
    CLASSES,
    OTHER,
    Calibration,
    tissue_classes,
)


def table(**factors: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    return {name: factors.get(name, (1.0, 1.0)) for name in CLASSES}


def levels(low: float, high: float) -> Calibration:
    return Calibration(
        coverage=0.9,
        noise_hu=(10.0, 40.0),
        below=table(lung=(low, high)),
        above=table(lung=(2 * low, 2 * high)),
    )


LUNG = np.full((2, 2), CLASSES.index("lung"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_hu": (40.0, 10.0)}, "must be positive and rise"),
        ({"noise_hu": (10.0, 20.0, 40.0)}, "one factor from 0 to 1000 for each of 3 levels"),
        ({"coverage": 1.0}, "coverage must be between 0 and 1"),
        ({"below": {"lung": (1.0, 1.0)}}, "factors must be for"),
        ({"above": table(bone=(1.0, float("nan")))}, "bone needs one factor"),
        ({"above": table(bone=(-1.0, 1.0))}, "bone needs one factor"),
    ],
)
def test_factors_that_cannot_be_meant_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(levels(1.0, 3.0), **change)


@pytest.mark.parametrize(
    ("noise_hu", "expected"),
    [(10.0, 1.0), (40.0, 3.0), (20.0, 2.0), (1.0, 1.0), (0.0, 1.0), (400.0, 3.0)],
)
def test_factors_run_evenly_over_the_logarithm_of_the_noise(
    noise_hu: float, expected: float
) -> None:
    below, above = levels(1.0, 3.0).factors(LUNG, noise_hu)
    assert np.allclose(below, expected)
    assert np.allclose(above, 2 * expected)
    assert below.dtype == np.float32


@pytest.mark.parametrize("noise_hu", [float("nan"), float("inf")])
def test_noise_that_was_not_measured_still_gets_a_factor(noise_hu: float) -> None:
    below, _ = levels(1.0, 3.0).factors(LUNG, noise_hu)
    assert np.isfinite(below).all()


def test_each_voxel_gets_the_factor_of_its_class() -> None:
    classes = np.array([[CLASSES.index("lung"), CLASSES.index("bone")]])
    below, above = levels(3.0, 3.0).factors(classes, 20.0)
    assert below.tolist() == [[3.0, 1.0]]
    assert above.tolist() == [[6.0, 1.0]]


@pytest.mark.parametrize("name", TISSUES)
def test_tissue_classes_name_the_range_they_lie_in(name: str) -> None:
    low, high = TISSUES[name]
    flat = np.full((8, 8), (low + high) / 2)
    assert (tissue_classes(flat, spacing_mm=(1.0, 1.0)) == CLASSES.index(name)).all()


@pytest.mark.parametrize("value", [-3024.0, -1000.0, -300.0, 0.0, 3500.0])
def test_every_other_value_is_of_the_other_class(value: float) -> None:
    found = tissue_classes(np.full((8, 8), value), spacing_mm=(1.0, 1.0))
    assert (found == CLASSES.index(OTHER)).all()
