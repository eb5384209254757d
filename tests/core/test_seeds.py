from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from isocenter.core.seeds import derived_seed, generator_for, seed_for_pixels


def test_seed_is_the_same_on_every_machine() -> None:
    assert derived_seed(7, "image", 17) == 1_617_675_701_612_075_857


@settings(max_examples=25)
@given(st.integers(0, 2**63), st.text(max_size=20), st.integers(0, 10_000))
def test_seed_has_63_bits(seed: int, name: str, number: int) -> None:
    assert 0 <= derived_seed(seed, name, number) < 2**63


def test_parts_are_told_apart() -> None:
    seeds = {
        derived_seed(1, "a", 23),
        derived_seed(1, "a", 2, 3),
        derived_seed(12, "a", 3),
        derived_seed(1, "a2", 3),
        derived_seed(1, "a"),
        derived_seed(1),
    }
    assert len(seeds) == 6


def test_generators_of_one_name_draw_alike() -> None:
    first, again = (generator_for(5, "pair", 3).random(4) for _ in range(2))
    assert (first == again).all()
    assert not (first == generator_for(5, "pair", 4).random(4)).any()


# of pixels


def pixels(seed: int = 0) -> NDArray:
    return np.rint(np.random.default_rng(seed).normal(40, 20, (12, 15)))


def test_the_seed_of_pixels_is_the_same_on_every_machine() -> None:
    assert seed_for_pixels(7, np.arange(-6, 6).reshape(3, 4)) == 6_853_394_137_812_835_126


def test_the_seed_of_pixels_changes_with_one_of_them() -> None:
    changed = pixels()
    changed[11, 14] += 1
    assert seed_for_pixels(3, changed) != seed_for_pixels(3, pixels())


def test_the_seed_of_pixels_changes_with_their_shape_and_with_the_seed() -> None:
    image = pixels()
    seeds = {
        seed_for_pixels(3, image),
        seed_for_pixels(4, image),
        seed_for_pixels(3, image.reshape(15, 12)),
        seed_for_pixels(3, image[None]),
        seed_for_pixels(3, image.T),
        derived_seed(3),
    }
    assert len(seeds) == 6


def test_the_seed_of_pixels_does_not_hang_on_how_numbers_are_stored() -> None:
    image = pixels()
    noise = np.random.default_rng(1).uniform(-0.49, 0.49, image.shape)
    for kind in (np.int16, np.float32, np.float64):
        assert seed_for_pixels(3, image.astype(kind)) == seed_for_pixels(3, image)
    assert seed_for_pixels(3, np.asfortranarray(image)) == seed_for_pixels(3, image)
    assert seed_for_pixels(3, image + noise) == seed_for_pixels(3, image)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_are_no_numbers_have_a_seed_too(value: float) -> None:
    image = pixels()
    image[0, 0] = value
    found = seed_for_pixels(3, image)
    assert 0 <= found < 2**63
    assert found == seed_for_pixels(3, image)
    assert found != seed_for_pixels(3, pixels())
