"""The blind meter, before and after: what the guard measures is what the report shows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.evaluation.ct.quiet_noise import QuietNoiseMeter
from isocenter.evaluation.measure import array_pairs, measure
from isocenter.image.ct_noise import measure_noise

SPACING_MM = (2.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def even() -> NDArray:
    """Three slices of a disc of muscle in air with 20 HU of white noise."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[-1:1:128j, -1:1:128j]
    disc = np.where(np.hypot(row, column) < 0.9, 45.0, -1000.0)
    return np.asarray(disc + rng.normal(0, 20, (3, 128, 128)), np.float32)


def test_halved_noise_is_measured_as_half(even: NDArray) -> None:
    clean = np.where(even > -500, 45.0, -1000.0)
    halved = np.asarray(clean + (even - clean) / 2, np.float32)
    (found,) = measure(array_pairs(even, halved, spacing_mm=SPACING_MM), [QuietNoiseMeter()])
    assert found.test.level_hu == pytest.approx(found.reference.level_hu / 2, rel=1e-3)
    assert found.reference.level_hu == pytest.approx(20, rel=0.25)


def test_each_slice_is_what_the_guard_measures(even: NDArray) -> None:
    (found,) = measure(array_pairs(even, even, spacing_mm=SPACING_MM), [QuietNoiseMeter()])
    assert [each.index for each in found.of_slices] == [0, 1, 2]
    for each in found.of_slices:
        assert each.reference == measure_noise(even[each.index], spacing_mm=SPACING_MM[1:])


def test_air_alone_has_no_noise_to_tell(even: NDArray) -> None:
    air = np.full_like(even, -1000.0)
    (found,) = measure(array_pairs(air, air, spacing_mm=SPACING_MM), [QuietNoiseMeter()])
    assert np.isnan(found.reference.level_hu)
