from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.seeds import derived_seed, generator_for


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
