from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from isocenter.physics.ct_dose import (
    BowTie,
    DoseSimulator,
    LowerDose,
    photons_for_noise,
    simulate_lower_dose,
)
from isocenter.physics.ct_kernels import KERNELS, Kernel
from isocenter.physics.ct_projection import FanBeam

GEOMETRY = FanBeam.covering(200, pitch_at_isocenter_mm=1.4, num_views=180)
SPACING_MM = (1.6, 1.6)
SIZE = 80
SHARP = Kernel(half_frequency_per_mm=0.25, order=4.0)


def ellipse_hu(half_columns_mm: float, half_rows_mm: float) -> np.ndarray:
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM[0]
    inside = np.hypot(axis[:, None] / half_rows_mm, axis[None, :] / half_columns_mm) < 1
    return np.where(inside, 0.0, -1000.0)


def noise_of(
    image_hu: Any,
    *,
    realizations: Any = 24,
    dose_fraction: Any = 0.25,
    kernel: Any = SHARP,
    **settings: Any,
) -> Any:
    """(realization, row, column)."""
    options: dict[str, Any] = {"photons": 1e5, "geometry": GEOMETRY, "bow_tie": None}
    stack = np.broadcast_to(image_hu, (realizations, *image_hu.shape))
    simulator = DoseSimulator(stack, spacing_mm=SPACING_MM, **options | settings)
    return simulator.noise_hu(dose_fraction, kernel, np.random.default_rng(5))


def chords(shape: Any = (1, 64, 32), largest: Any = 3.0) -> Any:
    return np.broadcast_to(np.linspace(0, largest, shape[-1], dtype=np.float32), shape)


TABLE = FanBeam(num_views=64, num_channels=32)


@pytest.mark.parametrize("electronic_noise", [0.0, 8.0])
@pytest.mark.parametrize("dose_fraction", [0.1, 0.5])
@pytest.mark.parametrize("photons", [4000.0, 1e6])
def test_added_variance_follows_the_formula(
    photons: Any, dose_fraction: Any, electronic_noise: Any
) -> None:
    lower = LowerDose(
        photons=photons, dose_fraction=dose_fraction, electronic_noise=electronic_noise
    )
    lines = chords((80, 64, 32), largest=1.5)
    noise = lower.added_noise(lines, TABLE, np.random.default_rng(0))
    ratio = noise.var(axis=(0, 1)) / lower.added_variance(lines[0], TABLE)[0]
    # the logarithm of few counts spreads a little more than its linear formula
    tolerance = 0.06 if photons > 1e5 else 0.25
    np.testing.assert_allclose(ratio, 1, atol=tolerance)


def test_two_dose_steps_equal_one() -> None:
    lines = chords((200, 64, 32))
    once = LowerDose(photons=4e4, dose_fraction=0.25)
    first = replace(once, dose_fraction=0.5)
    second = replace(once, photons=2e4, dose_fraction=0.5)
    rng = np.random.default_rng(1)
    quarter = once.added_noise(lines, TABLE, rng)
    halves = first.added_noise(lines, TABLE, rng) + second.added_noise(lines, TABLE, rng)
    np.testing.assert_allclose(halves.std(axis=(0, 1)), quarter.std(axis=(0, 1)), rtol=0.03)
    expected = first.added_variance(lines, TABLE) + second.added_variance(lines, TABLE)
    np.testing.assert_allclose(expected, once.added_variance(lines, TABLE), rtol=1e-6)


def test_two_dose_steps_equal_one_where_few_photons_arrive() -> None:
    lines = np.full((100, 64, 32), 4.0, dtype=np.float32)
    once = LowerDose(photons=6000.0, dose_fraction=0.25, electronic_noise=0.0, bow_tie=None)
    rng = np.random.default_rng(2)
    first = replace(once, dose_fraction=0.5).added_noise(lines, TABLE, rng)
    second = replace(once, photons=3000.0, dose_fraction=0.5).added_noise(lines, TABLE, rng)
    quarter = once.added_noise(lines, TABLE, rng)
    assert (first + second).std() == pytest.approx(quarter.std(), rel=0.03)


def test_starved_rays_stay_finite() -> None:
    lower = LowerDose(photons=1000.0, dose_fraction=0.01)
    noise = lower.added_noise(chords(largest=15.0), TABLE, np.random.default_rng(3))
    assert np.isfinite(noise).all()


def test_full_dose_adds_nothing() -> None:
    noise = noise_of(ellipse_hu(40, 40), realizations=1, dose_fraction=1.0)
    assert not noise.any()


def test_image_noise_grows_as_dose_falls() -> None:
    image = ellipse_hu(45, 45)
    center = (slice(None), slice(30, 50), slice(30, 50))
    half = noise_of(image, dose_fraction=0.5, electronic_noise=0.0)[center].std()
    quarter = noise_of(image, dose_fraction=0.25, electronic_noise=0.0)[center].std()
    assert quarter / half == pytest.approx(np.sqrt(3), rel=0.05)


def test_image_noise_matches_the_formula_of_filtered_backprojection() -> None:
    """Variance at the isocenter: sum of the squared filter over views, Kak & Slaney 5.2."""
    image, photons, radius_mm = ellipse_hu(50, 50), 2e5, 50
    noise = noise_of(image, photons=photons, electronic_noise=0.0, realizations=40)
    arriving = photons * np.exp(-2 * radius_mm * 0.0193)
    pitch = GEOMETRY.pitch_at_isocenter_mm
    frequency = np.fft.rfftfreq(4096, pitch)
    gain = frequency * SHARP.response(torch.from_numpy(frequency)).numpy()
    interpolation = (2 + np.cos(2 * np.pi * frequency * pitch)) / 3  # linear, between channels
    spectrum = np.trapezoid(2 * gain**2 * interpolation, frequency) * pitch
    # each line is seen twice in a full turn, so every view counts half
    per_mm = (np.pi / GEOMETRY.num_views) ** 2 * GEOMETRY.num_views * spectrum
    expected = 1000 / 0.0193 * np.sqrt(per_mm * 3 / arriving)
    measured = noise[:, 36:44, 36:44].std()
    assert measured == pytest.approx(expected, rel=0.06)


def test_noise_spectrum_rises_like_a_ramp_and_rolls_off() -> Any:
    noise = noise_of(ellipse_hu(60, 60), realizations=32)[:, 24:56, 24:56]
    power = (np.abs(np.fft.fft2(noise - noise.mean((1, 2), keepdims=True))) ** 2).mean(0)
    frequency = np.fft.fftfreq(32, SPACING_MM[0])
    radius = np.hypot(frequency[:, None], frequency)

    def level(low: Any, high: Any) -> Any:
        return power[(radius >= low) & (radius < high)].mean()

    assert level(0.10, 0.12) / level(0.05, 0.06) == pytest.approx(2, rel=0.3)
    assert level(0.28, 0.31) < 0.5 * level(0.15, 0.18)


def test_noise_of_a_wide_body_lies_in_horizontal_streaks() -> None:
    wide = noise_of(ellipse_hu(62, 30), realizations=16, current_modulation=0.0)
    center = wide[:, 32:48, 32:48]
    along = np.diff(center, axis=2).var()
    across = np.diff(center, axis=1).var()
    assert across > 1.5 * along
    modulated = noise_of(ellipse_hu(62, 30), realizations=16, current_modulation=0.5)
    center = modulated[:, 32:48, 32:48]
    assert np.diff(center, axis=1).var() / np.diff(center, axis=2).var() < 0.85 * across / along


def test_bow_tie_moves_noise_outwards() -> Any:
    image = ellipse_hu(60, 60)

    def edge_over_center(bow_tie: Any) -> Any:
        noise = noise_of(image, bow_tie=bow_tie)
        return noise[:, 36:44, 8:14].std() / noise[:, 36:44, 36:44].std()

    bow_tie = BowTie(cylinder_diameter_mm=120, strength=1.0)
    assert edge_over_center(bow_tie) > 1.2 * edge_over_center(None)


def test_neighbouring_slices_correlate_as_asked() -> None:
    noise = noise_of(ellipse_hu(50, 50), realizations=30, slice_correlation=0.4)
    independent = noise_of(ellipse_hu(50, 50), realizations=30)
    middle = noise[:, 25:55, 25:55].reshape(30, -1)
    correlation = np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairwise(middle)])
    assert correlation == pytest.approx(0.4, abs=0.05)
    assert noise.std() == pytest.approx(independent.std(), rel=0.05)


def test_photon_number_is_found_from_a_noise_level() -> None:
    image = ellipse_hu(50, 40)
    simulator = DoseSimulator(image, spacing_mm=SPACING_MM, geometry=GEOMETRY, electronic_noise=0.0)
    mask = image > -100
    photons = photons_for_noise(simulator, noise_hu=13.0, kernel=SHARP, mask=mask)
    rng = np.random.default_rng(9)
    added = simulator.with_photons(photons).noise_hu(0.25, SHARP, rng)[mask].std()
    assert added == pytest.approx(13.0 * np.sqrt(3), rel=0.1)


def test_realizations_are_independent_draws() -> None:
    simulator = DoseSimulator(ellipse_hu(50, 50), spacing_mm=SPACING_MM, geometry=GEOMETRY)
    noise = simulator.noise_hu(0.25, SHARP, np.random.default_rng(6), realizations=5)
    assert noise.shape == (5, SIZE, SIZE)
    correlation = np.corrcoef(noise.reshape(5, -1))
    assert np.abs(correlation - np.eye(5)).max() < 0.1


def test_sharper_kernels_are_noisier() -> None:
    image = ellipse_hu(50, 50)
    levels = [
        noise_of(image, realizations=2, kernel=kernel)[:, 30:50, 30:50].std()
        for kernel in ("B10f", "B30f", "D45f")
    ]
    assert levels == sorted(levels)


def test_coarse_line_integrals_are_close_to_fine_ones() -> None:
    image = ellipse_hu(55, 40)[:, 1:]  # odd size: needs padding
    fine, coarse = (
        DoseSimulator(image, spacing_mm=SPACING_MM, geometry=GEOMETRY, coarseness=step)
        for step in (1, 3)
    )
    assert np.abs(fine.line_integrals - coarse.line_integrals).mean() < 0.03


def test_same_generator_same_scan() -> None:
    settings: dict[str, Any] = {
        "spacing_mm": SPACING_MM,
        "dose_fraction": 0.3,
        "kernel": KERNELS["B30f"],
        "photons": 1e5,
        "geometry": GEOMETRY,
    }
    image = ellipse_hu(40, 30)
    first, second = (
        simulate_lower_dose(image, rng=np.random.default_rng(4), **settings) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert abs((first - image).mean()) < 3


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"dose_fraction": 0.0}, "dose_fraction"),
        ({"dose_fraction": 1.5}, "higher dose"),
        ({"photons": float("nan")}, "photons"),
        ({"electronic_noise": -1.0}, "electronic_noise"),
    ],
)
def test_impossible_doses_are_refused(change: Any, part: Any) -> None:
    with pytest.raises(ValueError, match=part):
        LowerDose(**({"photons": 1e5, "dose_fraction": 0.5} | change))


def test_images_with_holes_are_refused() -> None:
    image = ellipse_hu(40, 40)
    image[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        DoseSimulator(image, spacing_mm=SPACING_MM)


def test_unknown_kernels_are_named() -> None:
    with pytest.raises(ValueError, match="B30f"):
        noise_of(ellipse_hu(40, 40), realizations=1, kernel="X99")
