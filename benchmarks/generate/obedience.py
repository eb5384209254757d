"""Do images show what was asked for? Judges fitted to real training images alone say so.

What a judge gets right on real test images stands beside everything that it says of generated
ones: no generator can be seen to obey more often than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.generate import judges
from benchmarks.generate.drawn import default_setting, drawn, drawn_by_default
from benchmarks.generate.likeness import MUCH_GUIDANCE, NO_GUIDANCE
from benchmarks.generate.study import Study, category_of, in_unit, patients_of, where
from benchmarks.generate.tables import number, percent, share, spread, table
from benchmarks.generate.wishes import in_words, like_test_images
from isocenter.core.seeds import generator_for
from isocenter.datasets.splits import TEST, TRAIN
from isocenter.evaluation.bootstrap import bootstrap_mean
from isocenter.image.ct_lung import lung_mask
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import Wish
from isocenter.training.judges.box_finder import box_overlap, found_boxes

OVERLAP = 0.5
REAL = "real test images"
_LUNG = "lung"
_BATCH = 64


def measure(study: Study) -> dict[str, Any]:
    """Every family for itself."""
    return {
        "overlap": OVERLAP,
        "families": {one.name: _of_family(study, one) for one in study.families},
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """A line for each family and thing that is asked for."""
    families = figures["families"]
    arms = [
        arm for arm in next(iter(families.values()))["arms"] if families
    ]  # the same in every family
    rows = []
    for name, one in families.items():
        for asked, ceiling in one[REAL].items():
            cells = [percent(one["arms"][arm]["found"].get(asked)) for arm in arms]
            commonest = number(one["commonest"].get(asked), "{:.0%}")
            rows.append((name, asked, percent(ceiling), commonest, *cells))
    parts = [
        "What was asked for and is found in the image, in percent (95 % over wishes; of real "
        f"images over patients). A box is found where it overlaps by {figures['overlap']:g} or "
        "more (intersection over union). *Commonest* is what a judge that always gives the same "
        "answer would find:\n",
        table(("family", "asked for", f"judge on {REAL}", "commonest", *arms), rows),
        "\nAsked for in words alone, the same meaning and seed in English and in Chinese:\n",
        table(
            ("family", "category", "found, English", "found, Chinese", "both languages alike"),
            [
                (name, kind, *(percent(said[key]) for key in ("english", "chinese", "alike")))
                for name, one in families.items()
                for kind, said in one["words"].items()
            ],
        ),
    ]
    guided = [
        (
            name,
            row["measure"],
            _mean(row["real"]),
            *(_mean(row["arms"][arm]) for arm in arms),
            _mean(row["other_guide"]),
        )
        for name, one in families.items()
        for row in [one["guide"]]
        if row
    ]
    if guided:
        parts += [
            "\nObedience to a guide mask, 1 is all (95 %):\n",
            table(("family", "measure", REAL, *arms, "against another image's guide"), guided),
        ]
    return "\n".join(parts)


def _mean(one: Mapping[str, Any]) -> str:
    return spread(one["mean"], one["low"], one["high"], "{:.3f}")


def _of_family(study: Study, family: Family) -> dict[str, Any]:
    study.say(f"obedience of {family.name}")
    wishes = like_test_images(study, family.name, study.effort.number)
    named = {
        kind: judges.classifier(study, family, kind)
        for kind in family.categories
        if judges.told_apart(study, family, kind)
    }
    sets = _arms(study, family, wishes)
    return {
        REAL: _on_real(study, family, named),
        "commonest": {kind: _commonest(wishes, kind) for kind in named},
        "arms": {
            arm: {
                "images": len(images),
                "found": _found(study, family, named, wishes, images),
            }
            for arm, images in sets.items()
        },
        "words": _words(study, family, named),
        "guide": _guide(study, family, wishes, sets),
    }


def _commonest(wishes: Sequence[Wish], kind: str) -> float | None:
    """Share of the wishes for a category that ask for its commonest value."""
    asked = [one.categories[kind] for one in wishes if kind in one.categories]
    return max(map(asked.count, asked)) / len(asked) if asked else None


def _arms(study: Study, family: Family, wishes: Sequence[Wish]) -> dict[str, NDArray]:
    usual = default_setting(study)
    few = wishes[: study.effort.variants]
    found = {f"guidance {usual.guidance:g} (default)": drawn_by_default(study, family.name)}
    for strength in (NO_GUIDANCE, MUCH_GUIDANCE):
        name = "no guidance" if strength == 1 else f"guidance {strength:g}"
        found[name] = drawn(study, family.name, few, replace(usual, guidance=strength))
    return found


Named = Mapping[str, Callable[[NDArray], NDArray]]


def _on_real(study: Study, family: Family, named: Named) -> dict[str, Any]:
    """How often judges are right on images of test patients."""
    found = {}
    images = study.part(family.name, TEST, study.effort.real)
    for kind, judge in named.items():
        values = judges.told_apart(study, family, kind)
        known = where(images, lambda one, k=kind, v=values: one.categories.get(k) in v)  # type: ignore[misc]
        if len(known):
            asked = [values.index(one) for one in category_of(known, kind)]
            right = _in_batches(judge, known.values) == asked
            found[kind] = share(right, patients_of(known), seed=study.seed)
    boxed = where(images, lambda one: one.box is not None)
    if family.box and len(boxed) and _has_boxes(study, family):
        finder = judges.box_finder(study, family)
        places = _in_batches(lambda some: found_boxes(finder, some), boxed.values)
        overlap = box_overlap(places, np.array([one.box for one in boxed.labels], np.float64))
        found[family.box] = share(overlap >= OVERLAP, patients_of(boxed), seed=study.seed)
    return found


def _has_boxes(study: Study, family: Family) -> bool:
    return any(one.box is not None for one in study.part(family.name, TRAIN).labels)


def _found(
    study: Study, family: Family, named: Named, wishes: Sequence[Wish], images: NDArray
) -> dict[str, Any]:
    """Share of images that show what they were asked for, by what was asked for."""
    found = {}
    shown = images.astype(np.float32)
    for kind, judge in named.items():
        values = judges.told_apart(study, family, kind)
        asked = [k for k in range(len(shown)) if wishes[k].categories.get(kind) in values]
        if asked:
            right = [values[one] for one in judge(shown[asked])]
            hits = [wishes[k].categories[kind] == one for k, one in zip(asked, right, strict=True)]
            found[kind] = share(hits, seed=study.seed)
    boxed = [k for k in range(len(shown)) if wishes[k].box is not None]
    if family.box and boxed and _has_boxes(study, family):
        places = found_boxes(judges.box_finder(study, family), shown[boxed])
        wanted = np.array([wishes[k].box for k in boxed], np.float64)
        found[family.box] = share(box_overlap(places, wanted) >= OVERLAP, seed=study.seed)
    return found


def _words(study: Study, family: Family, named: Named) -> dict[str, Any]:
    """What the same words in two languages give, by category that they say."""
    pairs = in_words(study, family.name, study.effort.variants)
    if not pairs:
        return {}
    usual = default_setting(study)
    english, chinese = (
        drawn(study, family.name, wishes, usual).astype(np.float32)
        for wishes in ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    )
    found = {}
    for kind, judge in named.items():
        values = judges.told_apart(study, family, kind)
        asked = [k for k, pair in enumerate(pairs) if pair[2].get(kind) in values]
        if not asked:
            continue
        wanted = np.array([values.index(pairs[k][2][kind]) for k in asked])
        first, second = judge(english[asked]), judge(chinese[asked])
        found[kind] = {
            "english": share(first == wanted, seed=study.seed),
            "chinese": share(second == wanted, seed=study.seed),
            "alike": share(first == second, seed=study.seed),
        }
    return found


def _guide(
    study: Study, family: Family, wishes: Sequence[Wish], sets: Mapping[str, NDArray]
) -> dict[str, Any]:
    """How well images follow their guide, beside real ones and beside the guide of another."""
    if not family.guide or wishes[0].mask is None:
        return {}
    is_lung = _LUNG in family.guide and family.pixel_mm is not None and family.unit == "HU"
    figure = _lung_overlap if is_lung else _explained
    real = study.part(family.name, TEST, study.effort.variants)
    assert real.guides is not None
    usual = next(iter(sets.values()))
    others = generator_for(study.seed, "other guides").permutation(len(wishes))
    moved = [wishes[int(k)].mask for k in np.roll(others, 1)]

    def of(images: NDArray, masks: Sequence[NDArray | None]) -> dict[str, Any]:
        values = [
            figure(family, in_unit(family, image), mask)
            for image, mask in zip(images, masks, strict=False)
            if mask is not None
        ]
        return asdict(bootstrap_mean(values, seed=study.seed))

    own = [one.mask for one in wishes]
    return {
        "measure": "Dice of the lungs" if is_lung else "variance that the labels explain",
        "real": of(real.values(), list(real.guides)),
        "arms": {arm: of(images, own) for arm, images in sets.items()},
        "other_guide": of(usual[others], moved),
    }


def _lung_overlap(family: Family, values: NDArray, mask: NDArray) -> float:
    """Dice of the lungs that are found in an image and those of a guide."""
    assert family.pixel_mm
    wanted = mask == 1 + family.guide.index(_LUNG)
    found = lung_mask(values, spacing_mm=(family.pixel_mm, family.pixel_mm))
    total = int(found.sum() + wanted.sum())
    return 2 * int((found & wanted).sum()) / total if total else 1.0


def _explained(family: Family, values: NDArray, mask: NDArray) -> float:
    """Share of the variance of values within the guide that the means of its labels explain."""
    inside = mask > 0
    labels, shown = mask[inside], values[inside].astype(np.float64)
    total = float(((shown - shown.mean()) ** 2).sum())
    sizes = np.bincount(labels)
    means = np.bincount(labels, weights=shown) / np.maximum(sizes, 1)
    between = float((sizes * (means - shown.mean()) ** 2)[sizes > 0].sum())
    return between / total if total > 0 else 0.0


def _in_batches(judge: Callable[[NDArray], NDArray], values: Callable[[slice], NDArray]) -> NDArray:
    """What a judge says of all images of a set, read a few at a time."""
    parts = []
    first = 0
    while len(some := values(slice(first, first + _BATCH))):
        parts.append(judge(some))
        first += _BATCH
    return np.concatenate(parts)
