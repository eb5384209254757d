"""Enhance images in memory: settings checked, slices judged one at a time, results as they came.

A slice is always judged alone, never in a batch with others, so that its numbers do not depend on
what else was given; they are those of the task that writes DICOM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.outputs import HOUNSFIELD
from isocenter.core.seeds import derived_seed, seed_for_pixels
from isocenter.core.spread import spread_evenly
from isocenter.image.ct_noise import NoiseMeasure, measure_noise
from isocenter.image.ct_values import why_not_hu
from isocenter.modelpack.arrays import Images, Scan, images_of
from isocenter.modelpack.ct_enhance.contract import AIR_HU, LOWEST_HU
from isocenter.modelpack.ct_enhance.judged import JudgedSlice, JudgesSlices

NUM_MEASURED_SLICES = 5
# A field of view this wide holds air or fat, and thus values below zero.
_LEAST_WHOLE_MM = 250.0
# Beyond this a pixel is no pixel of a CT, but spacing in another order.
_MOST_UNEVEN_PIXEL = 2.0
# How much of the direction of the slices must run from head to foot.
_LEAST_ALONG_PATIENT = 0.7


@dataclass(frozen=True, kw_only=True)
class Enhanced:
    """Results, each in the kind and shape of what was given, in HU.

    Attributes:
        mean: posterior mean of the standard-dose scan.
        lower, upper: calibrated 90 % interval of the standard-dose value of each voxel.
        samples: images of the posterior, as many as were drawn.
        image: mean and samples blended by the strength; None where none was given.
        dose_fraction: dose that each image was taken to have; one alone where there is no batch.
    """

    mean: Any
    lower: Any
    upper: Any
    samples: tuple[Any, ...] = ()
    image: Any = None
    dose_fraction: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Settings:
    lesion_contrast: float
    samples: int
    steps: int
    strength: float | None


@dataclass(frozen=True, kw_only=True)
class _Planes:
    """Results of one slice, (row, column)."""

    mean: Tensor
    lower: Tensor
    upper: Tensor
    samples: tuple[Tensor, ...]
    image: Tensor | None


def enhance_images(
    model: JudgesSlices,
    hu: Any,
    *,
    spacing_mm: Any,
    dose_fraction: float | Sequence[float] | None,
    lesion_contrast: float,
    samples: int,
    steps: int,
    strength: float | None,
    seed: int | Sequence[int] | None,
    generator: torch.Generator | Sequence[torch.Generator] | None,
    valid: Any,
) -> Enhanced:
    """What :meth:`CtEnhancer.__call__` does; see there."""
    settings = _settings(model, lesion_contrast, samples, steps, strength)
    images = images_of(hu, unit=HOUNSFIELD.name, spacing_mm=spacing_mm, valid=valid)
    count = len(images.scans)
    sources = _noise_sources(seed, generator, count)
    _check_kind(images)
    given = _one_each("dose_fraction", dose_fraction, count)
    for scan in images.scans:
        _check_values(scan)
    fractions = [
        _guessed_fraction(model, scan) if one is None else _checked_fraction(one)
        for scan, one in zip(images.scans, given, strict=True)
    ]
    with nullcontext() if images.asks_for_gradients else torch.no_grad():
        planes = [
            list(_enhanced_slices(model, scan, settings, fraction, source))
            for scan, fraction, source in zip(images.scans, fractions, sources, strict=True)
        ]
    return _assembled(images, planes, settings, tuple(fractions))


def _assembled(
    images: Images, planes: list[list[_Planes]], settings: _Settings, fractions: tuple[float, ...]
) -> Enhanced:
    def whole(name: str) -> Any:
        return images.rebuild([[getattr(plane, name) for plane in scan] for scan in planes])

    return Enhanced(
        mean=whole("mean"),
        lower=whole("lower"),
        upper=whole("upper"),
        samples=tuple(
            images.rebuild([[plane.samples[number] for plane in scan] for scan in planes])
            for number in range(settings.samples)
        ),
        image=None if settings.strength is None else whole("image"),
        dose_fraction=fractions,
    )


def _enhanced_slices(
    model: JudgesSlices, scan: Scan, settings: _Settings, fraction: float, source: _NoiseSource
) -> Iterator[_Planes]:
    for index, window, before, valid in _windows(model, scan):
        judged = model.judge(
            window[None],
            spacing_mm=scan.spacing_mm,
            dose_fraction=fraction,
            lesion_contrast=settings.lesion_contrast,
        )
        drawn = [
            model.draw(judged, source.white(judged.middle, index, number), steps=settings.steps)
            for number in range(settings.samples)
        ]
        image = None
        if settings.strength is not None:
            blended = _blended(judged, drawn, settings.strength)[0, 0]
            image = torch.where(valid, blended.maximum(before.clamp_max(LOWEST_HU)), before)
        mean, lower, upper, *kept = (
            torch.where(valid, one[0, 0], before)
            for one in (judged.mean, judged.lower, judged.upper, *drawn)
        )
        for one in (mean, lower, upper, *kept):
            if not bool(torch.isfinite(one[valid]).all()):
                raise ModelRefused(
                    f"the model gave no finite image for slice {index}; try device cpu, and check "
                    "the model folder"
                )
        yield _Planes(mean=mean, lower=lower, upper=upper, samples=tuple(kept), image=image)


def _windows(model: JudgesSlices, scan: Scan) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Index, window (2 context + 1, row, column) with edges repeated, slice and its mask."""
    near: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    reach = model.context
    for index in range(scan.num_slices):
        wanted = np.clip(range(index - reach, index + reach + 1), 0, scan.num_slices - 1).tolist()
        near = {
            place: near[place] if place in near else _slice(model, scan, place)
            for place in dict.fromkeys(wanted)
        }
        _seen, before, valid = near[index]
        yield index, torch.stack([near[place][0] for place in wanted]), before, valid


def _slice(model: JudgesSlices, scan: Scan, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """One slice as the model sees it and as it came, on the model's device, and its mask."""
    values, valid = scan.values(index).to(model.device, model.dtype), scan.valid(index)
    valid = valid.to(model.device)
    if not bool(torch.isfinite(values[valid]).all()):
        raise InputRefused(
            f"slice {index} holds values that are not finite; fill them, or mark them in valid"
        )
    return torch.where(valid, values, AIR_HU), values, valid


def _blended(judged: JudgedSlice, samples: list[Tensor], strength: float) -> Tensor:
    """The mean, with a share of the texture of the samples' average."""
    if strength == 0:
        return judged.mean
    total = torch.zeros_like(judged.mean)
    for sample in samples:
        total = total + sample
    texture = total / len(samples) - judged.mean
    return judged.mean + torch.tensor(strength).to(texture) * texture


# settings


def _settings(
    model: JudgesSlices, lesion_contrast: Any, samples: int, steps: int, strength: Any
) -> _Settings:
    _check_count("samples", samples, 0, 1000)
    _check_count("steps", steps, 1, model.max_steps)
    _check_share("lesion_contrast", lesion_contrast)
    if strength is not None:
        _check_share("strength", strength)
        if strength > 0:
            samples = max(samples, 1)
    return _Settings(
        lesion_contrast=lesion_contrast, samples=samples, steps=steps, strength=strength
    )


def _check_share(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        raise InputRefused(f"{name} must be a number from 0 to 1, got {value!r}")


def _check_count(name: str, value: object, least: int, most: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        raise InputRefused(f"{name} must be whole and from {least} to {most}, got {value!r}")


def _one_each(name: str, given: Any, count: int) -> list[Any]:
    """A setting for each image of a batch."""
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        return [given] * count
    if len(given) != count:
        raise InputRefused(f"{name} lists {len(given)} values for {count} images; give one each")
    return list(given)


def _checked_fraction(fraction: Any) -> float:
    try:
        value = float(fraction)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 < value <= 1:
        raise InputRefused(
            f"dose_fraction must be above 0 and at most 1, got {fraction!r}; leave it out where "
            "the dose is not known"
        )
    return value


def _guessed_fraction(model: JudgesSlices, scan: Scan) -> float:
    """Dose fraction from the median noise of a few slices, as the task guesses it."""
    measures = [
        measure_noise(
            scan.values(index).detach().float().cpu().numpy(),
            spacing_mm=scan.spacing_mm,
            valid=scan.valid(index).numpy(),
        )
        for index in spread_evenly(scan.num_slices, NUM_MEASURED_SLICES)
    ]
    noise = NoiseMeasure(
        level_hu=_median([one.level_hu for one in measures]),
        mean_frequency_per_mm=_median([one.mean_frequency_per_mm for one in measures]),
    )
    return round(model.guess_dose_fraction(noise, slice_thickness_mm=scan.thickness_mm), 4)


def _median(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")


def _check_kind(images: Images) -> None:
    """Refuse types that cannot hold HU, and slices that do not lie across the patient."""
    name = images.type_name
    if name.startswith("uint"):
        raise InputRefused(
            f"an image of {name} holds nothing below zero, and air is -1000 HU; apply rescale "
            "slope and intercept first and give float32 or int16"
        )
    if name == "int8":
        raise InputRefused("int8 cannot hold HU, which reach from -1000 up; give int16 or float32")
    direction = images.slice_direction
    if direction is not None and not abs(direction[2]) >= _LEAST_ALONG_PATIENT:
        raise InputRefused(
            "the slices do not lie across the patient; the model needs transverse ones. "
            "isocenter.image.orientation.transverse(volume) turns a volume without resampling"
        )


def _check_values(scan: Scan) -> None:
    """Refuse what cannot be HU, before any work: all slices in memory, else a few."""
    row_mm, column_mm = scan.spacing_mm
    if max(row_mm, column_mm) > _MOST_UNEVEN_PIXEL * min(row_mm, column_mm):
        raise InputRefused(
            f"pixels of {row_mm:g} x {column_mm:g} mm are none of a CT; spacing_mm is (row, "
            "column) or (slice, row, column), as the axes of the array are"
        )
    few = spread_evenly(scan.num_slices, NUM_MEASURED_SLICES)
    looked_at = []
    for index in range(scan.num_slices) if scan.in_memory else few:
        values = scan.values(index).detach()
        measured = values[scan.valid(index).to(values.device)]
        if not bool(torch.isfinite(measured).all()):
            raise InputRefused(
                f"slice {index} holds values that are not finite; fill them, or mark them in valid"
            )
        if measured.numel():
            low, high = (float(end) for end in torch.aminmax(measured))
            looked_at.append(np.array([low, high]))
            if index in few:
                looked_at.append(measured.double().cpu().numpy())
    rows, columns = scan.values(0).shape
    sides_mm = rows * scan.spacing_mm[0], columns * scan.spacing_mm[1]
    is_whole = min(sides_mm) >= _LEAST_WHOLE_MM
    reason = why_not_hu(np.concatenate(looked_at), whole_scan=is_whole) if looked_at else ""
    if reason:
        raise InputRefused(f"the values are no HU: {reason}; give HU, where air is about -1000")


# randomness


@dataclass(frozen=True, kw_only=True)
class _NoiseSource:
    """White noise for the samples of one scan: from seed, place and pixels, or a generator."""

    seed: int
    generator: torch.Generator | None

    def white(self, middle: Tensor, index: int, number: int) -> Tensor:
        generator = self.generator
        if generator is None:
            named = derived_seed(self.seed, "slice", index, "sample", number)
            pixels = middle.detach().cpu().numpy()
            generator = torch.Generator().manual_seed(seed_for_pixels(named, pixels))
        return torch.randn(middle.shape, generator=generator, device=generator.device)


def _noise_sources(seed: Any, generator: Any, count: int) -> list[_NoiseSource]:
    if generator is not None:
        if seed is not None:
            raise InputRefused("give a seed or a generator, not both")
        generators = _one_each("generator", generator, count)
        if not all(isinstance(one, torch.Generator) for one in generators):
            raise InputRefused("generator must be a torch.Generator, or a list of one an image")
        return [_NoiseSource(seed=0, generator=one) for one in generators]
    if not isinstance(seed, str) and isinstance(seed, Sequence | np.ndarray):
        seeds = _one_each("seed", seed, count)
    else:
        first: Any = 0 if seed is None else seed
        seeds = [first, *(derived_seed(first, "image", number) for number in range(1, count))]
    for one in seeds:
        _check_count("seed", one, 0, 2**63 - 1)
    return [_NoiseSource(seed=one, generator=None) for one in seeds]
