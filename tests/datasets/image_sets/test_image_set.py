from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isocenter.core.errors import InputRefused
from isocenter.datasets.image_sets.image_set import (
    DROPPED,
    ImageLabels,
    ImageSet,
    check_patients_apart,
    combined,
)


def labels(number: int) -> tuple[ImageLabels, ...]:
    parts = ("train", "train", "validation", "test", DROPPED)
    return tuple(
        ImageLabels(file=str(k), patient=f"p{k}", part=parts[k], categories={"class": "ab"[k % 2]})
        for k in range(number)
    )


def images(number: int = 5, *, seed: int = 0) -> ImageSet:
    stored = np.random.default_rng(seed).integers(0, 256, (number, 8, 12), dtype=np.uint8)
    guides = (stored > 128).astype(np.uint8)
    return ImageSet(
        family="toy", stored=stored, labels=labels(number), guides=guides, guide_names=("bright",)
    )


def test_values_run_from_minus_one_to_one_in_float32() -> None:
    ends = ImageSet(
        family="toy",
        stored=np.array([[[-1024, 0, 1024, 3000]]], np.int16),
        low=-1024,
        high=1024,
        labels=labels(1),
    )
    assert ends.values().tolist() == [[[-1, 0, 1, 1]]]
    assert ends.values().dtype == np.float32
    assert ends.images.dtype == np.float16


def test_values_can_be_asked_for_by_place_or_places() -> None:
    every = images()
    whole = every.values()
    assert np.array_equal(every.values([3, 1]), whole[[3, 1]])
    assert np.array_equal(every.values(2), whole[2])
    assert np.allclose(every.images, whole, atol=1e-3)


def test_a_part_holds_its_images_with_their_guides() -> None:
    every = images()
    test = every.part("test")
    assert [one.file for one in test.labels] == ["3"]
    assert test.guides is not None
    assert every.guides is not None
    assert np.array_equal(test.guides[0], every.guides[3])
    assert every.counts() == {
        "train": (2, 2),
        "validation": (1, 1),
        "calibration": (0, 0),
        "test": (1, 1),
    }
    assert len(every.part("calibration").images) == 0


def test_the_values_of_categories_are_listed() -> None:
    assert images().category_values() == {"class": ("a", "b")}


def test_a_digest_sees_every_pixel_and_label() -> None:
    every = images()
    assert every.digest() == images().digest()
    changed = every.stored.copy()
    changed[-1, -1, -1] ^= 1
    others = (
        replace(every, stored=changed),
        replace(every, labels=(*every.labels[:-1], replace(every.labels[-1], text="!"))),
        replace(every, guides=None),
        replace(every, high=254.0),
    )
    assert len({every.digest(), *(one.digest() for one in others)}) == 5


def test_sets_are_combined_in_order() -> None:
    both = combined([images(3, seed=1), images(5, seed=2)])
    assert len(both) == 8
    assert np.array_equal(both.stored[3:], images(5, seed=2).stored)
    assert both.guides is not None


def test_sets_of_other_sizes_are_not_combined() -> None:
    small = ImageSet(family="toy", stored=np.zeros((1, 4, 4), np.uint8), labels=labels(1))
    with pytest.raises(InputRefused, match="differ in family, size"):
        combined([images(), small])
    with pytest.raises(InputRefused, match="no set of images"):
        combined([])


def test_labels_come_back_from_their_description() -> None:
    one = ImageLabels(file="f", patient="p", numbers={"te_ms": 3.0}, box=(0.5, 0.5, 0.1, 0.2))
    assert ImageLabels.from_description(one.described()) == one


def test_a_patient_in_two_parts_is_refused() -> None:
    same = [replace(one, patient="p") for one in labels(3)]
    with pytest.raises(InputRefused, match="1 patients stand in two parts"):
        check_patients_apart(same)
    check_patients_apart(labels(5))


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="one label an image"):
        ImageSet(family="toy", stored=np.zeros((2, 4, 4), np.uint8), labels=labels(1))
    with pytest.raises(ValueError, match="guides are as many"):
        replace(images(), guides=np.zeros((1, 8, 12), np.uint8))
    with pytest.raises(ValueError, match="low must be below"):
        replace(images(), low=300.0)
    with pytest.raises(ValueError, match="a part is one of"):
        ImageLabels(file="f", patient="p", part="training")
    with pytest.raises(ValueError, match="a part is one of"):
        images().part("dropped")
