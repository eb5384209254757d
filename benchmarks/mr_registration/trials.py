"""One registration whose truth is known, and what the check says of it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mr_registration.heads import Head
from isocenter.core.seeds import generator_for
from isocenter.core.volume import Volume
from isocenter.image.head_mask import head_mask
from isocenter.image.registration import (
    NO_MOTION,
    Motion,
    inverse,
    points_mm,
    register,
    resample,
    rigid_motion,
)
from isocenter.image.registration_check import check_registration

MOST_MM, MOST_DEG = 20.0, 15.0
PUSHES_MM = (0.0, 4.0, 6.0, 9.0, 13.0)
Trial = dict[str, Any]


def planted(head: Head, name: str, number: int) -> Trial:
    """Another contrast moved by a motion of up to 20 mm and 15 degrees, and found again."""
    fixed, points = _fixed(head)
    rng = generator_for(number, head.name, name)
    truth = _drawn(rng, points.mean(0), MOST_MM, MOST_DEG)
    moving = resample(head.images[name], fixed.geometry, inverse(truth))
    started, used = time.perf_counter(), time.process_time()
    motion = register(moving, fixed)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    check = check_registration(moving, fixed, motion)
    return _trial(
        "planted", head, name, _errors_mm(motion, truth, points), check,
        planted_mm=float(_errors_mm(NO_MOTION, truth, points).mean()),
        planted_deg=truth.angle_deg, seconds=seconds, cpu_seconds=cpu,
    )  # fmt: skip


def unmoved(head: Head, name: str) -> Trial:
    """Another contrast as the data set has it: how far we differ from whoever laid it there."""
    fixed, points = _fixed(head)
    motion = register(head.images[name], fixed)
    check = check_registration(head.images[name], fixed, motion)
    return _trial("unmoved", head, name, _errors_mm(motion, NO_MOTION, points), check)


def pushed(head: Head, name: str, push_mm: float) -> Trial:
    """The right answer pushed off by a known amount: the check must see it."""
    fixed, points = _fixed(head)
    rng = generator_for(0, "push", head.name, name, int(push_mm))
    motion = _pushed(rng, points, push_mm)
    check = check_registration(head.images[name], fixed, motion, round_trip=False)
    return _trial("pushed", head, name, _errors_mm(motion, NO_MOTION, points), check)


def stranger(first: Head, second: Head) -> Trial:
    """Another person's image registered: never right, however well it seems to fit."""
    fixed, _ = _fixed(first)
    name = list(second.images)[1]
    moving = second.images[name]
    motion = register(moving, fixed)
    check = check_registration(moving, fixed, motion)
    return _trial("stranger", first, name, np.array([np.inf]), check, other=second.name)


def _fixed(head: Head) -> tuple[Volume, NDArray]:
    """The first contrast, and points spread over its brain."""
    fixed = next(iter(head.images.values()))
    return fixed, points_mm(fixed.geometry, head.brain)


def _trial(kind: str, head: Head, name: str, errors_mm: NDArray, check: Any, **more: Any) -> Trial:
    return {
        "kind": kind,
        "head": head.name,
        "fixed": next(iter(head.images)),
        "moving": name,
        "mean_mm": float(errors_mm.mean()),
        "max_mm": float(errors_mm.max()),
        "passed": check.passed,
        **{key: value for key, value in asdict(check).items() if key != "problems"},
        "problems": list(check.problems),
        **more,
    }


def _drawn(rng: np.random.Generator, center_mm: NDArray, most_mm: float, most_deg: float) -> Motion:
    """Any direction and axis; sizes evenly up to the most."""
    shift, axis = (_direction(rng) for _ in range(2))
    angles = axis * rng.uniform(0, most_deg)
    return rigid_motion(
        angles.tolist(), (shift * rng.uniform(0, most_mm)).tolist(), center_mm.tolist()
    )


def _pushed(rng: np.random.Generator, points: NDArray, mean_mm: float) -> Motion:
    """A shift and a turn that together move the points by ``mean_mm`` on average."""
    shift, axis = (_direction(rng) for _ in range(2))
    center = points.mean(0).tolist()
    motion = rigid_motion((axis * 0.8).tolist(), shift.tolist(), center)
    scale = mean_mm / float(_errors_mm(motion, NO_MOTION, points).mean())
    return rigid_motion((axis * 0.8 * scale).tolist(), (shift * scale).tolist(), center)


def _direction(rng: np.random.Generator) -> NDArray:
    drawn = rng.standard_normal(3)
    direction: NDArray = drawn / np.linalg.norm(drawn)
    return direction


def _errors_mm(motion: Motion, truth: Motion, points: NDArray) -> NDArray:
    errors: NDArray = np.linalg.norm(motion.moved_mm(points) - truth.moved_mm(points), axis=1)
    return errors


def is_same_outline(first: Head, second: Head) -> bool:
    """Whether both show the skull, or both do not: else no check is needed to tell them apart."""
    heads = [head_mask(next(iter(one.images.values()))) for one in (first, second)]
    shares = [
        one.brain.sum() / head.sum() for one, head in zip((first, second), heads, strict=True)
    ]
    return bool((shares[0] > 0.8) == (shares[1] > 0.8))
