"""Simulated against real noise, on a slice that no setting was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest

from isocenter.physics.ct_dose import DoseSimulator
from isocenter.physics.ct_projection import FanBeam

pytestmark = pytest.mark.real_data

PHOTONS_PER_MAS_AND_TURN = 2850.0 * 720  # see docs/ct_dose.md
NUM_VIEWS = 360


def image_hu(dataset: pydicom.Dataset) -> np.ndarray:
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


@pytest.fixture(scope="module")
def noises(data_folder: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Real and simulated noise in the middle of the body, and the pixel size."""
    folder = data_folder / "ct" / "real_low_dose" / "D45f_3mm"
    full, quarter = (pydicom.dcmread(folder / dose / "0003.dcm") for dose in ("full", "quarter"))
    pixel_mm = float(full.PixelSpacing[0])
    simulator = DoseSimulator(
        image_hu(full),
        spacing_mm=(pixel_mm, pixel_mm),
        geometry=FanBeam.covering(500, pitch_at_isocenter_mm=0.3524, num_views=NUM_VIEWS),
        photons=PHOTONS_PER_MAS_AND_TURN / NUM_VIEWS * float(full.Exposure),
    )
    simulated = simulator.noise_hu(0.25, "D45f", np.random.default_rng(0))
    middle = (slice(160, 352), slice(130, 386))
    return (image_hu(quarter) - image_hu(full))[middle], simulated[middle], pixel_mm


def mean_frequency_per_mm(noise: np.ndarray, pixel_mm: float) -> float:
    power = np.abs(np.fft.fft2(noise - noise.mean())) ** 2
    rows, columns = (np.fft.fftfreq(size, pixel_mm) for size in noise.shape)
    return float((np.hypot(rows[:, None], columns) * power).sum() / power.sum())


def test_noise_level_is_within_15_percent(noises: Any) -> None:
    real, simulated, _ = noises
    assert simulated.std() == pytest.approx(real.std(), rel=0.15)


def test_noise_texture_is_within_15_percent(noises: Any) -> None:
    real, simulated, pixel_mm = noises
    expected = mean_frequency_per_mm(real, pixel_mm)
    assert mean_frequency_per_mm(simulated, pixel_mm) == pytest.approx(expected, rel=0.15)


def test_noise_streaks_run_the_same_way(noises: Any) -> Any:
    def side_to_side(noise: Any) -> Any:
        return np.diff(noise, axis=0).var() / np.diff(noise, axis=1).var()

    real, simulated, _ = noises
    assert side_to_side(simulated) == pytest.approx(side_to_side(real), rel=0.15)
