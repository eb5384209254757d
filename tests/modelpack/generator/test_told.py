import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.modelpack.generator.tiny import CHESTS, HEADS

from isocenter.modelpack.generator.told import box_map, painted, vocabulary_of


def test_families_share_what_they_have_in_common() -> None:
    vocabulary = vocabulary_of([HEADS, CHESTS])
    assert vocabulary.categories == {
        "family": ("heads", "chests"),
        "class": ("round", "long", "wide"),
        "plane": ("axial", "sagittal"),
    }
    assert vocabulary.category_sizes == [2, 3, 2]
    assert vocabulary.category_codes("chests", {"class": "wide"}).tolist() == [2, 3, 0]
    assert vocabulary.category_codes("heads", {}).tolist() == [1, 0, 0]


def test_numbers_run_over_their_range() -> None:
    vocabulary = vocabulary_of([HEADS])
    assert vocabulary.number_codes({"age": 0}).tolist() == [-1]
    assert vocabulary.number_codes({"age": 75}).tolist() == [0.5]
    assert np.isnan(vocabulary.number_codes({})).all()


@given(x=st.floats(0.2, 0.8), y=st.floats(0.2, 0.8), w=st.floats(0.01, 0.4), h=st.floats(0.01, 0.4))
def test_a_box_keeps_its_area_and_center(x: float, y: float, w: float, h: float) -> None:
    grid = box_map((x, y, w, h), (10, 16))
    assert grid.shape == (10, 16)
    assert grid.min() >= 0
    assert grid.max() <= 1 + 1e-6
    assert grid.sum() / grid.size == pytest.approx(w * h, rel=1e-4)
    rows, columns = (np.arange(10) + 0.5) / 10, (np.arange(16) + 0.5) / 16
    assert abs((grid.sum(axis=1) * rows).sum() / grid.sum() - y) < 0.05
    assert abs((grid.sum(axis=0) * columns).sum() / grid.sum() - x) < 0.05


def test_labels_are_painted_from_black_to_white() -> None:
    labels = np.array([[0, 1, 2]], np.uint8)
    assert painted(labels, 2).tolist() == [[-1, 0, 1]]
    assert painted(labels, 2).dtype == np.float32
