"""Real images beside generated ones, drawn at random, and the nearest pairs: to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.files import appearing_whole
from isocenter.core.seeds import generator_for
from isocenter.evaluation.sets.copies import CopyFindings
from isocenter.evaluation.sets.image_folder import CLASS, ImageSet
from isocenter.evaluation.sets.judge import class_names

_ACROSS = 6
_MOST_CLASSES = 8
_MOST_PAIRS = 12
_LINE = 16  # pixels for words
_GAP = 4
_LARGEST_SIDE = 192
_PAPER, _INK = 255, 0


def save_contact_sheet(real: ImageSet, generated: ImageSet, path: Path, *, seed: int = 0) -> Path:
    """For each class six real images at the left and six generated ones at the right.

    Nobody chose them: which are shown follows from the seed.
    """
    rows = []
    for name in class_names(real, generated)[:_MOST_CLASSES]:
        sides = [
            _drawn(each, name, generator_for(seed, "contact sheet", kind, name))
            for kind, each in (("real", real), ("generated", generated))
        ]
        heads = ("real", "generated")
        words = [f"{head}: {name}" if name else head for head in heads]
        rows.append(_titled(words, sides))
    return _save(np.concatenate(rows), path)


def save_nearest_pairs(
    real: ImageSet, generated: ImageSet, copies: CopyFindings, path: Path
) -> Path:
    """The generated images most like a real one, each with that one at its left."""
    order = np.argsort(copies.similarity)[::-1][:_MOST_PAIRS]
    rows = []
    for start in range(0, len(order), 2):
        chosen = order[start : start + 2]
        sides = [[real.images[copies.nearest[k]], generated.images[k]] for k in chosen]
        words = [
            f"real, generated: {copies.similarity[k]:.3f}{' copy' if copies.is_copy[k] else ''}"
            for k in chosen
        ]
        rows.append(_titled(words, sides, across=2))
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=_PAPER) for row in rows
    ]
    return _save(np.concatenate(padded), path)


def _drawn(images: ImageSet, name: str, rng: np.random.Generator) -> list[NDArray]:
    there = np.arange(len(images))
    if name:
        there = there[np.asarray(images.columns[CLASS]) == name]
    return [images.images[k] for k in rng.permutation(there)[:_ACROSS]]


def _titled(
    words: Sequence[str], sides: Sequence[Sequence[NDArray]], *, across: int = _ACROSS
) -> NDArray:
    """Words above groups of images, the groups apart from each other."""
    from PIL import Image, ImageDraw

    rows, columns = _shown(sides[0][0]).shape
    group = across * (columns + _GAP) + 3 * _GAP
    page = np.full((_LINE + rows + _GAP, group * len(sides)), _PAPER, np.uint8)
    canvas = Image.fromarray(page)
    draw = ImageDraw.Draw(canvas)
    for number, (text, images) in enumerate(zip(words, sides, strict=True)):
        draw.text((number * group + _GAP, 2), text, fill=_INK)
        for place, image in enumerate(images[:across]):
            left = number * group + _GAP + place * (columns + _GAP)
            canvas.paste(Image.fromarray(_shown(image)), (left, _LINE))
    return np.asarray(canvas)


def _shown(image: NDArray) -> NDArray:
    """8 bits, at most so many pixels a side, by means of blocks."""
    step = -(-max(image.shape) // _LARGEST_SIDE)
    rows, columns = (size // step * step for size in image.shape)
    part = image[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return np.clip((part.mean(axis=(1, 3)) + 1) * 127.5, 0, 255).round().astype(np.uint8)


def _save(page: NDArray, path: Path) -> Path:
    from PIL import Image

    with appearing_whole(path) as part:
        Image.fromarray(page).save(part, format="PNG")
    return path
