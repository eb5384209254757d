"""Draw every image that is asked for, and draw again what the model calls a patient's copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isocenter.core.errors import ModelRefused
from isocenter.core.progress import Progress
from isocenter.modelpack.generator.wish import Generated
from isocenter.tasks.generate.generator import Generator
from isocenter.tasks.generate.requests import Request
from isocenter.tasks.generate.settings import GenerateSettings

MOST_ATTEMPTS = 8
"""Draws of one image, each from a seed of its own, before a run gives up."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """An image that is no copy.

    Attributes:
        number: of the request, from 1.
        image: what was drawn.
        copies: draws that were thrown away before it.
    """

    number: int
    image: Generated
    copies: int


def draw(
    model: Generator,
    requests: Sequence[Request],
    settings: GenerateSettings,
    *,
    progress: Progress,
) -> Iterator[Drawn]:
    """Images as they come; those drawn again come last.

    Args:
        progress: told of each image that is no copy.

    Raises:
        ModelRefused: nothing but copies came of a request, or an image is none.
    """
    waiting, done = list(enumerate(requests, 1)), 0
    progress(0, len(requests))
    for attempt in range(MOST_ATTEMPTS):
        copies = []
        for (number, request), image in _round(model, waiting, settings, attempt):
            if model.is_copy(image.values):
                copies.append((number, request))
                continue
            done += 1
            yield Drawn(number=number, image=image, copies=attempt)
            progress(done, len(requests))
        waiting = copies
        if not waiting:
            return
    raise ModelRefused(
        f"the model gave nothing but copies of images it was trained on for {len(waiting)} of "
        f"{len(requests)} images, {MOST_ATTEMPTS} draws each; nothing was written. Ask for "
        "something less narrow, or give another --seed",
        reason="only_copies",
    )


def _round(
    model: Generator,
    waiting: Sequence[tuple[int, Request]],
    settings: GenerateSettings,
    attempt: int,
) -> Iterator[tuple[tuple[int, Request], Generated]]:
    """One image for each that waits."""
    images = model.generate(
        [request.wish for _, request in waiting],
        [request.seed_of(attempt) for _, request in waiting],
        steps=settings.steps,
        guidance=settings.guidance,
        sampler=settings.sampler,
        attention=settings.attention,
    )
    for asked, image in zip(waiting, images, strict=True):
        check_image(model, image)
        yield asked, image


def check_image(model: Generator, image: Generated) -> None:
    """See that an image is one of the model's family.

    Raises:
        ModelRefused: it has another size, or values that are not finite.
    """
    family = model.family
    values = image.values
    if values.shape != (family.rows, family.columns) or not np.isfinite(values).all():
        raise ModelRefused(
            "the model gave no finite image of the size that it promises; nothing was written. "
            "Try --device cpu, and check the model folder"
        )
