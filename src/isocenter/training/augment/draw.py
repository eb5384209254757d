"""How augmentations are drawn, and the record from which each image can be rebuilt.

record = drawn(settings, rng, axes=2)        # parameters alone, ready for JSON
changed = applied(record, sample, values)    # the same pixels whenever it is called
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from isocenter.core.checks import check_least, check_range, check_share
from isocenter.core.errors import InputRefused
from isocenter.training.augment.geometry import MOST_BEND, Geometry
from isocenter.training.augment.intensity import BiasField, Contrast, Gamma, Noise, orders
from isocenter.training.augment.sample import Sample, Values

Record = dict[str, Any]
VERSION = 1
_KINDS: dict[str, Any] = {
    "geometry": Geometry,
    "bias_field": BiasField,
    "gamma": Gamma,
    "contrast": Contrast,
    "noise": Noise,
}
_MOST_SEED = 2**48  # what every reader of JSON keeps whole


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How much images are changed; the geometry is always drawn, the rest by its share.

    Attributes:
        scale: range of the size of all axes together, drawn on a logarithmic scale.
        stretch: range of the size of each axis besides, drawn on a logarithmic scale.
        rotation_deg: largest angle either way.
        shift: largest shift along each axis either way, as a share of the image.
        bend: largest displacement of a control point, as a share of their distance.
        bend_points: control points along each axis.
        bend_share: of images that are bent.
        mirror_share: of images that are mirrored along the last axis. Zero wherever the anatomy has
            sides, or a text or a label says one: a mirrored chest has its heart on the right.
        mirror_swaps: pairs of labels that change places in a mirrored image.
        gamma: range, drawn on a logarithmic scale.
        contrast: range of the gain about the middle gray.
        brightness: largest offset either way, as a share of the range from black to white.
        bias: standard deviation of a strength of the bias field.
        bias_order: highest degree of the bias field.
        noise: range of the noise, as a share of the range from black to white.
        gamma_share, contrast_share, bias_share, noise_share: of images that get each.
    """

    scale: tuple[float, float] = (0.92, 1.08)
    stretch: tuple[float, float] = (0.95, 1.05)
    rotation_deg: float = 8.0
    shift: float = 0.04
    bend: float = 0.12
    bend_points: int = 5
    bend_share: float = 0.5
    mirror_share: float = 0.0
    mirror_swaps: tuple[tuple[int, int], ...] = ()
    gamma: tuple[float, float] = (0.7, 1.5)
    contrast: tuple[float, float] = (0.85, 1.15)
    brightness: float = 0.05
    bias: float = 0.1
    bias_order: int = 2
    noise: tuple[float, float] = (0.002, 0.02)
    gamma_share: float = 0.5
    contrast_share: float = 0.5
    bias_share: float = 0.3
    noise_share: float = 0.3

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name.endswith("_share"):
                check_share(one.name, getattr(self, one.name))
        for name in ("scale", "stretch", "gamma", "contrast", "noise"):
            check_range(name, getattr(self, name), may_be_one=True)
        for name in ("rotation_deg", "shift", "brightness", "bias"):
            check_least(name, getattr(self, name), 0)
        check_least("bend_points", self.bend_points, 4)
        check_least("bias_order", self.bias_order, 1)
        if not 0 <= self.bend <= MOST_BEND:
            raise ValueError(
                f"bend is from 0 to {MOST_BEND:g}, where nothing folds over itself, "
                f"got {self.bend:g}"
            )


def geometric(**changes: Any) -> AugmentSettings:
    """Settings that move anatomy and leave values alone, as for HU.

    Args:
        **changes: of other settings.
    """
    still = {f"{name}_share": 0.0 for name in ("gamma", "contrast", "bias", "noise")}
    return AugmentSettings(**(still | changes))


def drawn(settings: AugmentSettings, rng: np.random.Generator, *, axes: int) -> Record:
    """Draw the parameters of one image's augmentation.

    Every parameter is drawn, whether it is used or not, so that a share that is changed leaves the
    other parameters of an image as they were.

    Args:
        settings: how much.
        rng: the image's own generator.
        axes: 2 or 3.

    Returns:
        A record of values that JSON takes; what is left out changes nothing.
    """
    if axes not in (2, 3):
        raise InputRefused(f"images have 2 or 3 axes, got {axes}")
    found: Record = {"geometry": _geometry(settings, rng, axes)}
    chosen = {
        name: bool(rng.random() < share)
        for name, share in (
            ("bias_field", settings.bias_share),
            ("gamma", settings.gamma_share),
            ("contrast", settings.contrast_share),
            ("noise", settings.noise_share),
        )
    }
    num_strengths = len(list(orders(axes, settings.bias_order)))
    drawn_values = {
        "bias_field": {
            "strengths": (settings.bias * rng.standard_normal(num_strengths)).tolist(),
            "order": settings.bias_order,
        },
        "gamma": {"gamma": _logarithmic(rng, settings.gamma)},
        "contrast": {
            "gain": float(rng.uniform(*settings.contrast)),
            "offset": float(settings.brightness * rng.uniform(-1, 1)),
        },
        "noise": {
            "level": _logarithmic(rng, settings.noise),
            "seed": int(rng.integers(_MOST_SEED)),
        },
    }
    found |= {name: value for name, value in drawn_values.items() if chosen[name]}
    return {"version": VERSION, **found}


def applied(record: Mapping[str, Any], sample: Sample, values: Values) -> Sample:
    """Change an image as a record says: geometry, bias field, gamma, contrast, then noise.

    Args:
        record: as :func:`drawn` gives it, or as JSON gives that back.
        sample: the image as it was.
        values: what its numbers mean.

    Raises:
        InputRefused: the record is none, or of another number of axes.
    """
    unknown = sorted(set(record) - set(_KINDS) - {"version"})
    if record.get("version") != VERSION or unknown:
        raise InputRefused(
            f"a record of an augmentation has version {VERSION} and some of "
            f"{', '.join(_KINDS)}; got version {record.get('version')} and "
            f"{', '.join(unknown) or 'nothing else'}"
        )
    for name, kind in _KINDS.items():
        if name in record:
            sample = _fixed(kind, name, record[name])(sample, values)
    return sample


def applied_to_batch(
    records: Sequence[Mapping[str, Any]], samples: Sequence[Sample], values: Values
) -> list[Sample]:
    """Each image of a batch as its own record says."""
    return [applied(*both, values) for both in zip(records, samples, strict=True)]


def _geometry(settings: AugmentSettings, rng: np.random.Generator, axes: int) -> dict[str, Any]:
    together = _logarithmic(rng, settings.scale)
    scale = [together * _logarithmic(rng, settings.stretch) for _ in range(axes)]
    angles = settings.rotation_deg * rng.uniform(-1, 1, {2: 1, 3: 3}[axes])
    shift = settings.shift * rng.uniform(-1, 1, axes)
    points = (axes, *[settings.bend_points] * axes)
    bend = settings.bend * rng.uniform(-1, 1, points)
    is_bent = rng.random() < settings.bend_share
    mirrored = bool(rng.random() < settings.mirror_share)
    return {
        "scale": scale,
        "angles_deg": angles.tolist(),
        "shift": shift.tolist(),
        "bend": bend.tolist() if is_bent and settings.bend else [],
        "mirrored": mirrored,
        "swapped": [list(pair) for pair in settings.mirror_swaps] if mirrored else [],
    }


def _logarithmic(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    low, high = np.log(ends)
    return float(np.exp(rng.uniform(low, high)))


def _fixed(kind: Any, name: str, parameters: Mapping[str, Any]) -> Any:
    known = {one.name for one in fields(kind)}
    if set(parameters) - known:
        raise InputRefused(
            f"the record of {name} has {', '.join(sorted(known))}; got "
            f"{', '.join(sorted(parameters))}"
        )
    return kind(**parameters)
