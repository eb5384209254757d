"""Two series of the same anatomy, whoever made them: everything we measure, in one call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isocenter.core.errors import UnsuitableScan
from isocenter.core.outputs import HOUNSFIELD
from isocenter.core.progress import Progress, silent
from isocenter.core.spread import spread_evenly
from isocenter.core.volume import SliceSource, Volume
from isocenter.evaluation.blur_control import OnBlurredTest, blurred
from isocenter.evaluation.comparison import COLUMNS, Comparison, Row
from isocenter.evaluation.continuity import ContinuityMeter
from isocenter.evaluation.ct.edges import SharpnessMeter
from isocenter.evaluation.ct.example import MostTelling
from isocenter.evaluation.ct.faint_detail import FaintDetailMeter, equal_noise_blur
from isocenter.evaluation.ct.hu import HuBias
from isocenter.evaluation.ct.noise_power import NoiseMeter
from isocenter.evaluation.ct.windows import PROTOCOLS, find_body
from isocenter.evaluation.fidelity import FidelityScores, Protocol
from isocenter.evaluation.findings import Example
from isocenter.evaluation.lesions.detectability import DetectabilityTable, detectability
from isocenter.evaluation.lesions.lesions import Lesion
from isocenter.evaluation.matching import matched_slices
from isocenter.evaluation.measure import (
    FindBody,
    Measurement,
    OnSlices,
    Pair,
    matched_pair,
    measure,
)

__all__ = ["COLUMNS", "Comparison", "Row", "evaluate"]

Scan = str | Path | Volume | SliceSource

MOST_PHYSICS_SLICES = 60
_OF_CT_ALONE = "HU bias, noise power, sharpness, faint detail, detectability (defined for CT in HU)"


def evaluate(
    reference: Scan,
    test: Scan,
    *,
    protocols: Sequence[Protocol] | None = None,
    lesions: Sequence[Lesion] = (),
    reference_series: str | None = None,
    test_series: str | None = None,
    unit: str | None = None,
    physics_slices: int = MOST_PHYSICS_SLICES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare a test series with a reference series of the same anatomy.

    Slices are matched by position. One series may be a part of the other; what was compared is in
    the result. Where the body is, which tissue is which, where noise and edges are measured: all is
    decided on the reference.

    Args:
        reference, test: a DICOM file or folder of CT, a NIfTI or MetaImage file, a volume, or any
            source of slices. Other units than HU give fidelity and continuity; what is left out
            stands in the result.
        protocols: ranges and masks of the scores; CT's where None. For another unit they must be
            given, such as ``[stated_range(0, 3000, unit="µm²/s")]``.
        lesions: lesions that both series are known to contain, for an observer study.
        reference_series, test_series: which series of a folder with several.
        unit: what the numbers of volume files are. None takes what the file says, and HU where it
            says nothing.
        physics_slices: noise and sharpness are measured on at most so many slices, evenly chosen.
        seed: of the bootstrap.
        progress: called with slices done and slices in all.

    Raises:
        InputRefused: a scan cannot be read, or is in another unit than the one given.
        UnsuitableScan: other matrix, pixel spacing, orientation, position or unit, values that are
            not finite, or no range to score by.
    """
    first = _opened(reference, reference_series, unit)
    second = _opened(test, test_series, unit)
    unit = _common_unit(first, second)
    is_ct = unit == "HU"
    ranges = _protocols_for(unit, protocols)
    scores, blurred_scores = FidelityScores(ranges), FidelityScores(ranges)
    if lesions and not is_ct:
        raise UnsuitableScan(
            f"Cannot study lesions in {_named(unit)}. Accepted are series in HU; leave the lesions "
            "out to compare everything else.",
            reason="unit",
        )
    indices = matched_slices(first.geometry, second.geometry)
    chosen = frozenset(
        indices[place][0] for place in spread_evenly(len(indices), physics_slices, with_ends=True)
    )
    continuity, bias, telling = ContinuityMeter(), HuBias(seed=seed), MostTelling()
    noise, sharpness = NoiseMeter(), SharpnessMeter()
    step = _independent_step(first)
    detail = FaintDetailMeter(step=step)
    in_detail = spread_evenly(len(indices), physics_slices // 2, with_ends=True)
    looked_at = frozenset(indices[place][0] for place in in_detail)
    of_ct: list[Measurement[Any]] = [
        bias,
        telling,
        OnSlices(noise, chosen),
        OnSlices(sharpness, chosen),
        OnSlices(detail, looked_at | {index + step for index in looked_at}),
    ]
    body = find_body if is_ct else None
    measure(
        _matched(first, second, indices, body, progress or silent),
        [scores, OnBlurredTest(blurred_scores), continuity, *(of_ct if is_ct else [])],
    )
    shown = dict(indices)
    example = telling.result() if is_ct else indices[len(indices) // 2][0]
    spectra, kept = noise.result(), detail.result()
    observed = _observed(first, second, indices, lesions, seed) if lesions else (None, None)
    return Comparison(
        unit=unit,
        pairs=tuple(indices),
        num_slices=(first.geometry.shape[0], second.geometry.shape[0]),
        spacing_mm=first.geometry.spacing_mm,
        acquisitions=(first.acquisition, second.acquisition),
        fidelity=scores.result(),
        blurred_fidelity=blurred_scores.result(),
        fidelity_of_slices=scores.of_slices(),
        hu_bias=bias.result(),
        noise=spectra,
        sharpness=sharpness.result(),
        continuity=continuity.result(),
        faint_detail=kept,
        equal_noise_blur=equal_noise_blur(spectra, kept),
        detectability=observed[0],
        blurred_detectability=observed[1],
        physics_slices=len(chosen) if is_ct else 0,
        seed=seed,
        left_out=() if is_ct else (_OF_CT_ALONE,),
        example=_example(matched_pair(first, second, (example, shown[example]), find_body=body)),
    )


def _opened(scan: Scan, series: str | None, unit: str | None) -> SliceSource:
    if isinstance(scan, str | Path):
        from isocenter.datasets.open_scan import open_scan

        return open_scan(
            scan, series=series, unit=unit, assumed_unit=HOUNSFIELD.name, accept_enhanced=True
        )
    if not isinstance(scan, Volume):
        return scan
    if not np.isfinite(scan.array).all():
        raise UnsuitableScan(
            "Cannot compare: a volume holds values that are not finite (NaN or infinity). Set them "
            "to a finite value and mark them as not valid.",
            reason="values",
        )
    return scan.slices()


def _common_unit(first: SliceSource, second: SliceSource) -> str:
    if first.unit != second.unit:
        raise UnsuitableScan(
            f"Cannot compare: the reference is in {_named(first.unit)}, the test in "
            f"{_named(second.unit)}. Accepted are two series in one unit; rescale one of them.",
            reason="unit",
        )
    return first.unit


def _protocols_for(unit: str, protocols: Sequence[Protocol] | None) -> Sequence[Protocol]:
    if protocols is None and unit != "HU":
        raise UnsuitableScan(
            f"Cannot compare: the series are in {_named(unit)} and no range was stated. A score "
            "without its range compares nothing; give protocols=[stated_range(low, high, unit=...)]"
            ", or --range LOW HIGH on the command line: the values that matter here.",
            reason="range",
        )
    given = PROTOCOLS if protocols is None else protocols
    if wrong := [each.name for each in given if each.unit != unit]:
        raise UnsuitableScan(
            f"Cannot compare: the series are in {_named(unit)}, but the range of "
            f"{', '.join(wrong)} is not. State ranges in the unit of the series.",
            reason="range",
        )
    if not given:
        raise UnsuitableScan(
            "Cannot compare: the list of protocols is empty. Give at least one, or none at all.",
            reason="range",
        )
    return given


def _named(unit: str) -> str:
    return unit or "no unit"


def _matched(
    first: SliceSource,
    second: SliceSource,
    indices: Sequence[tuple[int, int]],
    find_body: FindBody | None,
    progress: Progress,
) -> Iterator[Pair]:
    """The pairs one by one; a pair counts as done when the next is asked for."""
    progress(0, len(indices))
    for done, both in enumerate(indices):
        yield matched_pair(first, second, both, find_body=find_body)
        progress(done + 1, len(indices))


def _independent_step(reference: SliceSource) -> int:
    """How many slices apart two of a series share no noise: one, or more where they overlap."""
    thickness_mm = getattr(reference.acquisition, "slice_thickness_mm", None)
    spacing_mm = reference.geometry.spacing_mm[0]
    return max(1, math.ceil(thickness_mm / spacing_mm - 0.1)) if thickness_mm else 1


def _example(pair: Pair) -> Example:
    return Example(
        reference_index=pair.index,
        # Copies, so that the whole scan need not stay in memory.
        reference=pair.reference.astype(np.float32),
        test=pair.test.astype(np.float32),
        body=pair.body,
        spacing_mm=pair.spacing_mm,
    )


def _observed(
    first: SliceSource,
    second: SliceSource,
    pairs: Sequence[tuple[int, int]],
    lesions: Sequence[Lesion],
    seed: int,
) -> tuple[DetectabilityTable, DetectabilityTable]:
    """The observer on recorded lesions in test and blurred test, where both series have slices."""
    indices = [index for index, _ in pairs]
    if indices != list(range(indices[0], indices[-1] + 1)):
        raise UnsuitableScan(
            "Cannot study lesions: the slices that both series hold have gaps. Accepted is an "
            "unbroken run; leave the lesions out to compare everything else.",
            reason="position",
        )
    origin_mm = first.geometry.position_mm(indices[0])
    geometry = replace(
        first.geometry,
        shape=(len(pairs), *first.geometry.shape[1:]),
        origin_mm=(float(origin_mm[0]), float(origin_mm[1]), float(origin_mm[2])),
    )
    reference, test = (
        Volume(array=np.stack(images), geometry=geometry, unit="HU")
        for images in (
            [first.values(index) for index, _ in pairs],
            [second.values(index) for _, index in pairs],
        )
    )
    control = replace(test, array=blurred(test.array, geometry.spacing_mm[1:]))
    return (
        detectability(reference, test, lesions, seed=seed),
        detectability(reference, control, lesions, seed=seed),
    )
