"""What every written image says of its making, in each format's own words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from isocenter.core.record import RunRecord
from isocenter.modelpack.generator.wish import Generated

_HOW_DRAWN = ("guidance", "sampler", "steps")


def record_of_image(run: RunRecord, image: Generated, **more: Any) -> RunRecord:
    """The record of one image of a run: its own wish and seed, and how it was drawn.

    Args:
        more: further settings that this image was made with.
    """
    known = run.settings
    shared = {name: value for name, value in known.items() if name in _HOW_DRAWN}
    wish = json.dumps(image.wish.described(), ensure_ascii=False, sort_keys=True)
    settings: dict[str, Any] = {
        **shared,
        **more,
        "run": run.digest()[:16],
        "seed": image.seed,
        "wish": wish,
    }
    return replace(run, settings=settings)


def said_of_image(run: RunRecord, image: Generated, **more: Any) -> dict[str, Any]:
    """The same as one mapping, ready for JSON."""
    settings = dict(record_of_image(run, image).settings)
    return {
        "task": run.task,
        "product_version": run.product_version,
        "model_name": run.model_name,
        "model_version": run.model_version,
        "weights_sha256": run.weights_sha256,
        **settings,
        "run": run.digest(),
        "wish": image.wish.described(),
        **more,
    }


def wish_in_words(image: Generated, *, longest: int = 200) -> str:
    """What an image was to be, in a line or two; "nothing in particular" where all was free."""
    wish = image.wish
    parts = [*wish.categories.values()]
    parts += [f"{name} {value:g}" for name, value in wish.numbers.items()]
    if wish.box is not None:
        parts.append("box " + " ".join(f"{part:.2f}" for part in wish.box))
    if wish.mask is not None:
        parts.append("mask")
    if wish.reference is not None:
        parts.append("reference image")
    if wish.text:
        parts.append(f"“{wish.text}”")
    words = ", ".join(parts) or "nothing in particular"
    return words if len(words) <= longest else words[: longest - 1] + "…"
