"""Images of several b-values in, ADC, its uncertainty and lesions out, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.version import __version__
from isocenter.image.diffusion_lesion import LesionRule, lesion_mask
from isocenter.physics.diffusion_mr import FLOOR_SNR
from isocenter.tasks.adc.images import DiffusionImages
from isocenter.tasks.adc.outputs import ADC, LESION, UNCERTAINTY
from isocenter.tasks.adc.sections import AdcObserver
from isocenter.tasks.adc.settings import AdcSettings
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, SliceResult, Work


@dataclass(frozen=True, kw_only=True)
class AdcMaps:
    """What a study gives; all arrays (slice, row, column).

    Attributes:
        adc_um2_per_s, sd_um2_per_s: 0 where ``measured`` is False.
        measured: where there is a signal in the image of the lowest b-value.
        above_floor: where the image of the highest b-value stands above the noise too; elsewhere
            the ADC is a lower bound.
        lesion: where diffusion is restricted by the rule.
    """

    adc_um2_per_s: NDArray
    sd_um2_per_s: NDArray
    measured: NDArray
    above_floor: NDArray
    lesion: NDArray


def rule_of(settings: AdcSettings) -> LesionRule:
    """What counts as a lesion."""
    return LesionRule(
        adc_below_um2_per_s=settings.lesion_adc,
        bright_sd=settings.lesion_brightness,
        smallest_ml=settings.smallest_lesion_ml,
    )


def adc_maps(images: DiffusionImages, rule: LesionRule) -> AdcMaps:
    """Fit every slice, then mark lesions in all of them."""
    shape = images.geometry.shape
    adc, sd = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    measured, above = np.zeros(shape, bool), np.zeros(shape, bool)
    for index in range(shape[0]):
        fit = images.fit(index)
        is_signal = images.signals[0, index] > FLOOR_SNR * images.noise_sd[0]
        measured[index] = fit.measured & is_signal
        adc[index] = np.where(measured[index], fit.adc_um2_per_s, 0)
        sd[index] = np.where(measured[index], fit.sd_um2_per_s, 0)
        above[index] = fit.above_floor & measured[index]
    lesion = lesion_mask(
        images.weighted,
        adc,
        head=images.head,
        measured=above,
        spacing_mm=images.geometry.spacing_mm,
        rule=rule,
    )
    return AdcMaps(
        adc_um2_per_s=adc, sd_um2_per_s=sd, measured=measured, above_floor=above, lesion=lesion
    )


def start(case: Case[AdcSettings, None], suitability: Suitability) -> Work[AdcSettings]:
    """What will be done with a study."""
    images: DiffusionImages = suitability.measures
    values = ", ".join(f"{one:g}" for one in images.b_values_s_per_mm2)
    how = "two b-values, exactly" if len(images.b_values_s_per_mm2) == 2 else "weighted squares"
    return Work(
        results=_slices(images, rule_of(case.settings)),
        description=(
            f"ADC by the mono-exponential fit of b = {values} s/mm2 ({how}) by Isocenter "
            f"{__version__}. No model and no network: every value is calculated from acquired "
            "images of the same place."
        ),
        settings=case.settings,
        notes=_notes(images),
        observer=AdcObserver(images, case.settings),
        calculated=True,
    )


def _notes(images: DiffusionImages) -> tuple[str, ...]:
    if all(images.noise_sd):
        return ()
    return (
        "The noise of the images could not be measured, so the uncertainty map is 0 and nothing is "
        "said of a noise floor.",
    )


def _slices(images: DiffusionImages, rule: LesionRule) -> Iterator[SliceResult]:
    maps = adc_maps(images, rule)
    for index in range(images.geometry.shape[0]):
        yield SliceResult(
            index=index,
            before=images.weighted[index],
            valid=images.valid[index],
            values={
                ADC.name: maps.adc_um2_per_s[index],
                UNCERTAINTY.name: maps.sd_um2_per_s[index],
                LESION.name: maps.lesion[index],
            },
        )
