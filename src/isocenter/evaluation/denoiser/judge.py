"""Judge your own denoiser: fidelity, noise, sharpness, HU, and whether lesions are still seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, ModelRefused, UnsuitableScan
from isocenter.core.files import appearing_whole, write_json
from isocenter.core.progress import Progress, silent
from isocenter.core.spread import spread_evenly
from isocenter.core.volume import Geometry, Volume
from isocenter.evaluation.compare import evaluate
from isocenter.evaluation.comparison import Comparison
from isocenter.evaluation.denoiser.fresh_noise import PairNoise
from isocenter.evaluation.denoiser.judged import Judged, JudgedCase
from isocenter.evaluation.denoiser.tables import (
    JUDGEMENT_COLUMNS,
    JudgementRow,
    judged_dict,
    judged_rows,
)
from isocenter.evaluation.lesions.detectability import (
    FULL_DOSE,
    LOW_DOSE,
    TOO_FEW_PLACES,
    Degrade,
    DetectabilityTable,
    detectability_study,
)
from isocenter.evaluation.matching import matched_slices

__all__ = ["JUDGEMENT_COLUMNS", "Judgement", "JudgementRow", "judge_denoiser"]

Denoiser = Callable[[NDArray], NDArray]
"""From (slice, row, column) float32 HU, of any number of slices, to floats of the same shape."""

Image = Volume | NDArray
Case = tuple[Image, Image]
"""A reference and the low-dose scan of the same anatomy, in this order."""

_LARGEST_SPREAD_RATIO = 20.0
_SWAPPED = 0.9


@dataclass(frozen=True, kw_only=True)
class Judgement(Judged):
    """What was found, to print, to keep and to look at."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what has no finite value is None."""
        return judged_dict(self)

    def rows(self) -> list[JudgementRow]:
        """The table, headed by :data:`JUDGEMENT_COLUMNS`."""
        return judged_rows(self)

    def save_json(self, path: str | Path) -> Path:
        """Write :meth:`as_dict`."""
        return write_json(Path(path), self.as_dict())

    def save_picture(self, path: str | Path, *, dpi: int = 100) -> Path:
        """Write images, noise power, transfer functions, HU bias and d' as PNG."""
        from isocenter.evaluation.denoiser.picture import draw_judged

        with appearing_whole(Path(path)) as part:
            draw_judged(self).savefig(part, dpi=dpi, format="png")
        return Path(path)


def judge_denoiser(
    denoiser: Denoiser,
    cases: Case | Sequence[Case] | Mapping[str, Case],
    *,
    spacing_mm: tuple[float, float, float] | None = None,
    name: str = "denoiser",
    observer: bool = True,
    degrade: Degrade | Sequence[Degrade] | None = None,
    context: int = 1,
    slices_per_scan: int = 4,
    repeats: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Judgement:
    """Judge any function that takes noise out of CT slices.

    It is run once on every low-dose scan; input and output are compared with the reference by
    :func:`isocenter.evaluate`. Then known lesions go into the references, the dose is lowered, and
    an observer looks for them before and after the denoiser
    (:func:`isocenter.evaluation.lesions.detectability.detectability_study`).

    Args:
        denoiser: from (slice, row, column) float32 HU to floats of the same shape and unit. The
            observer's slabs hold ``2 * context + 1`` slices, so it must accept any number.
        cases: one (reference, low), several, or several by name; volumes in HU or arrays (slice,
            row, column).
        spacing_mm: distance between slices, rows and columns; needed for arrays.
        name: of the denoiser, as tables and pictures show it.
        observer: whether to look for lesions: by far the longest part, two calls of the denoiser
            for each slice read.
        degrade: slab and generator to the slab at the lower dose, one for all cases or one for
            each. Where None, noise of the level and spectrum of low minus reference is drawn.
        context: neighbours on each side that the denoiser sees of a slice that is read.
        slices_per_scan, repeats: how much is read.
        progress: called with pieces of work done and in all.

    Raises:
        InputRefused: the cases are no pairs of one shape in HU, or no spacing is known.
        ModelRefused: the denoiser gave another shape, type or unit, or numbers that are not finite.
    """
    if not callable(denoiser):
        raise InputRefused(
            f"a denoiser is a function from (slice, row, column) HU to the same; got a "
            f"{type(denoiser).__name__}"
        )
    if name in (FULL_DOSE, LOW_DOSE) or name.startswith("gaussian blur"):
        raise InputRefused(f"the name {name!r} is taken by what denoisers are compared with")
    if min(slices_per_scan, repeats) < 1 or context < 0:
        raise InputRefused(
            "the observer reads one slice of each scan or more, once or more, with no or some "
            f"neighbours; got slices_per_scan {slices_per_scan}, repeats {repeats}, context "
            f"{context}. To leave it out, give observer=False"
        )
    named = _named_cases(cases)
    pairs = [_pair(case, case_name, spacing_mm) for case_name, case in named.items()]
    tell = progress or silent
    num_read = repeats * sum(
        len(spread_evenly(len(low.array), slices_per_scan)) for _, low in pairs
    )
    total = len(pairs) + (num_read if observer else 0)
    tell(0, total)
    judged = []
    for case_name, (reference, low) in zip(named, pairs, strict=True):
        judged.append(_judged(denoiser, reference, low, case_name, seed))
        tell(len(judged), total)
    table, left_out = None, ["lesions: not asked for"]
    if observer:
        table, left_out = _observed(
            pairs,
            name,
            denoiser,
            degrade=degrade,
            context=context,
            slices_per_scan=slices_per_scan,
            repeats=repeats,
            seed=seed,
            progress=lambda done, _: tell(len(pairs) + done, total),
        )
    return Judgement(
        name=name, cases=tuple(judged), detectability=table, left_out=tuple(left_out), seed=seed
    )


def _named_cases(cases: Case | Sequence[Case] | Mapping[str, Case]) -> dict[str, Any]:
    if not isinstance(cases, Mapping | tuple | list) or not len(cases):
        raise InputRefused("no case was given; give (reference, low) or a list of such pairs")
    if isinstance(cases, Mapping):
        return dict(cases)
    is_one = len(cases) == 2 and isinstance(cases[0], Volume | np.ndarray)
    listed: Sequence[Any] = [cases] if is_one else cases
    return {f"case {number + 1}": case for number, case in enumerate(listed)}


def _pair(
    case: Any, name: str, spacing_mm: tuple[float, float, float] | None
) -> tuple[Volume, Volume]:
    if not isinstance(case, tuple | list) or len(case) != 2:
        raise InputRefused(
            f"{name} is no pair; give (reference, low), volumes in HU or arrays "
            "(slice, row, column)"
        )
    reference, low = (_volume(each, name, spacing_mm) for each in case)
    if reference.array.shape != low.array.shape:
        raise InputRefused(
            f"{name}: the reference has the shape {reference.array.shape}, the low dose "
            f"{low.array.shape}; give the same slices of both"
        )
    if len(matched_slices(reference.geometry, low.geometry)) < len(reference.array):
        raise InputRefused(
            f"{name}: not every slice of the low dose lies where one of the reference does; give "
            "the same slices of both"
        )
    return reference, low


def _volume(image: Any, name: str, spacing_mm: tuple[float, float, float] | None) -> Volume:
    if isinstance(image, Volume):
        if image.unit != "HU":
            raise InputRefused(
                f"{name} is in {image.unit or 'no unit'}; accepted are volumes in HU"
            )
        volume = image
    elif not isinstance(image, np.ndarray) or image.ndim != 3:
        arrived = (
            f"an array of shape {image.shape}"
            if isinstance(image, np.ndarray)
            else (f"a {type(image).__name__}")
        )
        raise InputRefused(
            f"{name}: {arrived} arrived; accepted are volumes in HU and arrays (slice, row, column)"
        )
    elif spacing_mm is None:
        raise InputRefused(
            "arrays have no spacing: give spacing_mm, the distances between slices, rows and "
            "columns, such as (3.0, 0.7, 0.7)"
        )
    else:
        rows = (image.shape[0], image.shape[1], image.shape[2])
        geometry = Geometry(shape=rows, spacing_mm=spacing_mm)
        volume = Volume(array=image, geometry=geometry, unit="HU")
    if not np.isfinite(volume.array).all():
        raise InputRefused(
            f"{name} holds values that are not finite (NaN or infinity); set them to air, -1000 HU"
        )
    return replace(volume, array=np.asarray(volume.array, np.float32))


def _judged(denoiser: Denoiser, reference: Volume, low: Volume, name: str, seed: int) -> JudgedCase:
    before = evaluate(reference, low, seed=seed)
    _refuse_swapped(before, name)
    started = time.perf_counter()
    array = _checked(denoiser, low.array)
    seconds = time.perf_counter() - started
    return JudgedCase(
        name=name,
        low=before,
        denoised=evaluate(reference, replace(low, array=array), seed=seed),
        seconds_a_slice=seconds / len(array),
    )


def _refuse_swapped(before: Comparison, name: str) -> None:
    noise = before.noise
    if noise is not None and noise.test.noise_hu < _SWAPPED * noise.reference.noise_hu:
        raise InputRefused(
            f"{name}: the reference has more noise ({noise.reference.noise_hu:.1f} HU) than the "
            f"low dose ({noise.test.noise_hu:.1f} HU); were they swapped? The reference comes first"
        )


def _checked(denoiser: Denoiser, array: NDArray) -> NDArray:
    """What the denoiser makes of a copy, or why that cannot be judged."""
    try:
        result: Any = denoiser(np.array(array, np.float32))
    except Exception as error:
        error.add_note(f"raised by the denoiser, which was given float32 HU of {array.shape}")
        raise
    wanted = f"floats of the shape {array.shape}, in HU"
    if not isinstance(result, np.ndarray):
        raise ModelRefused(
            f"the denoiser gave a {type(result).__name__}; accepted is a NumPy array of {wanted}. "
            "A tensor becomes one by .detach().cpu().numpy()"
        )
    if result.dtype not in (np.float16, np.float32, np.float64):
        raise ModelRefused(
            f"the denoiser gave numbers of type {result.dtype}; accepted are {wanted}. Where whole "
            "HU are meant, round and return float32"
        )
    if result.shape != array.shape:
        raise ModelRefused(f"the denoiser gave the shape {result.shape}; accepted are {wanted}")
    if not np.isfinite(result).all():
        share = 100 * float(np.mean(~np.isfinite(result)))
        raise ModelRefused(
            f"the denoiser gave {share:.3g} % numbers that are not finite; accepted are {wanted}"
        )
    spread, before = float(result.std(dtype=np.float64)), float(array.std(dtype=np.float64))
    if not before / _LARGEST_SPREAD_RATIO <= spread <= before * _LARGEST_SPREAD_RATIO:
        raise ModelRefused(
            f"the denoiser's result spreads over {spread:.3g} where its input spreads over "
            f"{before:.3g} HU: it seems to be in another unit. Scale it back to HU"
        )
    return result.astype(np.float32)


def _observed(
    pairs: Sequence[tuple[Volume, Volume]],
    name: str,
    denoiser: Denoiser,
    *,
    degrade: Degrade | Sequence[Degrade] | None,
    context: int,
    **study: Any,
) -> tuple[DetectabilityTable | None, list[str]]:
    """The observer's table and what it leaves out; no table where the scans offer no places."""
    fresh = [PairNoise(reference=reference, low=low) for reference, low in pairs]
    try:
        table = detectability_study(
            [reference for reference, _ in pairs],
            degrade=fresh if degrade is None else degrade,
            processors={name: lambda slab: _checked(denoiser, slab.array)},
            context=min(context, *(len(reference.array) - 1 for reference, _ in pairs)),
            **study,
        )
    except UnsuitableScan as error:
        if error.reason != TOO_FEW_PLACES:
            raise
        return None, [f"lesions: {error}"]
    return table, [f"lesions in {each}" for each in table.left_out]
