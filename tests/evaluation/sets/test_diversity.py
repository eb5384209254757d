from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.fidelity import ssim, stated_range
from isocenter.evaluation.sets.diversity import multi_scale_similarity, pair_similarity


def images(count: int, seed: int, side: int = 32) -> NDArray:
    noise = np.random.default_rng(seed).standard_normal((count, side, side))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2))
    return np.clip(smooth / smooth.std() / 3, -1, 1).astype(np.float32)


def test_equal_images_are_at_one_and_different_ones_below() -> None:
    one, two = images(2, 0, 64)
    assert multi_scale_similarity(one, one) == pytest.approx(1)
    assert multi_scale_similarity(one, two) < 0.6
    assert multi_scale_similarity(one, two) == pytest.approx(multi_scale_similarity(two, one))


def test_it_falls_with_noise() -> None:
    one = images(1, 0, 64)[0]
    noise = np.random.default_rng(1).standard_normal(one.shape)
    found = [multi_scale_similarity(one, one + level * noise) for level in (0.02, 0.1, 0.4)]
    assert found == sorted(found, reverse=True)


def test_one_level_is_ssim_inside_the_border() -> None:
    """Of an image too small for a second level, up to the mean of a product of two terms."""
    rng = np.random.default_rng(0)
    one = images(1, 0, 20)[0]
    two = np.clip(one + 0.05 * rng.standard_normal(one.shape), -1, 1)
    inner = np.zeros(one.shape, bool)
    inner[5:-5, 5:-5] = True
    expected = ssim(one, two, protocol=stated_range(-1, 1, unit=""), mask=inner)
    assert multi_scale_similarity(one, two) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("shapes", [((8, 8), (8, 8)), ((32, 32), (32, 33))])
def test_other_shapes_are_refused(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="one size"):
        multi_scale_similarity(*(np.zeros(shape) for shape in shapes))


def test_a_collapsed_generator_shows() -> None:
    varied = images(24, 0)
    collapsed = images(1, 1) + 0.02 * images(24, 2)
    real = pair_similarity(varied, patients=[f"p{k}" for k in range(24)])["all"]
    found = pair_similarity(collapsed)["all"]
    assert found.low > real.high
    assert (real.unit, found.unit) == ("patient", "slice")
    assert found.num_units == 12


def test_pairs_are_of_one_class_and_two_patients() -> None:
    twins = np.repeat(images(20, 0), 2, axis=0)
    patients = np.arange(40) // 2
    assert pair_similarity(twins, patients=patients)["all"].high < 0.9
    classes = ["a"] * 30 + ["b"] * 10
    assert set(pair_similarity(twins, classes)) == {"a", "b"}
    assert set(pair_similarity(twins, ["a"] * 37 + ["b"] * 3)) == {"a"}
