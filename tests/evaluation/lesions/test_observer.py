from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import norm

from isocenter.core.volume import Geometry
from isocenter.evaluation.lesions.lesions import Lesion, LesionKind, lesion_profile
from isocenter.evaluation.lesions.observer import (
    HotellingObserver,
    bootstrap_d_squared,
    cut_regions,
    difference_of_gaussian_channels,
    held_out_auc,
    hotelling_estimate,
)

PIXEL_MM = 0.7
SPACING = (PIXEL_MM, PIXEL_MM)
FREQUENCY = np.linspace(0, 0.7, 300)

Spectrum = Callable[[NDArray], NDArray]


def ramp_spectrum(frequency: NDArray) -> NDArray:
    """Like filtered backprojection: noise that vanishes towards zero frequency."""
    return 900 * frequency * np.exp(-((frequency / 0.45) ** 4)) + 8


def region_radius(half: int = 17) -> NDArray:
    offset = np.arange(-half, half + 1) * PIXEL_MM
    return np.hypot(offset[:, None], offset)


def covariance_of(spectrum: NDArray, size: int) -> NDArray:
    """Of the pixels of a square region, from a 2-D spectrum (HU^2 mm^2) on a periodic grid."""
    shift = np.real(np.fft.ifft2(spectrum)) / PIXEL_MM**2
    row, column = np.divmod(np.arange(size**2), size)
    return shift[row[:, None] - row, column[:, None] - column]


def grid_frequency(size: int = 128) -> NDArray:
    axis = np.fft.fftfreq(size, PIXEL_MM)
    return np.hypot(axis[:, None], axis)


def nodule(diameter_mm: float, contrast_hu: float, half: int = 17) -> NDArray:
    kind = LesionKind(name="test", tissue="soft", diameter_mm=diameter_mm, contrast_hu=contrast_hu)
    size = 2 * half + 1
    geometry = Geometry(shape=(1, size, size), spacing_mm=(1.0, *SPACING))
    centre = (half * PIXEL_MM, half * PIXEL_MM, 0.0)
    first, profile = lesion_profile(Lesion(kind=kind, position_mm=centre, lobulation=0.0), geometry)
    image = np.zeros((size, size))
    rows, columns = profile.shape[1:]
    middle = profile[-first[0]]
    image[first[1] : first[1] + rows, first[2] : first[2] + columns] = middle
    return image


def exact_d_prime(channels: NDArray, signal: NDArray, covariance: NDArray) -> float:
    seen = channels.T @ signal.ravel()
    return float(np.sqrt(seen @ np.linalg.solve(channels.T @ covariance @ channels, seen)))


@pytest.mark.parametrize("spectrum", [lambda f: 0 * f + 200.0, ramp_spectrum])
def test_the_default_channels_see_what_the_ideal_observer_sees(spectrum: Spectrum) -> None:
    covariance = covariance_of(spectrum(grid_frequency()), 35)
    channels = HotellingObserver().channels(SPACING)
    for diameter, contrast in [(4.0, -40.0), (6.0, -30.0), (10.0, -15.0)]:
        signal = nodule(diameter, contrast)
        ideal = np.sqrt(signal.ravel() @ np.linalg.solve(covariance, signal.ravel()))
        assert 0.98 * ideal < exact_d_prime(channels, signal, covariance) <= ideal * (1 + 1e-9)


@pytest.mark.parametrize("spectrum", [lambda f: 0 * f + 200.0, ramp_spectrum])
def test_d_prime_of_known_noise_is_the_analytic_one(spectrum: Spectrum) -> None:
    channels = difference_of_gaussian_channels(region_radius())
    signal = nodule(6.0, -30.0)
    rng = np.random.default_rng(3)
    power = spectrum(grid_frequency())
    amplitude = np.sqrt(power) / PIXEL_MM
    regions = []
    for _ in range(500):
        image = np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal(power.shape)) * amplitude))
        regions += [image[:35, :35], image[64:99, :35], image[:35, 64:99], image[64:99, 64:99]]
    seen = np.array(regions).reshape(len(regions), -1) @ channels
    present, absent = seen[::2] + signal.ravel() @ channels, seen[1::2]
    truth = exact_d_prime(channels, signal, covariance_of(power, 35))
    assert hotelling_estimate(present, absent).d_prime[0] == pytest.approx(truth, rel=0.06)


def gaussian_pairs(
    rng: np.random.Generator, places: int, channels: int, d_prime: float, shared: float
) -> tuple[NDArray, NDArray]:
    mixing = np.eye(channels) + 0.3 * rng.standard_normal((channels, channels))
    whitened = np.full(channels, d_prime / np.sqrt(channels))
    common = np.sqrt(shared) * rng.standard_normal((places, channels))
    own = np.sqrt(1 - shared)
    absent = (common + own * rng.standard_normal((places, channels))) @ mixing.T
    present = (common + own * rng.standard_normal((places, channels)) + whitened) @ mixing.T
    return present, absent


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_d_squared_has_no_small_sample_bias(shared: float) -> None:
    rng = np.random.default_rng(5)
    found = [
        hotelling_estimate(*gaussian_pairs(rng, 50, 8, 2.0, shared)).d_squared[0]
        for _ in range(300)
    ]
    assert np.mean(found) == pytest.approx(4.0, abs=4 * np.std(found) / np.sqrt(300) + 0.08)


def test_bootstrap_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(40):
        present, absent = gaussian_pairs(rng, 60, 6, 2.0, 0.3)
        draws = rng.multinomial(60, np.full(60, 1 / 60), size=80).astype(float)
        drawn = bootstrap_d_squared(present, absent, draws=draws)
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered += low <= 4.0 <= high
    assert covered >= 34


def test_held_out_auc_agrees_with_d_prime_for_normal_outputs() -> None:
    rng = np.random.default_rng(7)
    present, absent = gaussian_pairs(rng, 800, 6, 1.5, 0.0)
    assert held_out_auc(present, absent)[0] == pytest.approx(norm.cdf(1.5 / np.sqrt(2)), abs=0.03)


def test_tasks_that_share_a_background_are_told_apart() -> None:
    rng = np.random.default_rng(8)
    task = np.arange(600) % 3
    absent = rng.standard_normal((600, 5))
    present = rng.standard_normal((600, 5))
    present[:, 0] += np.array([0.0, 1.0, 3.0])[task]
    found = hotelling_estimate(present, absent, task=task).d_prime
    assert found == pytest.approx([0.0, 1.0, 3.0], abs=0.35)


@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 10.0])
@pytest.mark.parametrize("anatomy", [0.0, 1.0])
def test_no_blur_raises_exact_d_prime(diameter_mm: float, anatomy: float) -> None:
    frequency = grid_frequency()
    power = ramp_spectrum(frequency) + anatomy * 0.03 / (0.03**2 + frequency**2) ** 1.5
    observer = HotellingObserver()
    channels, internal = observer.channels(SPACING), observer.internal_covariance(SPACING)
    found = []
    for sigma_mm in [0.0, 0.5, 1.0, 1.5, 2.5]:
        transfer = np.exp(-2 * (np.pi * sigma_mm * frequency) ** 2)
        signal = ndimage.gaussian_filter(nodule(diameter_mm, -30.0), sigma_mm / PIXEL_MM)
        covariance = covariance_of(power * transfer**2, 35)
        seen = channels.T @ signal.ravel() * PIXEL_MM
        noise = PIXEL_MM**2 * channels.T @ covariance @ channels + internal
        found.append(float(np.sqrt(seen @ np.linalg.solve(noise, seen))))
    assert all(later < found[0] * 1.001 for later in found[1:])
    assert found[-1] < 0.99 * found[0]


def test_a_region_that_leaves_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves the image"):
        cut_regions(np.zeros((40, 40)), np.array([[5, 20]]), half_size=(17, 17))


def test_too_few_places_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        hotelling_estimate(np.zeros((12, 10)), np.zeros((12, 10)))
