"""What scanners do to a signal, by identities that hold for each."""

from __future__ import annotations

import numpy as np
import pytest

from isocenter.physics.mr_imaging import (
    coil_gain,
    distorted,
    echo_planar_blur,
    echo_planar_shift,
    moved_during_scan,
    shimmed,
    susceptibility_field_ppm,
    thick_slices,
    undistorted,
)


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.mgrid[:48, :48]
    return np.exp(-((y - 22) ** 2 + (x - 26) ** 2) / 60.0) + 0.5 * ((y > 15) & (y < 30) & (x > 18))


def test_a_coil_changes_brightness_but_not_on_average() -> None:
    field = np.random.default_rng(1).standard_normal(10_000)
    gain = coil_gain(field - field.mean(), strength=0.1)
    assert np.log(gain).mean() == pytest.approx(0, abs=1e-6)
    assert np.log(gain).std() == pytest.approx(0.1, rel=0.02)
    assert np.all(coil_gain(field, strength=0.0) == 1)


def test_partial_volume_keeps_the_signal() -> None:
    thin = np.random.default_rng(2).random((12, 8, 8))
    assert thick_slices(thin, 4).sum() * 4 == pytest.approx(thin.sum())
    mixed = thick_slices(np.stack([np.full((2, 2), 1.0), np.full((2, 2), 3.0)]), 2)
    assert np.all(mixed == 2)
    with pytest.raises(ValueError, match="num_layers"):
        thick_slices(thin, 0)


def test_a_head_that_lies_still_is_not_changed(image: np.ndarray) -> None:
    still = moved_during_scan(image, np.zeros((5, 2)), spacing_mm=1.0)
    np.testing.assert_allclose(still, image, atol=1e-6)


def test_one_shift_for_all_lines_moves_the_image(image: np.ndarray) -> None:
    moved = moved_during_scan(image, np.array([[3.0, -2.0]]), spacing_mm=1.0)
    np.testing.assert_allclose(moved, np.roll(image, (3, -2), (0, 1)), atol=1e-5)


def test_motion_makes_ghosts_of_the_same_energy(image: np.ndarray) -> None:
    shifts = np.random.default_rng(3).normal(0, 2, (6, 2))
    moved = moved_during_scan(image, shifts, spacing_mm=1.0)
    assert np.abs(moved - image).max() > 0.1
    assert (moved**2).sum() == pytest.approx((image**2).sum(), rel=1e-3)


def test_distortion_keeps_the_signal_and_can_be_taken_back(image: np.ndarray) -> None:
    y, x = np.mgrid[:48, :48]
    shift = 3.0 * np.sin(y / 9.0) * np.cos(x / 11.0)
    bent = distorted(image, shift)
    np.testing.assert_allclose(bent.sum(0), image.sum(0), rtol=1e-4)
    assert np.abs(bent - image).max() > 0.2
    smooth = image[:, :16]  # without the step, which no interpolation gives back
    back = undistorted(distorted(smooth, shift[:, :16]), shift[:, :16])
    np.testing.assert_allclose(back, smooth, atol=0.03)


def test_a_shift_of_whole_rows_moves_rows(image: np.ndarray) -> None:
    padded = np.pad(image[4:-4], ((4, 4), (0, 0)))
    np.testing.assert_allclose(
        distorted(padded, np.full(padded.shape, 2.0)), np.roll(padded, 2, 0), atol=1e-6
    )


def test_where_rows_meet_signal_piles_up() -> None:
    image = np.ones((20, 1))
    shift = np.where(np.arange(20)[:, None] < 10, 4.0, 0.0)
    bent = distorted(image, shift)
    assert bent.max() > 3
    assert bent.sum() == pytest.approx(20)


def test_readout_field_and_length_shift_in_proportion() -> None:
    field = np.array([[0.5]])
    once = echo_planar_shift(field, field_tesla=1.5, readout_ms=30.0)
    assert float(once[0, 0]) == pytest.approx(0.5 * 42.577 * 1.5 * 0.03)
    assert echo_planar_shift(field, field_tesla=3.0, readout_ms=15.0) == pytest.approx(once)


def test_the_middle_of_k_space_keeps_the_mean_and_loses_the_detail(image: np.ndarray) -> None:
    blurred = echo_planar_blur(image, matrix=12)
    assert blurred.mean() == pytest.approx(image.mean(), rel=0.06)  # a magnitude: ringing adds
    assert np.abs(np.diff(blurred, axis=1)).max() < np.abs(np.diff(image, axis=1)).max() / 2
    faded = echo_planar_blur(image, matrix=48, decay=2.0)
    assert faded.mean() == pytest.approx(image.mean(), rel=0.1)


def test_a_ball_of_air_bends_the_field_as_a_dipole_outside_and_not_within() -> None:
    z, y, x = np.mgrid[-32:32, -32:32, -32:32]
    radius = 6.0
    field = susceptibility_field_ppm(np.sqrt(z**2 + y**2 + x**2) < radius, spacing_mm=1.0)
    field = field - field[32, 32, 32]
    # On the axis at twice the radius: 2/3 of the difference over 8.
    expected = 9.4 * 2 / 3 / 8
    assert float(field[32 + 12, 32, 32]) == pytest.approx(expected, rel=0.25)
    assert float(field[32, 32 + 12, 32]) == pytest.approx(-expected / 2, rel=0.25)


def test_a_shim_takes_constants_and_slopes_away() -> None:
    z, y, x = np.mgrid[:6, :7, :8].astype(float)
    where = (x > 1) & (y > 1)
    assert np.abs(shimmed(3 + 2 * z - y + 0.5 * x, where)).max() < 1e-4
