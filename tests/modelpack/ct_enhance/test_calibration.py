from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from isocenter.image.ct_noise import NoiseMeasure
from isocenter.image.ct_tissue import TISSUES
from isocenter.modelpack.ct_enhance.calibration import (
    CLASSES,
    OTHER,
    Calibration,
    Factors,
    tissue_classes,
)


def table(**factors: Factors) -> dict[str, Factors]:
    return {name: factors.get(name, ((1.0, 1.0), (1.0, 1.0))) for name in CLASSES}


def noise(level_hu: float, frequency: float = 0.2) -> NoiseMeasure:
    return NoiseMeasure(level_hu=level_hu, mean_frequency_per_mm=frequency)


def levels(low: float, high: float, *, sharp: float = 1.0) -> Calibration:
    """Factors of the lung at two noise levels, ``sharp`` times as much at the sharper texture."""
    smooth = np.array([low, high])

    def rows(times: float) -> Factors:
        return tuple(tuple((times * row).tolist()) for row in (smooth, sharp * smooth))

    return Calibration(
        coverage=0.9,
        noise_hu=(10.0, 40.0),
        frequency_per_mm=(0.2, 0.8),
        below=table(lung=rows(1)),
        above=table(lung=rows(2)),
    )


LUNG = np.full((2, 2), CLASSES.index("lung"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_hu": (40.0, 10.0)}, "must be positive and rise"),
        ({"frequency_per_mm": (0.4, 0.4)}, "must be positive and rise"),
        ({"noise_hu": (10.0, 20.0, 40.0)}, "2 rows, one a texture, of 3 factors from 0 to 1000"),
        ({"frequency_per_mm": (0.4,)}, "1 rows, one a texture, of 2 factors from 0 to 1000"),
        ({"coverage": 1.0}, "coverage must be between 0 and 1"),
        ({"below": {"lung": ((1.0, 1.0),) * 2}}, "factors must be for"),
        ({"above": table(bone=((1.0, float("nan")),) * 2)}, "bone needs 2 rows"),
        ({"above": table(bone=((-1.0, 1.0),) * 2)}, "bone needs 2 rows"),
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
    below, above = levels(1.0, 3.0).factors(LUNG, noise(noise_hu))
    assert np.allclose(below, expected)
    assert np.allclose(above, 2 * expected)
    assert below.dtype == np.float32


@pytest.mark.parametrize(
    ("frequency", "expected"), [(0.1, 1.0), (0.2, 1.0), (0.4, 1.5), (0.8, 2.0), (3.0, 2.0)]
)
def test_factors_run_evenly_over_the_logarithm_of_the_texture(
    frequency: float, expected: float
) -> None:
    below, _ = levels(1.0, 1.0, sharp=2.0).factors(LUNG, noise(20.0, frequency))
    assert np.allclose(below, expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_noise_that_was_not_measured_still_gets_a_factor(value: float) -> None:
    for measured in (noise(value), noise(20.0, value), noise(value, value)):
        below, _ = levels(1.0, 3.0).factors(LUNG, measured)
        assert np.isfinite(below).all()


def test_each_voxel_gets_the_factor_of_its_class() -> None:
    classes = np.array([[CLASSES.index("lung"), CLASSES.index("bone")]])
    below, above = levels(3.0, 3.0).factors(classes, noise(20.0))
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
