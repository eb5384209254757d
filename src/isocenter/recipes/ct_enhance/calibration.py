"""Make the intervals of a CT enhancement model keep their word, on patients of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isocenter.core.checks import check_least
from isocenter.core.errors import InputRefused
from isocenter.datasets.ct_dose_cases import DoseCase
from isocenter.image.ct_tissue import body_mask
from isocenter.modelpack.conformal import conformal_factor
from isocenter.modelpack.ct_enhance.calibration import (
    CLASSES,
    LEAST_SPREAD_HU,
    Calibration,
    tissue_classes,
)
from isocenter.modelpack.ct_enhance.judged import JudgedSlice
from isocenter.modelpack.ct_enhance.model import CtEnhancer


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """How intervals are calibrated.

    Attributes:
        coverage: share of the standard-dose values that an interval holds.
        doses: dose fractions at which the calibration patients are simulated.
        noise_levels_hu, textures_per_mm: each noise level has factors of its own at each texture,
            by the mean frequency of the noise.
        least_patients: with fewer a tissue's factor is taken over all levels, textures or tissues.
        least_voxels: of a tissue in a slice, with fewer it is passed over.
    """

    coverage: float = 0.9
    doses: tuple[float, ...] = (0.1, 0.25, 0.5)
    noise_levels_hu: tuple[float, ...] = (12.0, 40.0)
    textures_per_mm: tuple[float, ...] = (0.28, 0.45)
    least_patients: int = 3
    least_voxels: int = 50

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage is between 0 and 1, got {self.coverage:g}")
        if not self.doses or not all(0 < dose < 1 for dose in self.doses):
            raise ValueError(f"doses are fractions between 0 and 1, got {self.doses}")
        if not self.noise_levels_hu or min(self.noise_levels_hu) <= 0:
            raise ValueError(f"noise_levels_hu are positive, got {self.noise_levels_hu}")
        if not self.textures_per_mm or min(self.textures_per_mm) <= 0:
            raise ValueError(f"textures_per_mm are positive, got {self.textures_per_mm}")
        for name in ("least_patients", "least_voxels"):
            check_least(name, getattr(self, name), 1)


# Raw scores of one slice in one tissue class.
class _Scores(NamedTuple):
    patient: str
    texture: int
    level: int
    tissue: int
    values: NDArray


def calibrate(
    model: CtEnhancer, cases: Iterable[DoseCase], settings: CalibrationSettings
) -> Calibration:
    """Find the factors that cover the share of the standard-dose values that is asked for.

    Args:
        model: its present calibration is not used.
        cases: of patients neither trained on nor reported on.
        settings: what to reach and with how much.

    Returns:
        One factor a tissue class and noise level; where too few patients show a class at a level,
        the class's factor over all levels, or that of all classes.

    Raises:
        InputRefused: too few patients.
    """
    scores = [one for case in cases for one in _case_scores(model, case, settings)]
    if _factor(scores, settings) is None:
        raise InputRefused(
            f"calibration needs cases of at least {settings.least_patients} patients, got "
            f"{len({one.patient for one in scores})}; give it more scans"
        )
    table = {
        name: tuple(
            tuple(
                _first_factor(scores, settings, tissue=tissue, texture=texture, level=level)
                for level in range(len(settings.noise_levels_hu))
            )
            for texture in range(len(settings.textures_per_mm))
        )
        for tissue, name in enumerate(CLASSES)
    }
    return Calibration(
        coverage=settings.coverage,
        noise_hu=settings.noise_levels_hu,
        frequency_per_mm=settings.textures_per_mm,
        below=table,
        above=table,
        patients=len({one.patient for one in scores}),
    )


def _first_factor(
    scores: list[_Scores], settings: CalibrationSettings, *, tissue: int, texture: int, level: int
) -> float:
    """The factor of the narrowest group that enough patients are in."""
    of_tissue = [one for one in scores if one.tissue == tissue]
    of_texture = [one for one in of_tissue if one.texture == texture]
    groups = ([one for one in of_texture if one.level == level], of_texture, of_tissue, scores)
    found = (_factor(group, settings) for group in groups)
    return next(factor for factor in found if factor is not None)


def _case_scores(model: CtEnhancer, case: DoseCase, settings: CalibrationSettings) -> list[_Scores]:
    found = []
    fraction = case.guessed_fraction(model)
    for index, window in case.windows(model.context):
        judged: JudgedSlice = model.estimate(
            window, spacing_mm=case.in_plane_mm, dose_fraction=fraction
        ).state
        mean, below, above = (
            part[0, 0].cpu().numpy() for part in (judged.mean, judged.raw.below, judged.raw.above)
        )
        away = case.full_hu[index] - mean
        score = np.abs(away) / np.maximum(np.where(away < 0, below, above), LEAST_SPREAD_HU)
        noise = judged.noise
        if not np.isfinite([noise.level_hu, noise.mean_frequency_per_mm]).all():
            continue
        texture = _nearest(noise.mean_frequency_per_mm, settings.textures_per_mm)
        level = _nearest(noise.level_hu, settings.noise_levels_hu)
        classes = tissue_classes(mean, spacing_mm=case.in_plane_mm)
        inside = body_mask(case.full_hu[index])
        for tissue in range(len(CLASSES)):
            values = score[(classes == tissue) & inside]
            if len(values) >= settings.least_voxels:
                found.append(_Scores(case.patient, texture, level, tissue, values))
    return found


def _nearest(value: float, levels: Sequence[float]) -> int:
    return int(np.abs(np.log(levels) - np.log(max(value, 1e-3))).argmin())


def _factor(scores: list[_Scores], settings: CalibrationSettings) -> float | None:
    patients = sorted({one.patient for one in scores})
    if len(patients) < settings.least_patients:
        return None
    pooled = [
        np.concatenate([one.values for one in scores if one.patient == patient])
        for patient in patients
    ]
    return conformal_factor(pooled, settings.coverage)


def uncalibrated(settings: CalibrationSettings) -> Calibration:
    """Factors of one: the raw interval."""
    row = (1.0,) * len(settings.noise_levels_hu)
    ones = {name: (row,) * len(settings.textures_per_mm) for name in CLASSES}
    return Calibration(
        coverage=settings.coverage,
        noise_hu=settings.noise_levels_hu,
        frequency_per_mm=settings.textures_per_mm,
        below=ones,
        above=ones,
    )
