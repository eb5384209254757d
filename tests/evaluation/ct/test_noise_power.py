from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.evaluation.ct import (
    NoisePowerSpectrum,
    homogeneous_regions,
    noise_power_spectrum,
)

SPACING_MM = (3.0, 0.8, 0.7)


def soft_tissue(num_slices: int = 4, size: int = 192) -> NDArray:
    image = np.full((num_slices, size, size), -1000.0)
    image[:, 8:-8, 8:-8] = 40.0
    return image


def filtered_noise(shape: tuple[int, ...], amplitude: NDArray, sigma_hu: float) -> NDArray:
    white = np.random.default_rng(5).standard_normal(shape)
    noise = np.fft.ifft2(np.fft.fft2(white) * amplitude).real
    return noise * (sigma_hu / noise.std())


def radial_frequency(size: int) -> NDArray:
    row, column = (np.fft.fftfreq(size, step) for step in SPACING_MM[1:])
    return np.hypot(row[:, None], column[None, :])


def measure(image: NDArray) -> NoisePowerSpectrum:
    regions = homogeneous_regions(soft_tissue(), spacing_mm=SPACING_MM)
    spectrum = noise_power_spectrum(image, regions, spacing_mm=SPACING_MM)
    assert spectrum is not None
    return spectrum


def test_white_noise_is_flat_and_integrates_to_its_variance() -> None:
    noise = np.random.default_rng(0).normal(0, 20, soft_tissue().shape)
    spectrum = measure(soft_tissue() + noise)
    flat = 20**2 * SPACING_MM[1] * SPACING_MM[2]
    assert spectrum.noise_hu == pytest.approx(20, rel=0.02)
    # The parabola that is taken away takes the lowest frequencies with it.
    np.testing.assert_allclose(spectrum.radial_power_hu2_mm2[2:] / flat, 1, atol=0.2)
    assert np.mean(spectrum.radial_power_hu2_mm2[2:]) == pytest.approx(flat, rel=0.03)


def test_filtered_noise_has_the_mean_and_peak_it_was_given() -> None:
    frequency = radial_frequency(192)
    amplitude = np.sqrt(frequency) * np.exp(-((frequency / 0.4) ** 2))
    spectrum = measure(soft_tissue() + filtered_noise(soft_tissue().shape, amplitude, 30))
    axis = np.linspace(0, 0.6, 500)
    power = axis * np.exp(-2 * (axis / 0.4) ** 2)
    assert spectrum.mean_frequency_per_mm == pytest.approx(
        (axis * power).sum() / power.sum(), rel=0.05
    )
    assert spectrum.peak_frequency_per_mm == pytest.approx(0.2, abs=0.04)


def test_blur_lowers_mean_frequency_and_noise() -> None:
    from scipy import ndimage

    noisy = soft_tissue() + np.random.default_rng(2).normal(0, 20, soft_tissue().shape)
    before, after = measure(noisy), measure(ndimage.gaussian_filter(noisy, (0, 1, 1)))
    assert after.mean_frequency_per_mm < 0.6 * before.mean_frequency_per_mm
    assert after.noise_hu < 0.4 * before.noise_hu


def test_streaks_show_in_their_direction() -> None:
    rows = np.random.default_rng(3).normal(0, 20, (4, 192, 1))
    spectrum = measure(soft_tissue() + rows)
    middle = spectrum.power_hu2_mm2.shape[1] // 2
    along_rows = spectrum.power_hu2_mm2[:, middle - 1 : middle + 2].sum()
    assert along_rows > 0.95 * spectrum.power_hu2_mm2.sum()


def test_regions_avoid_structure_and_stay_inside_soft_tissue() -> None:
    image = soft_tissue(num_slices=1)
    image[0, 60:110, 60:110] += np.indices((50, 50)).sum(axis=0) // 6 % 2 * 80.0
    image[0, 8:60, 8:-8] = -850.0
    regions = homogeneous_regions(image, spacing_mm=SPACING_MM)
    assert regions
    for region in regions:
        assert np.ptp(region.of(image[0])) == 0
        assert region.of(image[0]).mean() == 40


def test_regions_share_at_most_half_of_their_sides() -> None:
    image = soft_tissue(num_slices=1)
    regions = homogeneous_regions(image, spacing_mm=SPACING_MM)
    assert len(regions) > 1
    for one, other in itertools.combinations(regions, 2):
        apart = (
            abs(one.row - other.row) / one.shape[0],
            abs(one.column - other.column) / one.shape[1],
        )
        assert max(apart) >= 0.5


def test_air_alone_offers_no_region() -> None:
    air = np.full((2, 64, 64), -1000.0)
    assert homogeneous_regions(air, spacing_mm=SPACING_MM) == []
    assert noise_power_spectrum(air, [], spacing_mm=SPACING_MM) is None


def test_noiseless_image_has_no_mean_frequency() -> None:
    spectrum = measure(np.zeros(soft_tissue().shape))
    assert spectrum.noise_hu == 0
    assert np.isnan(spectrum.mean_frequency_per_mm)
    assert np.isnan(spectrum.peak_frequency_per_mm)
