"""The report of an ADC map: what was measured, and pictures of image, map and mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocenter.core.outputs import SQUARE_MICROMETERS_PER_SECOND
from isocenter.core.spread import spread_evenly
from isocenter.image.diffusion_lesion import num_parts
from isocenter.physics.diffusion_mr import FLOOR_SNR, TISSUE_ADC
from isocenter.tasks.adc.images import DiffusionImages
from isocenter.tasks.adc.outputs import ADC, LESION, UNCERTAINTY
from isocenter.tasks.adc.settings import AdcSettings
from isocenter.tasks.report import words
from isocenter.tasks.report.content import Check, Page, Panel, Paragraph, Section, Table, Tile
from isocenter.tasks.report.pictures import Box, Scale, box_around, panel, pictures
from isocenter.tasks.task import Observed, SliceResult

UNIT = SQUARE_MICROMETERS_PER_SECOND.name
NUM_PICTURES = 4
MARGIN_MM = 10.0
BRAIN_ADC_UM2_PER_S = 200.0, 1500.0
MEDIAN_BRAIN_UM2_PER_S = 600.0, 1100.0
"""Of voxels between the limits above, which healthy brain of any age keeps with partial volume."""
LARGEST_SHARE_BELOW_FLOOR = 0.1
MICROLITERS_IN_ML = 1000.0
ADC_SCALE = Scale(label="0 to 2500 µm²/s", low=0, high=2500, unit=UNIT)
SD_SCALE = Scale(label="standard deviation", low=0, high=200, unit=UNIT, colors="sequential")
MASK_SCALE = Scale(label="marked by the rule", low=0, high=1, unit="")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the maps show.

    Attributes:
        volume_ml, num_lesions: of the mask.
        lesion_adc_um2_per_s: mean within it; None where nothing is marked.
        brain_adc_um2_per_s: median of the head between the limits of brain tissue; None where
            there is none.
        brain_sd_um2_per_s: median standard deviation by noise there.
        share_below_floor: of the head, whose ADC is a lower bound.
        share_negative: of the head.
    """

    volume_ml: float
    num_lesions: int
    lesion_adc_um2_per_s: float | None
    brain_adc_um2_per_s: float | None
    brain_sd_um2_per_s: float | None
    share_below_floor: float
    share_negative: float


class AdcObserver:
    """Keeps the maps of a study, which are small, until all slices are there."""

    def __init__(self, images: DiffusionImages, settings: AdcSettings) -> None:
        self._images = images
        self._settings = settings
        shape = images.geometry.shape
        self._adc = np.zeros(shape, np.float32)
        self._sd = np.zeros(shape, np.float32)
        self._lesion = np.zeros(shape, bool)

    def take(self, result: SliceResult) -> None:
        """Look at one slice."""
        self._adc[result.index] = result.values[ADC.name]
        self._sd[result.index] = result.values[UNCERTAINTY.name]
        self._lesion[result.index] = result.values[LESION.name]

    def observed(self, num_clipped: Mapping[str, int]) -> Observed:
        """Figures, and the page."""
        found = self._found()
        facts: dict[str, Any] = {
            "b_values_s_per_mm2": list(self._images.b_values_s_per_mm2),
            "noise_sd": [round(one, 4) for one in self._images.noise_sd],
            "head_ml": round(float(self._images.head.sum()) * self._voxel_ml, 1),
            "lesion_ml": round(found.volume_ml, 3),
            "num_lesions": found.num_lesions,
            "lesion_adc_um2_per_s": _rounded(found.lesion_adc_um2_per_s),
            "brain_adc_um2_per_s": _rounded(found.brain_adc_um2_per_s),
            "brain_sd_um2_per_s": _rounded(found.brain_sd_um2_per_s),
            "share_below_noise_floor": round(found.share_below_floor, 4),
            "share_negative": round(found.share_negative, 4),
            "num_clipped": sum(num_clipped.values()),
        }
        return Observed(facts=facts, page=self._page(found))

    @property
    def _voxel_ml(self) -> float:
        return float(np.prod(self._images.geometry.spacing_mm)) / MICROLITERS_IN_ML

    def _found(self) -> Found:
        head, adc, lesion = self._images.head, self._adc, self._lesion
        low, high = BRAIN_ADC_UM2_PER_S
        brain = head & (adc > low) & (adc < high)
        floor = FLOOR_SNR * self._images.noise_sd[-1]
        num_head = max(1, int(head.sum()))
        return Found(
            volume_ml=float(lesion.sum()) * self._voxel_ml,
            num_lesions=num_parts(lesion),
            lesion_adc_um2_per_s=float(adc[lesion].mean()) if lesion.any() else None,
            brain_adc_um2_per_s=float(np.median(adc[brain])) if brain.any() else None,
            brain_sd_um2_per_s=float(np.median(self._sd[brain])) if brain.any() else None,
            share_below_floor=float((head & (self._images.weighted <= floor)).sum()) / num_head,
            share_negative=float((head & (adc < 0)).sum()) / num_head,
        )

    def _page(self, found: Found) -> Page:
        return Page(
            title="ADC map: report",
            banner="Calculated by Isocenter (mr_adc) from acquired images, without a model; read "
            "it beside them, never instead of them.",
            headline=_headline(found),
            checks=tuple(self._checks(found)),
            caution="The checks see numbers: they cannot show motion between the images, "
            "distortion beside air, or what a marked place is.",
            tiles=tuple(_tiles(found)),
            sections=(
                Section(title="Images", parts=tuple(self._pictures())),
                Section(title="How the ADC was fitted", parts=tuple(self._fit_parts(found))),
                Section(title="What was marked", parts=tuple(self._lesion_parts())),
            ),
            rules_note="The last two rules were measured in the pixels, the others in the headers.",
            forced_note="Lesions may be marked where there are none, or missed.",
        )

    def _checks(self, found: Found) -> Iterator[Check]:
        low, high = MEDIAN_BRAIN_UM2_PER_S
        median = found.brain_adc_um2_per_s
        yield Check(
            question="Is the ADC of the brain what brains have?",
            answer=f"The median is {words.number(median, 0)} {UNIT}; {low:.0f} to {high:.0f} is "
            "usual.",
            passed=None if median is None else low <= median <= high,
            advice="See whether the b-values are those of the images, and whether scaling is one.",
        )
        yield Check(
            question="Do the images stand above the noise?",
            answer=f"{100 * found.share_below_floor:.1f} % of the head do not at the highest "
            "b-value; their ADC is a lower bound, and they are not marked.",
            passed=found.share_below_floor <= LARGEST_SHARE_BELOW_FLOOR
            if all(self._images.noise_sd)
            else None,
            advice="Take a lower b-value or more averages.",
        )

    def _pictures(self) -> Iterator[Any]:
        yield Paragraph(
            text="Weighted image of the highest b-value, ADC, what the rule marked, and the "
            "standard deviation of the ADC by noise. Each picture shows pixels of the result."
        )
        geometry, weighted = self._images.geometry, self._images.weighted
        inside = weighted[self._images.head] if self._images.head.any() else weighted.ravel()
        high = float(np.percentile(inside, 99.5))
        scale = Scale(label="as acquired", low=0, high=high if high > 0 else 1, unit="")
        box = box_around(
            np.asarray(self._images.head.any(axis=0)),
            margin_mm=MARGIN_MM,
            spacing_mm=geometry.spacing_mm[1:],
        )
        for index in self._shown():
            where = f"Slice {index + 1}"
            yield pictures(
                f"{where} of {geometry.shape[0]}",
                [list(self._panels(index, scale, box, where))],
                box,
                geometry,
            )

    def _panels(self, index: int, scale: Scale, box: Box, where: str) -> Iterator[Panel]:
        highest = self._images.b_values_s_per_mm2[-1]
        for title, image, how in (
            (f"b = {highest:g}", self._images.weighted, scale),
            ("ADC", self._adc, ADC_SCALE),
            ("Marked", self._lesion, MASK_SCALE),
            ("Uncertainty", self._sd, SD_SCALE),
        ):
            yield panel(title, image[index][box], how, where=where)

    def _shown(self) -> list[int]:
        """The slice that holds most of the mask, and others spread over the head."""
        per_slice = self._lesion.sum(axis=(1, 2))
        with_head = np.flatnonzero(self._images.head.any(axis=(1, 2)))
        if not with_head.size:
            with_head = np.arange(len(per_slice))
        chosen = {int(with_head[one]) for one in spread_evenly(len(with_head), NUM_PICTURES)}
        if per_slice.any():
            chosen.add(int(per_slice.argmax()))
        return sorted(chosen)

    def _fit_parts(self, found: Found) -> Iterator[Paragraph | Table]:
        values = self._images.b_values_s_per_mm2
        how = (
            "Two b-values have one line through the logarithms of their signals, which is exact."
            if len(values) == 2
            else "A line was fitted to the logarithms of the signals, each weighted by its signal "
            "over its noise, squared, as noise disturbs the logarithm of a faint signal most."
        )
        yield Paragraph(
            text=f"S(b) = S(0) exp(-b ADC). {how} Of several directions the geometric mean was "
            "taken first.",
            note=False,
        )
        rows = [
            (f"{b:g} s/mm²", words.number(sd, 2) if sd else "not known")
            for b, sd in zip(values, self._images.noise_sd, strict=True)
        ]
        yield Table(columns=("b-value", "noise (standard deviation, as stored)"), rows=tuple(rows))
        yield Paragraph(
            text=f"In brain tissue that noise leaves the ADC uncertain by "
            f"{words.number(found.brain_sd_um2_per_s, 0)} {UNIT} (median standard deviation). "
            "Motion, distortion and diffusion that is no single exponential are not in it."
        )

    def _lesion_parts(self) -> Iterator[Paragraph | Table]:
        settings = self._settings
        yield Paragraph(
            text=f"Marked is tissue with an ADC below {settings.lesion_adc:g} {UNIT} that is "
            f"brighter, by {settings.lesion_brightness:g} standard deviations or more, than the "
            f"healthy tissue around it at the highest b-value, in parts of at least "
            f"{settings.smallest_lesion_ml:g} mL. Infarcts, abscesses, dense tumors, hemorrhage "
            "and artifacts beside air look the same: the mask names no disease.",
            note=False,
        )
        shown = ("white matter", "cortex", "thalamus", "csf", "acute infarct", "old infarct")
        rows = [
            (
                name,
                f"{TISSUE_ADC[name].typical:.0f}",
                f"{TISSUE_ADC[name].low:.0f} to {TISSUE_ADC[name].high:.0f}",
            )
            for name in shown
        ]
        yield Table(columns=("tissue", f"ADC in {UNIT}", "usual range"), rows=tuple(rows))


def _headline(found: Found) -> str:
    median = words.number(found.brain_adc_um2_per_s, 0)
    brain = f"The median ADC of brain tissue is {median} {UNIT}."
    if not found.num_lesions:
        return f"{brain} Nothing was marked as restricted."
    parts = "1 place" if found.num_lesions == 1 else f"{found.num_lesions} places"
    return (
        f"{brain} {found.volume_ml:.1f} mL in {parts} have restricted diffusion by the rule, with "
        f"a mean ADC of {words.number(found.lesion_adc_um2_per_s, 0)} {UNIT}."
    )


def _tiles(found: Found) -> Iterator[Tile]:
    yield Tile(value=f"{found.volume_ml:.1f} mL", meaning="restricted by the rule")
    yield Tile(
        value=f"{words.number(found.brain_adc_um2_per_s, 0)} {UNIT}",
        meaning="median ADC of brain tissue",
    )
    yield Tile(
        value=f"±{words.number(found.brain_sd_um2_per_s, 0)} {UNIT}",
        meaning="its uncertainty by noise, a voxel",
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
