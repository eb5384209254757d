"""Generated images to be looked at. Nobody chose them: which are shown follows from the seed.

Nothing real is shown, not even as what is edited, so every sheet may be published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.generate.drawn import default_setting, drawn, prior_images, seed_of
from benchmarks.generate.study import Study, in_unit
from benchmarks.generate.wishes import in_words, like_test_images
from isocenter.core.files import appearing_whole
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import Wish, inside_box

FOLDER = "sheets"
NUMBER, ACROSS = 64, 8
_ASKED, _PRIOR, _TEXTS, _MOST_WORDS = 16, 16, 4, 7
_FRACTIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_EDIT_BOX = (0.5, 0.5, 0.4, 0.4)
_EDIT_STRENGTH = 0.7
_GAP, _LINE, _LETTER = 2, 14, 6
_PAPER, _INK = 255, 0


def measure(study: Study) -> dict[str, Any]:
    """Draw all sheets; names of their files by family and kind."""
    folder = study.output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for family in study.families:
        study.say(f"sheets of {family.name}")
        sheets = {
            "images": _many(study, family),
            "asked": _asked(study, family),
            "prior": _grid(_shown(family, prior_images(study, family.name, _PRIOR)), across=4),
            "interpolation": _interpolation(study, family),
            "edit": _edited(study, family),
            "words": _words(study, family),
        }
        found[family.name] = {
            kind: _save(page, folder / f"{family.name}_{kind}.png").name
            for kind, page in sheets.items()
            if page is not None
        }
    return {"folder": FOLDER, "families": found}


def markdown(figures: Mapping[str, Any]) -> str:
    """Where the sheets lie."""
    files = sum(len(one) for one in figures["families"].values())
    return f"{files} sheets of images in the folder `{figures['folder']}` of the results."


def _many(study: Study, family: Family) -> NDArray:
    wishes = like_test_images(study, family.name, NUMBER)
    images = drawn(study, family.name, wishes, default_setting(study))
    return _grid(_shown(family, images), across=ACROSS)


def _asked(study: Study, family: Family) -> NDArray:
    wishes = like_test_images(study, family.name, _ASKED)
    images = _shown(family, drawn(study, family.name, wishes, default_setting(study)))
    framed = [_framed(image, one) for image, one in zip(images, wishes, strict=True)]
    return _grid(framed, across=4, lines=[asked_lines(one) for one in wishes])


def asked_lines(wish: Wish) -> list[str]:
    """A wish in short lines."""
    lines = [f"{name}: {value}" for name, value in wish.categories.items()]
    lines += [f"{name}: {value:g}" for name, value in wish.numbers.items()]
    if wish.box is not None:
        lines.append("box: as framed")
    if wish.mask is not None:
        lines.append("guide: a mask")
    return lines or ["nothing"]


def _framed(image: NDArray, wish: Wish) -> NDArray:
    """The edge of the box that was asked for, in white."""
    if wish.box is None:
        return image
    inside = inside_box(wish.box, *image.shape)
    inner = inside.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(inside, step, axis=axis)
    return np.where(inside & ~inner, np.uint8(255), image)


def _interpolation(study: Study, family: Family) -> NDArray:
    wishes = like_test_images(study, family.name, 2)
    ends = in_unit(family, drawn(study, family.name, wishes, default_setting(study)))
    between = study.model.of(family.name).interpolate(ends[0], ends[1], _FRACTIONS)
    lines = [[f"{fraction:g}"] for fraction in _FRACTIONS]
    return _grid([_gray(family, one) for one in between], across=len(_FRACTIONS), lines=lines)


def _edited(study: Study, family: Family) -> NDArray:
    wishes = like_test_images(study, family.name, 2)
    values = in_unit(family, drawn(study, family.name, wishes[:1], default_setting(study)))[0]
    generator = study.model.of(family.name)
    mask = inside_box(_EDIT_BOX, family.rows, family.columns)
    whole = generator.edit(values, wishes[1], seed_of(study, 1), strength=_EDIT_STRENGTH).values
    within = generator.edit(
        values, wishes[1], seed_of(study, 1), strength=_EDIT_STRENGTH, mask=mask
    ).values
    framed = _framed(_gray(family, values), Wish(box=_EDIT_BOX))
    pages = [framed, _gray(family, whole), _gray(family, within)]
    other = asked_lines(wishes[1])
    lines = [
        ["before", *asked_lines(wishes[0])],
        [f"edited, strength {_EDIT_STRENGTH:g}", *other],
        ["edited in the frame", *other],
    ]
    return _grid(pages, across=len(pages), lines=lines)


def _words(study: Study, family: Family) -> NDArray | None:
    """Images told in English, each with where its words acted."""
    pairs = in_words(study, family.name, _TEXTS)
    if not pairs:
        return None
    generator = study.model.of(family.name)
    wishes = [pair[0] for pair in pairs]
    seeds = [seed_of(study, k) for k in range(len(wishes))]
    images, lines = [], []
    for one in generator.generate(wishes, seeds, attention=True):
        words = list(one.words.items())[:_MOST_WORDS]
        images += [_gray(family, one.values), *(_heat(each) for _, each in words)]
        lines += [[one.wish.text], *([word] for word, _ in words)]
        missing = _MOST_WORDS - len(words)
        images += [np.full((family.rows, family.columns), _PAPER, np.uint8)] * missing
        lines += [[""]] * missing
    return _grid(images, across=1 + _MOST_WORDS, lines=lines)


def _heat(share: NDArray) -> NDArray:
    most = max(float(share.max()), 1e-12)
    return np.rint(255 * share / most).astype(np.uint8)


def _shown(family: Family, images: NDArray) -> list[NDArray]:
    return [_gray(family, in_unit(family, one)) for one in images]


def _gray(family: Family, values: NDArray) -> NDArray:
    center, width = family.window
    level = ((np.asarray(values, np.float32) - center) / width + 0.5).clip(0, 1)
    return np.rint(255 * level).astype(np.uint8)


def _grid(
    images: Sequence[NDArray], *, across: int, lines: Sequence[Sequence[str]] | None = None
) -> NDArray:
    """Images in rows, each with its lines of words below."""
    from PIL import Image, ImageDraw

    rows, columns = images[0].shape
    said = [[] for _ in images] if lines is None else [_wrapped(one, columns) for one in lines]
    below = _LINE * max(map(len, said))
    tall, wide = rows + below + _GAP, columns + _GAP
    down = -(-len(images) // across)
    page = Image.fromarray(np.full((down * tall, across * wide), _PAPER, np.uint8))
    draw = ImageDraw.Draw(page)
    for place, (image, words) in enumerate(zip(images, said, strict=True)):
        top, left = place // across * tall, place % across * wide
        page.paste(Image.fromarray(image), (left, top))
        for line, text in enumerate(words):
            draw.text((left + 2, top + rows + _LINE * line), text, fill=_INK)
    return np.asarray(page)


def _wrapped(lines: Sequence[str], columns: int) -> list[str]:
    """Lines that fit below an image."""
    most = max(4, columns // _LETTER)
    found: list[str] = []
    for line in lines:
        rest = line
        while len(rest) > most:
            cut = rest.rfind(" ", 0, most + 1)
            cut = cut if cut > 0 else most
            found.append(rest[:cut])
            rest = rest[cut:].lstrip()
        found.append(rest)
    return found


def _save(page: NDArray, path: Path) -> Path:
    from PIL import Image

    with appearing_whole(path) as part:
        Image.fromarray(page).save(part, format="PNG")
    return path
