"""Smooth a CT by a Gaussian: a whole task, as small as one can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput, SeriesOutput
from isocenter.tasks.settings import Settings, setting
from isocenter.tasks.suitability import Finding, Suitability
from isocenter.tasks.task import Case, Reads, SliceResult, Task, Work

LARGEST_PIXEL_MM = 4.0
SMOOTH = Code("GAUSS", "99ISOCENTER", "Gaussian smoothing")
SERIES = SeriesOutput(
    name="smoothed", label="Smoothed series", modality="CT", unit=HOUNSFIELD, derivation=SMOOTH
)
CHANGE = MapOutput(
    name="interval",
    label="Interval",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=SMOOTH,
    content_label="SMOOTHING_CHANGE",
    meaning="How far smoothing moved each value, in HU; a made-up interval.",
    quantity=Code("SMCH", "99ISOCENTER", "Change by smoothing"),
)


@dataclass(frozen=True, kw_only=True)
class SmoothSettings(Settings):
    """How much is smoothed."""

    width_mm: float = setting(2.0, help="Width of the Gaussian, its sigma.", above=0, at_most=20)


def judge(case: Case[SmoothSettings, Any]) -> Suitability:
    pixel_mm = max(case.scan.geometry.spacing_mm[1:])
    finding = Finding(
        rule="pixel_spacing",
        label="Pixel spacing",
        measured=f"{pixel_mm:.2f} mm",
        accepted=f"at most {LARGEST_PIXEL_MM:g} mm",
        advice="Reconstruct with smaller pixels.",
        fits=pixel_mm <= LARGEST_PIXEL_MM,
    )
    return Suitability(findings=(finding,))


def start(case: Case[SmoothSettings, Any], suitability: Suitability) -> Work[SmoothSettings]:
    words = f"Smoothed in the plane by a Gaussian of {case.settings.width_mm:g} mm."
    return Work(results=smoothed(case), description=words, settings=case.settings)


def smoothed(case: Case[SmoothSettings, Any]) -> Iterator[SliceResult]:
    import numpy as np
    from scipy import ndimage

    scan = case.scan
    sigma = [case.settings.width_mm / step for step in scan.geometry.spacing_mm[1:]]
    for index in range(len(scan)):
        before, valid = scan.values(index), scan.valid(index)
        after = np.where(valid, ndimage.gaussian_filter(before, sigma), before)
        values = {SERIES.name: after, CHANGE.name: np.abs(after - before)}
        yield SliceResult(index=index, before=before, valid=valid, values=values)


TASK = Task(
    name="ct_smooth",
    command="smooth",
    summary="Smooth a CT by a Gaussian: smoothed series, change and report.",
    settings=SmoothSettings,
    outputs=(SERIES, CHANGE),
    reads=(Reads(name="input", what="a CT series", modality="CT", unit="HU"),),
    judge=judge,
    start=start,
)
