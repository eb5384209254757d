from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.image.ct_noise import (
    NUM_BANDS,
    frequency_bands,
    magnitude_blocks,
    measure_noise,
    noise_level_maps,
    radial_noise_power,
)

SPACING_MM = (0.7, 0.7)


def water_phantom(size: int = 192) -> NDArray:
    row, column = np.indices((size, size)) - size / 2
    return np.where(np.hypot(row, column) < 0.45 * size, 0.0, -1000.0)


def white(size: int, *, level: float, seed: int = 0) -> NDArray:
    return np.random.default_rng(seed).normal(0, level, (size, size))


@pytest.mark.parametrize("level", [4.0, 15.0, 60.0])
def test_white_noise_is_measured_in_a_water_phantom(level: float) -> None:
    found = measure_noise(water_phantom() + white(192, level=level), spacing_mm=SPACING_MM)
    assert 0.85 * level < found.level_hu < level  # the quietest patches are below the average


def test_mean_frequency_of_white_noise_is_that_of_the_plane() -> None:
    found = measure_noise(water_phantom() + white(192, level=20), spacing_mm=SPACING_MM)
    frequency = np.fft.fftfreq(64, SPACING_MM[0])
    expected = np.hypot(frequency[:, None], frequency[None]).mean()
    assert found.mean_frequency_per_mm == pytest.approx(expected, rel=0.05)


def test_filtered_noise_has_a_lower_mean_frequency() -> None:
    noise = white(192, level=20)
    measured = [
        measure_noise(
            water_phantom() + ndimage.gaussian_filter(noise, width), spacing_mm=SPACING_MM
        ).mean_frequency_per_mm
        for width in (0.0, 0.6, 1.2, 2.4)
    ]
    assert measured == sorted(measured, reverse=True)
    assert measured[-1] < 0.4 * measured[0]


def test_anatomy_is_not_noise() -> None:
    """Broad structure of the size of vessels and folds, twice as strong as the noise."""
    noise = white(192, level=8)
    structure = ndimage.gaussian_filter(white(192, level=1, seed=1), 5.0)
    structure *= 16 / structure.std()
    plain = measure_noise(water_phantom() + noise, spacing_mm=SPACING_MM)
    found = measure_noise(water_phantom() + structure + noise, spacing_mm=SPACING_MM)
    assert found.level_hu == pytest.approx(plain.level_hu, rel=0.05)
    assert found.mean_frequency_per_mm == pytest.approx(plain.mean_frequency_per_mm, rel=0.05)


def test_mean_frequency_counts_in_millimetres() -> None:
    image = water_phantom() + white(192, level=20)
    fine, coarse = (measure_noise(image, spacing_mm=(step, step)) for step in (0.7, 1.4))
    assert fine.mean_frequency_per_mm == pytest.approx(2 * coarse.mean_frequency_per_mm, rel=0.1)


def test_a_gradient_across_the_patient_is_not_noise() -> None:
    ramp = np.linspace(-60, 60, 192)[None, :]
    image = water_phantom() + white(192, level=5)
    tilted = measure_noise(image + ramp, spacing_mm=SPACING_MM)
    level = measure_noise(image, spacing_mm=SPACING_MM).level_hu
    assert tilted.level_hu == pytest.approx(level, rel=0.05)


@pytest.mark.parametrize("value", [-1000.0, -700.0, 900.0])
def test_there_is_no_noise_measure_without_soft_tissue(value: float) -> None:
    image = np.where(water_phantom() == 0, value, -1000.0) + white(192, level=10)
    found = measure_noise(image, spacing_mm=SPACING_MM)
    assert math.isnan(found.level_hu)
    assert math.isnan(found.mean_frequency_per_mm)
    assert radial_noise_power(image, spacing_mm=SPACING_MM)[0].size == 0


def test_an_image_without_noise_has_level_zero_and_no_frequency() -> None:
    found = measure_noise(np.zeros((64, 64)), spacing_mm=SPACING_MM)
    assert found.level_hu == 0
    assert math.isnan(found.mean_frequency_per_mm)


def test_pixels_outside_the_scanner_circle_are_not_measured() -> None:
    image = water_phantom() + white(192, level=20)
    image[:, 96:] = white(192, level=1, seed=1)[:, 96:]  # quiet, were it not for the mask
    valid = np.zeros(image.shape, bool)
    valid[:, :96] = True
    found = measure_noise(image, spacing_mm=SPACING_MM, valid=valid)
    assert found.level_hu == pytest.approx(20, rel=0.1)
    assert measure_noise(image, spacing_mm=SPACING_MM).level_hu < 2


def test_radial_power_of_white_noise_is_flat() -> None:
    seeds = range(4)
    powers = []
    for seed in seeds:
        image = water_phantom(256) + white(256, level=20, seed=seed)
        frequency, power = radial_noise_power(image, spacing_mm=SPACING_MM)
        powers.append(power)
    mean = np.mean(powers, axis=0)[frequency > 0.15 * SPACING_MM[0]]
    assert np.all(np.diff(frequency) > 0)
    assert np.allclose(mean, mean.mean(), rtol=0.15)


def test_radial_power_follows_the_ramp_where_anatomy_would_prevail() -> None:
    image = water_phantom(256) + white(256, level=20)
    structure = ndimage.gaussian_filter(white(256, level=400, seed=1), 6.0)
    for one in (image, image + structure):
        frequency, power = radial_noise_power(one, spacing_mm=SPACING_MM)
        low = (frequency > 0) & (frequency < 0.14 * SPACING_MM[0])
        first = power[low][-1] / frequency[low][-1]
        assert low.any()
        assert power[0] == 0
        assert np.allclose(power[low] / frequency[low], first, rtol=0.02)


def test_bands_and_the_coarse_rest_make_up_the_image() -> None:
    """The rest holds nothing fine: it keeps the level and has lost a checkerboard."""
    flat = torch.full((1, 1, 32, 48), 37.0)
    assert torch.allclose(frequency_bands(flat), torch.zeros(1, NUM_BANDS, 32, 48), atol=1e-4)
    row, column = np.indices((32, 48))
    checkerboard = torch.from_numpy((-1.0) ** (row + column))[None, None]
    bands = frequency_bands(checkerboard)
    inner = (..., slice(8, -8), slice(8, -8))
    assert torch.allclose(bands.sum(dim=1, keepdim=True)[inner], checkerboard[inner], atol=0.02)
    assert torch.allclose(bands[:, :1][inner], checkerboard[inner], atol=1e-9)


def test_bands_split_noise_without_loss_of_any_frequency() -> None:
    """What the bands leave is a low-pass: one at the origin, never negative, soon zero."""
    impulse = torch.zeros(1, 1, 128, 128, dtype=torch.float64)
    impulse[..., 64, 64] = 1
    bands = frequency_bands(impulse)[0]
    rest = impulse[0, 0] - bands.sum(dim=0)
    assert rest.sum().item() == pytest.approx(1, abs=1e-12)
    gain = torch.fft.fft2(torch.fft.ifftshift(rest)).real
    assert gain.min() > -1e-9
    assert gain[0, :65].diff().max() < 0.01
    assert gain[0, 16:65].abs().max() < 0.05
    peaks = [torch.fft.fft2(band).abs()[0, :65].argmax().item() for band in bands]
    assert peaks == sorted(peaks, reverse=True)


def test_level_maps_scale_with_the_noise() -> None:
    image = torch.from_numpy(white(64, level=10)).float()[None, None]
    levels = noise_level_maps(image)
    assert levels.shape == (1, NUM_BANDS, 4, 4)
    assert torch.allclose(noise_level_maps(3 * image), 3 * levels, rtol=1e-4)
    assert torch.allclose(noise_level_maps(image + 50), levels, rtol=1e-3)


def test_level_of_the_finest_band_of_white_noise_is_known() -> None:
    image = torch.from_numpy(white(256, level=10)).float()[None, None]
    binomial = np.array([1, 4, 6, 4, 1]) / 16
    kernel = -np.outer(binomial, binomial)
    kernel[2, 2] += 1
    expected = 10 * np.linalg.norm(kernel)
    found = noise_level_maps(image)[0, 0]
    assert 0.85 * expected < found.mean() < expected  # the second smallest of nine lies below


def test_level_maps_see_noise_beside_an_edge() -> None:
    image = torch.from_numpy(white(128, level=10)).float()
    stepped = image.clone()
    stepped[:, 70:] += 1000
    with_edge, without = (noise_level_maps(one[None, None])[0, 0] for one in (stepped, image))
    assert (with_edge / without).max() < 1.3


def test_blocks_gather_their_own_pixels() -> None:
    row, column = torch.meshgrid(torch.arange(32), torch.arange(48), indexing="ij")
    blocks = magnitude_blocks((row // 16 * 10 + column // 16).float()[None, None])
    assert blocks.shape == (1, 1, 2, 3, 256)
    expected = torch.tensor([[0.0, 1, 2], [10, 11, 12]])
    assert torch.equal(blocks, expected[None, None, ..., None].expand(1, 1, 2, 3, 256))
