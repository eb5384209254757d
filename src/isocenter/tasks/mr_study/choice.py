"""The best image of a contrast where there are several, and why it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from isocenter.core.errors import InputRefused
from isocenter.core.volume import Geometry, Volume
from isocenter.dicom.reading.mr_contrast import RecognizedContrast
from isocenter.dicom.reading.series import ImageSeries

_ALIKE = 0.9  # of the largest extent


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An image that may stand for a contrast.

    Attributes:
        number: in the listing.
        label: how a sentence names it, such as "series 4"; holds no identifier.
        contrast: what it is, by its header or its name.
        refusal: why it cannot be used; None where it can.
        geometry: None where it cannot be used.
        is_copy: reformatted from another, or corrected for motion.
        load: reads its values.
        source: the series, of DICOM alone.
        is_named: whether the contrast comes from whoever gave the image, not from its header.
    """

    number: int
    label: str
    contrast: RecognizedContrast
    refusal: InputRefused | None = None
    geometry: Geometry | None = None
    is_copy: bool = False
    load: Callable[[], Volume] = field(repr=False)
    source: ImageSeries | None = field(default=None, repr=False)
    is_named: bool = False


def best(candidates: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The one to use, and why, in words.

    As measured before reformatted or motion-corrected; then what covers at least nine tenths of
    the largest extent; then the finest voxels, by their longest edge and then by their volume;
    then the first.

    Args:
        candidates: at least one, all with a geometry.
    """
    if len(candidates) == 1:
        return candidates[0], "the only one"
    left = [one for one in candidates if not one.is_copy] or list(candidates)
    why = "as measured, the others are copies of it" if len(left) < len(candidates) else ""
    widest = max(_extent_ml(one) for one in left)
    covering = [one for one in left if _extent_ml(one) >= _ALIKE * widest]
    if len(covering) < len(left):
        why = "covers most"
    chosen = min(covering, key=lambda one: (*_coarseness(one), one.number))
    others = [one for one in covering if one is not chosen]
    if others:
        runner_up = min(others, key=lambda one: (*_coarseness(one), one.number))
        same = _coarseness(runner_up) == _coarseness(chosen)
        why = (
            "the first of several alike"
            if same
            else f"the finest voxels ({_voxel(chosen)} against {_voxel(runner_up)} mm)"
        )
    return chosen, f"of {len(candidates)} images, {why}"


def _coarseness(one: Candidate) -> tuple[float, float]:
    assert one.geometry is not None
    steps = one.geometry.spacing_mm
    return round(max(steps), 2), round(float(np.prod(steps)), 2)


def _extent_ml(one: Candidate) -> float:
    assert one.geometry is not None
    return float(np.prod(one.geometry.shape) * np.prod(one.geometry.spacing_mm)) / 1000


def _voxel(one: Candidate) -> str:
    assert one.geometry is not None
    return " x ".join(f"{step:.2g}" for step in one.geometry.spacing_mm)
