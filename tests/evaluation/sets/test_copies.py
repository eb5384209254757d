from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import InputRefused
from isocenter.evaluation.sets.copies import (
    copy_threshold,
    find_copies,
    nearest_similarity,
    thumbnail_vectors,
)


def images(count: int, seed: int) -> NDArray:
    noise = np.random.default_rng(seed).standard_normal((count, 64, 64))
    smooth = ndimage.gaussian_filter(noise, (0, 4, 4))
    return np.clip(smooth / smooth.std() / 3, -1, 1).astype(np.float32)


def test_planted_copies_are_found_and_no_others() -> None:
    real, generated = images(60, 0), images(30, 1)
    generated[4] = np.clip(1.1 * real[17] + 0.05, -1, 1)
    generated[9] = real[3] + 0.05 * np.random.default_rng(2).standard_normal((64, 64))
    found = find_copies(thumbnail_vectors(real), thumbnail_vectors(generated), np.arange(60) // 3)
    assert np.flatnonzero(found.is_copy).tolist() == [4, 9]
    assert found.nearest[[4, 9]].tolist() == [17, 3]
    assert found.between_patients.max() < found.threshold <= 1


def test_images_of_one_patient_do_not_raise_the_threshold() -> None:
    twins = np.repeat(images(30, 0), 2, axis=0)
    found = find_copies(thumbnail_vectors(twins), thumbnail_vectors(twins[:5]), np.arange(60) // 2)
    assert found.between_patients.max() < 0.95
    assert found.is_copy.all()


def test_brightness_and_contrast_do_not_hide_a_copy() -> None:
    given = images(2, 0)
    vectors = thumbnail_vectors(np.concatenate([given, 0.5 * given - 0.2]))
    assert float(vectors[0] @ vectors[2]) == pytest.approx(1, abs=1e-6)


def test_an_even_image_has_no_direction_and_is_no_copy() -> None:
    vectors = thumbnail_vectors(np.zeros((1, 64, 64)))
    assert not vectors.any()


def test_the_threshold_lies_between_held_out_images_and_a_copy() -> None:
    similarity = np.linspace(0.2, 0.8, 100)
    assert 0.8 < copy_threshold(similarity) < 1
    assert copy_threshold(similarity, margin=0) == pytest.approx(np.percentile(similarity, 99.5))
    with pytest.raises(InputRefused, match="20 or more"):
        copy_threshold(similarity[:5])
    with pytest.raises(ValueError, match="margin"):
        copy_threshold(similarity, margin=2)


def test_nearest_spares_the_owner() -> None:
    vectors = np.array([[1.0, 0], [1, 0], [0, 1]])
    owner = np.array([0, 0, 1])
    similarity, index = nearest_similarity(vectors, vectors, owners=(owner, owner))
    assert similarity.tolist() == [0, 0, 0]
    assert index[0] == 2


def test_one_patient_alone_is_refused() -> None:
    vectors = thumbnail_vectors(images(30, 0))
    with pytest.raises(InputRefused, match="one patient"):
        find_copies(vectors, vectors, ["a"] * 30)
