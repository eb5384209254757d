from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.physics.echo_planar import blurred_by_decay, displaced

IMAGE = np.random.default_rng(0).uniform(0, 10, (2, 12, 16))


@given(st.integers(0, 10_000), st.sampled_from([1, 2, -1]))
def test_a_field_moves_signal_and_makes_none(seed: int, axis: int) -> None:
    field = np.random.default_rng(seed).normal(0, 40, IMAGE.shape)
    moved = displaced(IMAGE, field, bandwidth_hz_per_pixel=15.0, axis=axis)
    np.testing.assert_allclose(moved.sum(axis=axis), IMAGE.sum(axis=axis))


@pytest.mark.parametrize("pixels", [-3, 0, 5])
def test_an_even_field_shifts_by_its_hertz_over_the_bandwidth(pixels: int) -> None:
    field = np.full(IMAGE.shape, 20.0 * pixels)
    moved = displaced(IMAGE, field, bandwidth_hz_per_pixel=20.0, axis=1)
    np.testing.assert_allclose(moved, np.roll(IMAGE, pixels, axis=1), atol=1e-12)


def test_signal_piles_up_where_the_field_falls() -> None:
    even = np.ones((1, 20))
    field = np.zeros((1, 20))
    field[0, 5:15] = -np.arange(10.0) / 2  # each pixel half a pixel less far than the one before
    moved = displaced(even, field, bandwidth_hz_per_pixel=1.0, axis=1)
    assert moved[0, 5:10].mean() == pytest.approx(2, abs=0.2)


def test_decay_blurs_points_and_leaves_even_images() -> None:
    point = np.zeros((1, 64))
    point[0, 32] = 1.0
    slow = blurred_by_decay(point, t2_star_ms=1e9, readout_ms=60, axis=1)
    np.testing.assert_allclose(slow, point, atol=1e-6)
    sharp, soft = (
        blurred_by_decay(point, t2_star_ms=50, readout_ms=readout, axis=1) for readout in (20, 80)
    )
    assert soft[0, 33] > sharp[0, 33] > 0
    even = np.full((3, 32), 4.0)
    np.testing.assert_allclose(blurred_by_decay(even, t2_star_ms=40, readout_ms=60, axis=1), even)


def test_decay_blurs_along_its_axis_alone() -> None:
    rows = np.repeat(np.arange(8.0)[:, None], 6, axis=1)
    np.testing.assert_allclose(blurred_by_decay(rows, t2_star_ms=20, readout_ms=60, axis=1), rows)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0])
def test_what_no_scanner_has_is_refused(bandwidth: float) -> None:
    with pytest.raises(ValueError, match="bandwidth_hz_per_pixel"):
        displaced(IMAGE, np.zeros(IMAGE.shape), bandwidth_hz_per_pixel=bandwidth, axis=1)
    with pytest.raises(ValueError, match="off_resonance_hz"):
        displaced(IMAGE, np.zeros(3), bandwidth_hz_per_pixel=10.0, axis=1)
    with pytest.raises(ValueError, match="t2_star_ms"):
        blurred_by_decay(IMAGE, t2_star_ms=0, readout_ms=10, axis=1)
