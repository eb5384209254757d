"""Further versions of training images, moved and recolored before they are encoded.

Each comes from a record that alone decides it, so any version can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    places = [int(one["image"]) for one in records]
    chosen = images.chosen(places)
    return replace(
        chosen,
        stored=np.stack([stored for stored, _, _ in made]) if made else chosen.stored,
        labels=tuple(
            replace(labels, box=box)
            for labels, (_, box, _) in zip(chosen.labels, made, strict=True)
        ),
        guides=None
        if images.guides is None
        else np.stack([guide for _, _, guide in made if guide is not None])
        if made
        else chosen.guides,
    )


def _version(
    images: ImageSet, place: int, changes: Mapping[str, Any]
) -> tuple[NDArray, Box | None, NDArray | None]:
    rows, columns = images.size
    stored = images.stored[place]
    box = images.labels[place].box
    empty = AIR_HU if is_measured(images) else images.low
    clipped = np.clip(stored.astype(np.float32), images.low, images.high)
    sample = Sample(
        image=torch.from_numpy(clipped)[None],
        labels=None
        if images.guides is None
        else torch.from_numpy(images.guides[place].astype(np.int64)),
        boxes=torch.zeros(0)
        if box is None
        else torch.tensor([box_of_fractions(box, rows, columns)], dtype=torch.float64),
    )
    found = applied(changes, sample, Values(low=images.low, high=images.high, empty=empty))
    image = found.image[0].numpy()
    if np.issubdtype(stored.dtype, np.integer):
        image = np.rint(image)
    edges = None if box is None else found.boxes[0]
    return (
        image.astype(stored.dtype),
        None
        if edges is None or bool(edges.isnan().any())
        else fractions_of_box(edges.tolist(), rows, columns),
        None if found.labels is None else found.labels.numpy().astype(np.uint8),
    )
