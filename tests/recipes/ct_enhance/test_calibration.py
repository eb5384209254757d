from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from isocenter.datasets.ct_dose_cases import DoseCase
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.modelpack.ct_enhance.calibration import CLASSES, Calibration, tissue_classes
from isocenter.modelpack.ct_enhance.mean import MeanAndSpread
from isocenter.recipes.ct_enhance.calibration import (
    CalibrationSettings,
    calibrate,
    uncalibrated,
)

SPACING_MM = (1.5, 1.5)
SETTINGS = CalibrationSettings()
NORMAL_90 = 1.645
STANDARD_DOSE_HU = 10.0
NOISE = NoiseMeasure(level_hu=30.0, mean_frequency_per_mm=0.3)


def anatomy() -> NDArray:
    row, column = np.indices((112, 112)) - 55.5
    image = np.where(np.hypot(row, column) < 52, 45.0, -1000.0)
    image[np.hypot(row - 22, column - 22) < 16] = -850.0
    return image


class ModelDouble:
    """Knows the anatomy; states the deviation of the truth ``too_small`` times too small."""

    context = 0

    def __init__(self, *, too_small: float) -> None:
        self.spread = NORMAL_90 * STANDARD_DOSE_HU / too_small

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float:
        self.thickness_mm = slice_thickness_mm
        return 0.2

    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
    ) -> SimpleNamespace:
        mean = torch.from_numpy(anatomy()).float()[None, None]
        spread = torch.full_like(mean, self.spread)
        bands = torch.zeros(1, 4, 7, 7)
        raw = MeanAndSpread(
            anatomy=mean,
            mean=mean,
            below=spread,
            above=spread,
            noise=spread,
            level=spread,
            log_bands=bands,
        )
        noise = measure_noise(window_hu[self.context], spacing_mm=spacing_mm)
        return SimpleNamespace(state=SimpleNamespace(mean=mean, raw=raw, noise=noise))


def cases(
    patients: int, *, noise_hu: float = 20.0, lung_error: float = 1.0, seed: int = 0
) -> Iterator[DoseCase]:
    """Truth is the anatomy and normal noise of the standard dose, ``lung_error`` times in lung."""
    for patient in range(patients):
        rng = np.random.default_rng((seed, patient))
        scale = np.where(anatomy() == -850, lung_error, 1.0) * STANDARD_DOSE_HU
        full, low = (anatomy() + rng.normal(0, level, (112, 112)) for level in (scale, noise_hu))
        yield DoseCase(
            name=str(patient),
            patient=str(patient),
            dose_fraction=0.25,
            full_hu=full[None].astype(np.float32),
            low_hu=low[None].astype(np.float32),
            spacing_mm=(2.5, *SPACING_MM),
            slice_thickness_mm=3.0,
            judged=(0,),
            kernel="B30f",
        )


def covered(model: ModelDouble, calibration: Calibration, case: DoseCase) -> float:
    raw = model.estimate(case.low_hu, spacing_mm=case.in_plane_mm).state.raw
    mean, spread = raw.mean[0, 0].numpy(), raw.below[0, 0].numpy()
    classes = tissue_classes(mean, spacing_mm=SPACING_MM)
    noise = measure_noise(case.low_hu[0], spacing_mm=case.in_plane_mm)
    below, above = calibration.factors(classes, noise)
    truth = case.full_hu[0]
    inside = (truth >= mean - below * spread) & (truth <= mean + above * spread)
    return float(inside[mean > -1000].mean())


@pytest.mark.parametrize("too_small", [0.5, 1.0, 2.5])
def test_an_interval_known_to_be_too_small_gets_its_factor(too_small: float) -> None:
    model = ModelDouble(too_small=too_small)
    found = calibrate(model, cases(4), SETTINGS)  # type: ignore[arg-type]
    for name in ("lung", "muscle"):
        assert np.allclose(found.below[name], too_small, rtol=0.05)
    assert found.above == found.below
    assert found.coverage == SETTINGS.coverage
    assert found.patients == 4


def test_calibrated_intervals_keep_their_word_on_other_patients() -> None:
    model = ModelDouble(too_small=3.0)
    found = calibrate(model, cases(4), SETTINGS)  # type: ignore[arg-type]
    shares = [covered(model, found, case) for case in cases(4, seed=1)]
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)


def test_each_tissue_gets_its_own_factor() -> None:
    found = calibrate(ModelDouble(too_small=1.0), cases(4, lung_error=2.0), SETTINGS)  # type: ignore[arg-type]
    assert np.allclose(found.below["lung"], 2, rtol=0.07)
    assert np.allclose(found.below["muscle"], 1, rtol=0.05)


def test_levels_and_tissues_not_seen_take_what_was_seen() -> None:
    found = calibrate(ModelDouble(too_small=2.0), cases(3), SETTINGS)  # type: ignore[arg-type]
    assert found.below.keys() == set(CLASSES)
    shape = (len(SETTINGS.textures_per_mm), len(SETTINGS.noise_levels_hu))
    for name in CLASSES:
        assert np.shape(found.below[name]) == shape
        assert np.ptp(found.below[name]) < 1e-6
    assert found.below["muscle"][0][0] == pytest.approx(2.0, rel=0.06)
    seen = (found.below["lung"][0][0], found.below["muscle"][0][0])
    assert min(seen) <= found.below["bone"][0][0] <= max(seen)


def test_two_patients_are_too_few() -> None:
    with pytest.raises(ValueError, match="3 patients"):
        calibrate(ModelDouble(too_small=1.0), cases(2), SETTINGS)  # type: ignore[arg-type]


def test_an_uncalibrated_model_has_factors_of_one() -> None:
    below, above = uncalibrated(SETTINGS).factors(np.zeros((2, 3), np.int64), NOISE)
    assert (below == 1).all()
    assert (above == 1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"coverage": 1.0},
        {"doses": ()},
        {"doses": (1.0,)},
        {"noise_levels_hu": (0.0,)},
        {"textures_per_mm": ()},
    ],
)
def test_settings_that_cannot_be_reached_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CalibrationSettings(**wrong)
