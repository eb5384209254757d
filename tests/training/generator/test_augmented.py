from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.training.generator.test_fitting import discs

from isocenter.datasets.image_sets.image_set import ImageSet, combined
from isocenter.training.augment.draw import AugmentSettings, geometric
from isocenter.training.generator.augmented import augmented, records_of

MUCH = AugmentSettings(gamma_share=1, contrast_share=1, bias_share=1, noise_share=1)


def edges(images: ImageSet, place: int) -> np.ndarray:
    x, y, width, height = images.labels[place].box or (np.nan,) * 4
    return 32 * np.array([y - height / 2, y + height / 2, x - width / 2, x + width / 2])


def test_boxes_and_guides_follow_the_image() -> None:
    images = discs()
    made = augmented(images, records_of(images, AugmentSettings(), versions=2, seed=1))
    assert len(made) == 2 * len(images)
    for place in range(len(made)):
        assert made.labels[place].categories == images.labels[place % len(images)].categories
        assert made.guides is not None
        rows, columns = np.nonzero(made.guides[place])
        found = np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1])
        assert edges(made, place) == pytest.approx(found, abs=3)
        inside, outside = made.guides[place] == 1, made.guides[place] == 0
        assert made.stored[place][inside].mean() > made.stored[place][outside].mean() + 80
    assert any(made.labels[k].box != images.labels[k].box for k in range(len(images)))


def test_references_move_with_their_image() -> None:
    images = replace(discs(), references=discs().stored.copy())
    made = augmented(images, records_of(images, geometric(), versions=1, seed=1))
    assert made.references is not None
    assert np.array_equal(made.references, made.stored)
    assert images.references is not None
    assert not np.array_equal(made.references, images.references)


def test_a_record_makes_a_version_again() -> None:
    images = discs()
    records = records_of(images, MUCH, versions=1, seed=1)
    again = json.loads(json.dumps(records))
    made = combined([images, augmented(images, records)])
    assert augmented(images, [again[3]]).digest() == made.chosen([len(images) + 3]).digest()
    assert records_of(images, MUCH, versions=2, seed=1)[: len(records)] == records
    assert records_of(images, MUCH, versions=1, seed=2) != records


def test_values_in_hu_are_only_moved() -> None:
    hu = discs(low=-1024.0)
    records = records_of(hu, MUCH, versions=1, seed=1)
    assert all(set(one["changes"]) == {"version", "geometry"} for one in records)
    assert not any(one["changes"]["geometry"]["mirrored"] for one in records)
    made = augmented(hu, records)
    assert made.stored.dtype == np.int16
    # What comes in from outside is air; nothing is below it or above what was there.
    assert made.stored.min() >= -1000
    assert made.stored.max() <= hu.stored.max()
    gray = records_of(discs(), MUCH, versions=1, seed=1)
    assert all("gamma" in one["changes"] for one in gray)
