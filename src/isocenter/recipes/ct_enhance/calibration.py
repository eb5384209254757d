"""Make the intervals of a CT enhancement model keep their word, on patients of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isocenter.datasets.ct_dose_cases import DoseCase
from isocenter.image.ct_tissue import body_mask
from isocenter.modelpack.conformal import conformal_factor
from isocenter.modelpack.ct_enhance.calibration import (
    CLASSES,
    LEAST_SPREAD_HU,
    Calibration,
    tissue_classes,
)
from isocenter.modelpack.ct_enhance.model import CtEnhancer

COVERAGE = 0.9
NOISE_LEVELS_HU = (8.0, 14.0, 25.0, 45.0, 80.0)
_LEAST_PATIENTS = 3
_LEAST_VOXELS = 50


# Raw scores of one slice in one tissue class.
class _Scores(NamedTuple):
    patient: str
    noise_hu: float
    tissue: int
    values: NDArray


def calibrate(model: CtEnhancer, cases: Iterable[DoseCase]) -> Calibration:
    """Find the factors that cover 90 % of the standard-dose values.

    Args:
        model: its present calibration is not used.
        cases: of patients neither trained on nor reported on.

    Returns:
        One factor a tissue class and noise level; where fewer than three patients show a class at
        a level, the class's factor over all levels, or that of all classes.
    """
    scores = [one for case in cases for one in _case_scores(model, case)]
    everything = _factor(scores)
    if everything is None:
        raise ValueError(
            f"calibration needs cases of at least {_LEAST_PATIENTS} patients, got "
            f"{len({one.patient for one in scores})}; give it more scans"
        )
    table: dict[str, tuple[float, ...]] = {}
    for tissue, name in enumerate(CLASSES):
        of_class = [one for one in scores if one.tissue == tissue]
        overall = _factor(of_class) or everything
        table[name] = tuple(
            _factor([one for one in of_class if _nearest(one.noise_hu) == level]) or overall
            for level in range(len(NOISE_LEVELS_HU))
        )
    return Calibration(
        coverage=COVERAGE,
        noise_hu=NOISE_LEVELS_HU,
        below=table,
        above=table,
        patients=len({one.patient for one in scores}),
    )


def _case_scores(model: CtEnhancer, case: DoseCase) -> list[_Scores]:
    found = []
    fraction = case.guessed_fraction(model)
    for index, window in case.windows(model.context):
        raw, measured = model.raw_estimate(
            window, spacing_mm=case.in_plane_mm, dose_fraction=fraction
        )
        mean, below, above = (part[0, 0].cpu().numpy() for part in (raw.mean, raw.below, raw.above))
        away = case.full_hu[index] - mean
        score = np.abs(away) / np.maximum(np.where(away < 0, below, above), LEAST_SPREAD_HU)
        noise = measured.level_hu
        if not np.isfinite(noise):
            continue
        classes = tissue_classes(mean, spacing_mm=case.in_plane_mm)
        inside = body_mask(case.full_hu[index])
        for tissue in range(len(CLASSES)):
            values = score[(classes == tissue) & inside]
            if len(values) >= _LEAST_VOXELS:
                found.append(_Scores(case.patient, noise, tissue, values))
    return found


def _nearest(noise_hu: float) -> int:
    return int(np.abs(np.log(NOISE_LEVELS_HU) - np.log(noise_hu)).argmin())


def _factor(scores: list[_Scores]) -> float | None:
    patients = sorted({one.patient for one in scores})
    if len(patients) < _LEAST_PATIENTS:
        return None
    pooled = [
        np.concatenate([one.values for one in scores if one.patient == patient])
        for patient in patients
    ]
    return conformal_factor(pooled, COVERAGE)
