"""A low-dose CT in, its enhanced slices and their uncertainty out, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isocenter.core.seeds import derived_seed
from isocenter.core.version import __version__
from isocenter.core.volume import SliceSource
from isocenter.image.ct_noise import NoiseMeasure
from isocenter.modelpack.ct_enhance.contract import AIR_HU, LOWEST_HU
from isocenter.tasks.ct_enhance.measured_sections import coverage_note
from isocenter.tasks.ct_enhance.outputs import ENHANCED, UNCERTAINTY
from isocenter.tasks.ct_enhance.rules import ScanMeasures
from isocenter.tasks.ct_enhance.sections import EnhanceObserver
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.results import check_numbers
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, SliceResult, Work

if TYPE_CHECKING:
    from isocenter.modelpack.ct_enhance.contract import Enhancer, Estimate


# A guess whose upper end lies above cannot tell a low dose from a standard one.
_STANDARD = 0.9


def start(case: Case[EnhanceSettings, Enhancer], suitability: Suitability) -> Work[EnhanceSettings]:
    """What will be done with a scan: its dose is guessed here where it was not told."""
    settings = case.settings
    notes = case.model.notes
    if settings.dose_fraction is None:
        guess, words = _guessed_dose(case.model, suitability.measures)
        settings, notes = replace(settings, dose_fraction=guess), (*notes, words)
    model = case.model
    held = coverage_note(model.measured)
    return Work(
        results=enhanced_slices(case.scan, model, settings),
        description=(
            f"AI-enhanced from a low-dose CT by Isocenter {__version__}, model "
            f"{model.name} {model.version}, strength {settings.strength:g}. {held}"
        ).strip(),
        settings=settings,
        notes=(*notes, held) if held else notes,
        observer=EnhanceObserver(case.scan, settings, suitability, model.card, model.measured),
        context=model.context,
    )


def _guessed_dose(enhancer: Enhancer, measures: ScanMeasures) -> tuple[float, str]:
    """The guess that is taken, and what to say of it."""
    noise = NoiseMeasure(
        level_hu=measures.noise_hu, mean_frequency_per_mm=measures.noise_mean_frequency_per_mm
    )
    thickness = measures.slice_thickness_mm
    guess = round(enhancer.guess_dose_fraction(noise, slice_thickness_mm=thickness), 4)
    low, high = enhancer.dose_range(noise, slice_thickness_mm=thickness)
    return guess, _guess_in_words(guess, low, high)


def _guess_in_words(guess: float, low: float, high: float) -> str:
    already = "; it may be a standard-dose scan already" if high > _STANDARD else ""
    return (
        f"The dose was not given. Noise like this scan's is left by {100 * low:.0f} to "
        f"{100 * high:.0f} % of a standard dose (nine in ten such scans){already}; "
        f"{100 * guess:.0f} % was taken. A standard dose is that of the scans of adults which the "
        "model was fitted to. A dose known for sure can be given by --dose-fraction; on scans "
        "measured at two doses that changed the error little, for better or worse."
    )


def enhanced_slices(
    scan: SliceSource, enhancer: Enhancer, settings: EnhanceSettings
) -> Iterator[SliceResult]:
    """Enhance slice by slice, first to last; writes nothing.

    What the scanner did not measure stays as it was, and its uncertainty is 0.

    Raises:
        ModelRefused: the model gave something else than finite numbers of the slice's shape.
    """
    spacing_mm = scan.geometry.spacing_mm[1:]
    for index, window, before, valid in _windows(scan, enhancer.context):
        estimate = enhancer.estimate(
            window,
            spacing_mm=spacing_mm,
            dose_fraction=settings.dose_fraction,
            lesion_contrast=settings.lesion_contrast,
        )
        image = _blend(enhancer, window, estimate, index, spacing_mm, settings)
        half_width = (estimate.upper_hu - estimate.lower_hu) / 2
        for result in (image, half_width):
            check_numbers(result, before.shape, index)
        image = np.maximum(image, np.minimum(before, LOWEST_HU))
        yield SliceResult(
            index=index,
            before=before,
            valid=valid,
            values={
                ENHANCED.name: np.where(valid, image, before).astype(np.float32, copy=False),
                UNCERTAINTY.name: np.where(valid, half_width, 0).astype(np.float32, copy=False),
            },
        )


def _windows(scan: SliceSource, context: int) -> Iterator[tuple[int, NDArray, NDArray, NDArray]]:
    """Index, window (2 context + 1, row, column) with edges repeated, slice and its mask."""
    count = scan.geometry.shape[0]
    near: dict[int, tuple[NDArray, NDArray]] = {}
    for index in range(count):
        wanted = np.clip(range(index - context, index + context + 1), 0, count - 1).tolist()
        near = {place: near.get(place) or _slice(scan, place) for place in dict.fromkeys(wanted)}
        window = np.stack([np.where(near[p][1], near[p][0], AIR_HU) for p in wanted])
        yield index, window.astype(np.float32, copy=False), *near[index]


def _slice(scan: SliceSource, index: int) -> tuple[NDArray, NDArray]:
    return scan.values(index), scan.valid(index)


def _blend(
    enhancer: Enhancer,
    window: NDArray,
    estimate: Estimate,
    index: int,
    spacing_mm: tuple[float, float],
    settings: EnhanceSettings,
) -> NDArray:
    if settings.strength == 0:
        return estimate.mean_hu
    total = np.zeros_like(estimate.mean_hu)
    for number in range(settings.samples):
        total += enhancer.sample(
            window,
            estimate,
            spacing_mm=spacing_mm,
            steps=settings.steps,
            seed=derived_seed(settings.seed, "slice", index, "sample", number),
        )
    texture = total / settings.samples - estimate.mean_hu
    return estimate.mean_hu + np.float32(settings.strength) * texture
