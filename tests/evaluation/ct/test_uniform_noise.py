"""Spectra are shown where they hold noise, and not where anatomy is in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.ct.uniform_noise import UniformNoise, UniformNoiseMeter
from isocenter.evaluation.measure import array_pairs, measure

SPACING_MM = (3.0, 0.8, 0.8)


def ct_noise(level_hu: float, seed: int) -> NDArray:
    """Noise of standard deviation ``level_hu`` whose power rises as reconstruction's ramp does."""
    white = np.random.default_rng(seed).normal(0, 1, (2, 160, 160))
    frequency = np.hypot(np.fft.fftfreq(160)[:, None], np.fft.fftfreq(160)[None, :])
    shape = np.sqrt(frequency) * np.exp(-((frequency / 0.3) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(white) * shape).real
    return level_hu * noise / noise.std()


def body() -> NDArray:
    image = np.full((2, 160, 160), -1000.0)
    image[:, 8:-8, 8:-8] = 45.0
    return image


def measured(before: NDArray, after: NDArray) -> UniformNoise:
    pairs = [
        replace(pair, guide=(pair.reference + pair.test) / 2)
        for pair in array_pairs(before, after, spacing_mm=SPACING_MM)
    ]
    (found,) = measure(pairs, [UniformNoiseMeter()])
    assert isinstance(found, UniformNoise)
    return found


def test_spectra_of_even_tissue_integrate_to_the_level_measured() -> None:
    noise = ct_noise(30, seed=1)
    found = measured(body() + noise, body() + noise / 3)
    assert found.before is not None
    assert found.after is not None
    assert found.removed is not None
    assert found.before.noise_hu == pytest.approx(30, rel=0.15)
    assert found.after.noise_hu == pytest.approx(10, rel=0.15)
    assert found.removed.noise_hu == pytest.approx(20, rel=0.15)


def test_no_spectrum_is_shown_of_a_quiet_scan_full_of_anatomy() -> None:
    """Blobs some centimetres wide give low frequencies thousands of HU² mm²; nothing is noise."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(3).normal(0, 1, (2, 160, 160)), (0, 5, 5))
    anatomy = body() + 25 * blobs / blobs.std()
    noise = ct_noise(5, seed=4)
    found = measured(anatomy + noise, anatomy + noise / 2)
    assert found.before is None
    assert found.after is None
    assert found.num_regions > 0
    assert found.integral_hu[0] > 1.2 * found.quiet.reference.level_hu
    assert found.removed is not None
    assert found.removed.noise_hu == pytest.approx(2.5, rel=0.25)


def test_what_was_removed_is_not_shown_where_it_holds_anatomy() -> None:
    noise = ct_noise(20, seed=5)
    lost = ndimage.gaussian_filter(np.random.default_rng(6).normal(0, 1, (2, 160, 160)), (0, 6, 6))
    found = measured(body() + noise, body() + noise / 2 + 20 * lost / lost.std())
    assert found.removed is None


def test_a_scan_without_even_tissue_has_no_spectrum() -> None:
    air = np.full((2, 160, 160), -1000.0)
    found = measured(air, air)
    assert found.num_regions == 0
    assert found.before is found.after is found.removed is None
