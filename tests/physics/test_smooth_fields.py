from __future__ import annotations

import numpy as np
import pytest

from isocenter.physics.smooth_fields import SlicedField, nodes_for, smooth_field, spline_weights


def test_weights_of_nodes_add_up_to_one() -> None:
    np.testing.assert_allclose(spline_weights(5, 40).sum(1), 1, atol=1e-6)


def test_a_field_has_unit_deviation_along_the_axes_that_were_asked_for() -> None:
    field = smooth_field(np.random.default_rng(1), (12, 20, 30), (2, 3, 4))
    assert field.shape == (12, 20, 30)
    assert field.std() == pytest.approx(1, abs=1e-4)
    assert np.abs(np.diff(field, axis=2)).max() < 1.0


def test_a_field_by_slices_is_smooth_between_them_and_of_about_unit_deviation() -> None:
    field = SlicedField(np.random.default_rng(2), (20, 24, 28), (8, 8, 8))
    whole = np.stack([field.plane(index) for index in range(20)])
    assert whole.std() == pytest.approx(1, abs=0.15)
    half = field.plane(3.5)
    np.testing.assert_allclose(half, (whole[3] + whole[4]) / 2, atol=1e-5)


def test_nodes_are_as_far_apart_as_a_wave() -> None:
    assert nodes_for((10, 100, 50), (4.0, 1.0, 1.0), 20.0) == (2, 5, 2)
    assert nodes_for((1, 1, 1), (1.0, 1.0, 1.0), 20.0) == (1, 1, 1)
