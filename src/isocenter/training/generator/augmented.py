"""Further versions of training images, moved and recolored before they are encoded.

Each comes from a record that alone decides it, so any version can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isocenter.core.seeds import generator_for
from isocenter.datasets.image_sets.image_set import Box, ImageSet
from isocenter.training.augment.draw import AugmentSettings, applied, drawn, geometric
from isocenter.training.augment.sample import (
    Sample,
    Values,
    box_of_fractions,
    fractions_of_box,
)

Record = dict[str, Any]
AIR_HU = -1000.0
_INTENSITY = ("gamma_share", "contrast_share", "bias_share", "noise_share")


def records_of(
    images: ImageSet, settings: AugmentSettings, *, versions: int, seed: int
) -> list[Record]:
    """Draw so many versions of each image: ``{"image": its place, "changes": a record}``.

    Values in HU are never changed, only moved.
    """
    if is_measured(images):
        settings = replace(settings, **{name: getattr(geometric(), name) for name in _INTENSITY})
    return [
        {
            "image": place,
            "changes": drawn(
                settings, generator_for(seed, "augment", images.family, place, version), axes=2
            ),
        }
        for version in range(versions)
        for place in range(len(images))
    ]


def is_measured(images: ImageSet) -> bool:
    """Whether values are HU and no gray levels."""
    return images.low < 0


def augmented(images: ImageSet, records: Sequence[Mapping[str, Any]]) -> ImageSet:
    """The versions that records say, with labels, boxes and guides of their own.

    Args:
        images: as :func:`records_of` was given them.
        records: as it gave them, or as JSON gives them back.

    Returns:
        One image a record; a box that has left its image is none.
    """
    made = [_version(images, int(one["image"]), one["changes"]) for one in records]
    chosen = images.chosen([int(one["image"]) for one in records])
    if not made:
        return chosen
    return replace(
        chosen,
        stored=np.stack([one.stored for one in made]),
        labels=tuple(
            replace(labels, box=one.box) for labels, one in zip(chosen.labels, made, strict=True)
        ),
        guides=_stacked([one.guide for one in made]),
        references=_stacked([one.reference for one in made]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Version:
    stored: NDArray
    box: Box | None
    guide: NDArray | None
    reference: NDArray | None


def _stacked(images: Sequence[NDArray | None]) -> NDArray | None:
    there = [one for one in images if one is not None]
    return np.stack(there) if there else None


def _version(images: ImageSet, place: int, changes: Mapping[str, Any]) -> _Version:
    rows, columns = images.size
    seen = [images.stored[place]]
    if images.references is not None:
        seen.append(images.references[place])  # moved and recolored as the image is
    box = images.labels[place].box
    guide = None if images.guides is None else images.guides[place]
    sample = Sample(
        image=torch.from_numpy(np.stack(seen).astype(np.float32).clip(images.low, images.high)),
        labels=None if guide is None else torch.from_numpy(guide.astype(np.int64)),
        boxes=torch.zeros(0)
        if box is None
        else torch.tensor([box_of_fractions(box, rows, columns)], dtype=torch.float64),
    )
    empty = AIR_HU if is_measured(images) else images.low
    found = applied(changes, sample, Values(low=images.low, high=images.high, empty=empty))
    made = found.image.numpy()
    if np.issubdtype(images.stored.dtype, np.integer):
        made = np.rint(made)
    made = made.astype(images.stored.dtype)
    has_left = box is None or bool(found.boxes[0].isnan().any())
    return _Version(
        stored=made[0],
        box=None if has_left else fractions_of_box(found.boxes[0].tolist(), rows, columns),
        guide=None if found.labels is None else found.labels.numpy().astype(np.uint8),
        reference=made[1] if len(made) > 1 else None,
    )
