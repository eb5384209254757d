"""The parts of the benchmark, in the order in which they run; each may be run alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.generate import (
    autoencoder,
    likeness,
    obedience,
    privacy,
    sheets,
    speed,
    usefulness,
)
from benchmarks.generate.study import Study


class Part(NamedTuple):
    """What a part measures, and how that stands on a page."""

    title: str
    measure: Callable[[Study], dict[str, Any]]
    markdown: Callable[[Mapping[str, Any]], str]


PARTS: dict[str, Part] = {
    "autoencoder": Part("What the latents hold", autoencoder.measure, autoencoder.markdown),
    "likeness": Part("Likeness to real images", likeness.measure, likeness.markdown),
    "obedience": Part("Obedience", obedience.measure, obedience.markdown),
    "usefulness": Part("Worth to a classifier", usefulness.measure, usefulness.markdown),
    "privacy": Part("Copies and membership", privacy.measure, privacy.markdown),
    "speed": Part("Speed and memory", speed.measure, speed.markdown),
    "sheets": Part("Sheets of images", sheets.measure, sheets.markdown),
}
