"""MR images of the head simulated from label maps, from ``mri/synthseg_label_maps``.

The heads are the label maps that SynthSeg was trained on: Billot et al., Med. Image Anal. 86,
2023, 102789 (Apache-2.0). Anatomy is theirs, bent a little; every gray value is made by the
equations of :mod:`isocenter.physics.mr_signal`. No such image was measured by a scanner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.progress import Progress, silent
from isocenter.core.seeds import generator_for
from isocenter.datasets.image_sets.head_slices import (
    PLANES,
    SIZE,
    Slab,
    bent_slab,
    num_slices,
    slice_of,
)
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.datasets.image_sets.simulated_mr import CONTRASTS, draw_protocol, simulated
from isocenter.datasets.label_maps import MAPS, LabelMap, label_maps, table_of_places
from isocenter.image.volume_files import read_volume_file
from isocenter.physics.phantom.head_tissues import (
    GUIDE,
    GUIDE_OF,
    NUM_TISSUES,
    number_of,
)

FAMILY = "brain_labels"
# Slices that show less brain are passed over.
_LEAST_BRAIN_PIXELS = 1800
_TRIES = 50
_BRAIN = (
    "white matter", "cortex", "cerebellar white matter", "cerebellar cortex", "brainstem",
)  # fmt: skip
_IS_BRAIN = np.isin(np.arange(NUM_TISSUES), [number_of(name) for name in _BRAIN])


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """One label map.

    Attributes:
        name: of its file.
        tissues: (slice, row, column) uint8 numbers of tissues (see ``head_tissues``), 1 mm, LPS.
        part: where its images belong.
    """

    name: str
    tissues: NDArray
    part: str


def read_heads(data: Path) -> list[Head]:
    """The label maps, in the order of their names.

    Raises:
        UnreadableInput: there are none, or lut.json does not fit them.
    """
    maps = label_maps(data)
    table = table_of_places(data / MAPS / "lut.json")
    return [_head(one, table) for one in maps]


def _head(one: LabelMap, table: NDArray) -> Head:
    assert one.path is not None
    numbers = read_volume_file(one.path, unit="label", length_unit="mm").array.astype(np.int64)
    if numbers.max() >= len(table):
        raise UnreadableInput(f"{one.path.name} holds labels that lut.json does not name")
    return Head(name=one.name, tissues=table[numbers], part=one.part)


def read_brain_labels(
    data: Path, *, number: int = 3000, seed: int = 0, progress: Progress = silent
) -> ImageSet:
    """Simulate a set.

    Args:
        data: folder that holds ``mri/synthseg_label_maps``.
        number: of images; the first ones are the same whatever the number.
        seed: of the set.
        progress: counts the images.
    """
    heads = read_heads(data)
    if number < 1:
        raise InputRefused(f"number of images is at least 1, got {number}")
    stored = np.empty((number, *SIZE), np.uint8)
    guides = np.empty((number, *SIZE), np.uint8)
    labels = []
    progress(0, number)
    for place in range(number):
        stored[place], guides[place], label = simulated_image(heads, seed, place)
        labels.append(label)
        progress(place + 1, number)
    return ImageSet(
        family=FAMILY, stored=stored, labels=tuple(labels), guides=guides, guide_names=GUIDE
    )


def simulated_image(
    heads: Sequence[Head], seed: int, place: int
) -> tuple[NDArray, NDArray, ImageLabels]:
    """Image number ``place`` of the set of a seed; no other image has a say in it.

    Returns:
        (row, column) uint8 gray values, the guide of the same shape, and what is known of it.
    """
    rng = generator_for(seed, FAMILY, place)
    head = heads[place % len(heads)]
    contrast = CONTRASTS[int(rng.integers(len(CONTRASTS)))]
    plane = PLANES[int(rng.integers(len(PLANES)))]
    protocol = draw_protocol(contrast, rng)
    slab = _slab_with_brain(head.tissues, plane, protocol.thickness_mm, rng)
    image = simulated(slab, protocol, rng)
    return (
        np.rint(image * 255).astype(np.uint8),
        GUIDE_OF[slab.middle],
        ImageLabels(
            file=f"simulated {place} of {head.name}",
            patient=head.name,
            part=head.part,
            categories={"contrast": contrast, "plane": plane},
            numbers=protocol.numbers(),
        ),
    )


def _slab_with_brain(
    tissues: NDArray, plane: str, thickness_mm: int, rng: np.random.Generator
) -> Slab:
    for _ in range(_TRIES):
        index = int(rng.integers(num_slices(tissues, plane)))
        shown = slice_of(tissues, plane, index)
        if np.count_nonzero(_IS_BRAIN[shown]) >= _LEAST_BRAIN_PIXELS:
            return bent_slab(tissues, plane, index, thickness_mm=thickness_mm, rng=rng)
    raise InputRefused(f"a label map shows next to no brain in {plane} slices; leave it out")
