"""Whether a study is one that an ADC map of the head can be made of, measured before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from isocenter.core.volume import SliceSource
from isocenter.physics.diffusion_mr import AdcFit
from isocenter.tasks.adc.images import DiffusionImages, by_b_value, one_a_b_value
from isocenter.tasks.suitability import Finding, Suitability

LOWEST_B_S_PER_MM2 = 200.0
"""Above, perfusion is gone, but so is much of the signal that the fit rests on."""
HIGHEST_B_S_PER_MM2 = 400.0, 2000.0
"""Below, noise decides; above, one exponential no longer describes tissue."""
FEWEST_DIRECTIONS = 3
HEAD_AREA_CM2 = 50.0, 320.0
"""Adult brains measure 130 to 200 cm² in their largest cross-section, abdomens above 400."""
MEDIAN_ADC_UM2_PER_S = 400.0, 2000.0
"""Of a head; outside, the b-values are not those of the images, or the images no diffusion."""
_SAME_LINE = 0.995
HEAD_PARTS = frozenset("HEAD BRAIN SKULL HEADNECK NEURO IAC ORBIT PITUITARY WHOLEBODY".split())


def judge_headers(scans: Mapping[str, SliceSource]) -> Suitability:
    """What headers alone tell against a study."""
    return Suitability(findings=(_body_part(scans), _b_values(scans), _directions(scans)))


def judge_study(scans: Mapping[str, SliceSource]) -> Suitability:
    """Headers and pixels; the images that were read are kept for the fit."""
    images = one_a_b_value(scans)
    findings = (*judge_headers(scans).findings, _head(images), _attenuation(images))
    return Suitability(findings=findings, measures=images)


def _body_part(scans: Mapping[str, SliceSource]) -> Finding:
    part = next(iter(scans.values())).acquisition.body_part.upper().replace(" ", "")
    return Finding(
        rule="body_part",
        label="Part of the body, as the header says",
        measured=part or "not stated",
        accepted="the head, or not stated",
        advice="The fit holds anywhere; the marked lesions, and the checks, are for brains.",
        fits=not part or part in HEAD_PARTS,
    )


def _b_values(scans: Mapping[str, SliceSource]) -> Finding:
    values = tuple(by_b_value(scans))
    low, high = HIGHEST_B_S_PER_MM2
    return Finding(
        rule="b_values",
        label="b-values",
        measured=f"{', '.join(f'{one:g}' for one in values)} s/mm²",
        accepted=f"the lowest up to {LOWEST_B_S_PER_MM2:g}, the highest from {low:g} to {high:g}",
        advice="With others the ADC has another value, or is mostly noise.",
        fits=values[0] <= LOWEST_B_S_PER_MM2 and low <= values[-1] <= high,
    )


def _directions(scans: Mapping[str, SliceSource]) -> Finding:
    """An ADC of few directions depends on how fibers lie."""
    (highest, stacks), *_ = reversed(by_b_value(scans).items())
    stated = [np.array(one.direction) for one in stacks if one.direction and not one.is_trace]
    lines: list[np.ndarray] = []
    for direction in stated:
        if not any(abs(direction @ line) > _SAME_LINE for line in lines):
            lines.append(direction)
    is_known = len(stated) == len(stacks)
    words = f"{len(lines)} at b = {highest:g}"
    if not is_known:
        trace = all(one.is_trace for one in stacks)
        words = "trace-weighted, as the header says" if trace else "not stated"
    return Finding(
        rule="directions",
        label="Directions of the strongest weighting",
        measured=words,
        accepted=f"a trace-weighted image, at least {FEWEST_DIRECTIONS} directions, or not stated",
        advice="The ADC of few directions depends on how fibers lie; give the trace-weighted "
        "series or all directions.",
        fits=not is_known or len(lines) >= FEWEST_DIRECTIONS,
    )


def _head(images: DiffusionImages) -> Finding:
    pixel_cm2 = float(np.prod(images.geometry.spacing_mm[1:])) / 100
    area_cm2 = float(images.head.sum(axis=(1, 2)).max()) * pixel_cm2
    low, high = HEAD_AREA_CM2
    return Finding(
        rule="head",
        label="Largest cross-section",
        measured=f"{area_cm2:.0f} cm²",
        accepted=f"{low:g} to {high:g} cm²",
        advice="This is no whole head; the marked lesions, and the checks, are for brains.",
        fits=low <= area_cm2 <= high,
    )


def _attenuation(images: DiffusionImages) -> Finding:
    low, high = MEDIAN_ADC_UM2_PER_S
    known = [fit.adc_um2_per_s[fit.measured & images.head[i]] for i, fit in _fits(images)]
    values = np.concatenate(known) if known else np.zeros(0)
    median = float(np.median(values)) if values.size else 0.0
    return Finding(
        rule="attenuation",
        label="Median ADC of the head",
        measured=f"{median:.0f} µm²/s",
        accepted=f"{low:g} to {high:g} µm²/s",
        advice="The images are not weaker by what their b-values say: they may be no diffusion, "
        "of other b-values, or each scaled in its own way.",
        fits=low <= median <= high,
    )


def _fits(images: DiffusionImages) -> Iterator[tuple[int, AdcFit]]:
    for index in range(images.geometry.shape[0]):
        if images.head[index].any():
            yield index, images.fit(index)
