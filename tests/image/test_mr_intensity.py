"""A scale of the brain that a lesion does not move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image.phantom_head import brain, head

from isocenter.core.errors import UnsuitableScan
from isocenter.image.mr_intensity import brain_scale


def test_a_large_lesion_hardly_moves_the_scale() -> None:
    """Three percent of the brain at three times its value; mean and deviation move much more."""
    image, inside = head("FLAIR"), brain()
    sick = image.array.copy()
    places = np.argwhere(inside)
    lesion = places[np.linalg.norm((places - (12, 20, 20)) * (5, 4, 4), axis=1) < 22]
    sick[tuple(lesion.T)] = 300
    assert 0.02 < len(lesion) / len(places) < 0.06
    before, after = brain_scale(image, inside), brain_scale(replace(image, array=sick), inside)
    moved = abs(after.center - before.center) / before.spread
    assert moved < 0.12
    assert after.spread == pytest.approx(before.spread, rel=0.1)
    values, sick_values = image.array[inside], sick[inside]
    assert (sick_values.mean() - values.mean()) / values.std() > 2 * moved
    assert sick_values.std() / values.std() > 1.3


def test_the_brain_is_found_where_it_is_not_given() -> None:
    image = head("T2")
    given_mask, found = brain_scale(image, brain()), brain_scale(image)
    assert abs(found.center - given_mask.center) < 0.3 * given_mask.spread


IMAGE, INSIDE = head("T1"), brain()


@settings(max_examples=20)
@given(gain=st.floats(0.01, 1000), offset=st.floats(-100, 100))
def test_gain_and_offset_of_the_scanner_do_not_matter(gain: float, offset: float) -> None:
    other = replace(IMAGE, array=(IMAGE.array * gain + offset).astype(np.float32))
    first = brain_scale(IMAGE, INSIDE).normalized(IMAGE.array)
    second = brain_scale(other, INSIDE).normalized(other.array)
    np.testing.assert_allclose(first, second, atol=0.02)


def test_values_come_back() -> None:
    image = head("T1")
    scale = brain_scale(image, brain())
    np.testing.assert_allclose(
        scale.restored(scale.normalized(image.array)), image.array, atol=1e-3
    )


def test_what_has_no_spread_or_no_brain_is_refused() -> None:
    image = head("T1")
    with pytest.raises(UnsuitableScan, match="same value in half"):
        brain_scale(replace(image, array=np.ones_like(image.array)), brain())
    with pytest.raises(UnsuitableScan, match="at least 1000"):
        brain_scale(image, np.zeros(image.array.shape, bool))
