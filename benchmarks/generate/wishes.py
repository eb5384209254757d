"""What images are asked for: as the real test images are, by class, or in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.generate.study import Study, where
from isocenter.core.seeds import generator_for
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.datasets.sentences.grammar import sentence
from isocenter.datasets.sentences.meaning import FAMILIES as SPOKEN_OF
from isocenter.datasets.sentences.meaning import meaning_of
from isocenter.datasets.splits import TEST, TRAIN
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import Wish
from isocenter.training.generator.encode import known_categories, known_numbers

ENGLISH, CHINESE = "en", "zh"


def wish_of(family: Family, images: ImageSet, row: int) -> Wish:
    """All that can be asked for of what one real image shows, but words."""
    labels = images.labels[row]
    guided = images.guides is not None and bool(family.guide)
    guide = images.guides[row] if images.guides is not None and guided else None
    return Wish(
        categories=known_categories(family, labels),
        numbers=known_numbers(family, labels),
        box=labels.box if family.box else None,
        mask=guide if guide is not None and guide.any() else None,
    )


def like_test_images(study: Study, name: str, number: int) -> list[Wish]:
    """Wishes as the test images are, each image in turn before any twice.

    The first ones are the same whatever the number.
    """
    images = study.part(name, TEST)
    family = study.model.families[name]
    order = generator_for(study.seed, "wishes", name).permutation(len(images))
    return [wish_of(family, images, int(order[k % len(order)])) for k in range(number)]


def like_training_images(
    study: Study, name: str, number: int, only: Mapping[str, str]
) -> list[Wish]:
    """Wishes as training images of some categories are, without guides."""

    def fits(labels: ImageLabels) -> bool:
        return all(labels.categories.get(kind) == value for kind, value in only.items())

    images = where(study.part(name, TRAIN), fits)
    family = study.model.families[name]
    told = "/".join(f"{kind}={value}" for kind, value in sorted(only.items()))
    order = generator_for(study.seed, "training wishes", name, told).permutation(len(images))
    return [wish_of(family, images, int(order[k % len(order)])) for k in range(number)]


def in_words(study: Study, name: str, number: int) -> list[tuple[Wish, Wish, dict[str, str]]]:
    """The same meaning in English and in Chinese, with the categories that it says.

    Empty for families that take no text or that the grammar of sentences does not know.
    """
    family = study.model.families[name]
    if not family.text or name not in SPOKEN_OF:
        return []
    images = study.part(name, TEST)
    order = generator_for(study.seed, "words", name).permutation(len(images))
    found = []
    for k in range(number):
        labels = images.labels[int(order[k % len(order)])]
        said = known_categories(family, labels)
        meaning = meaning_of(name, said)
        texts = [
            sentence(meaning, np.random.default_rng([study.seed, k]), language)
            for language in (ENGLISH, CHINESE)
        ]
        found.append((Wish(text=texts[0]), Wish(text=texts[1]), said))
    return found
