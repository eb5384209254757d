"""A slice whose integers mean other values than its neighbours' is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from isocenter.dicom.reading.open import open_ct_series

Write = Callable[..., Any]


def rescaled(scales: dict[int, tuple[str, str]]) -> Callable[[Dataset, int], None]:
    def edit(dataset: Dataset, index: int) -> None:
        if index in scales:
            dataset.RescaleSlope, dataset.RescaleIntercept = scales[index]

    return edit


def notes(write: Write, scales: dict[int, tuple[str, str]], count: int = 5) -> tuple[str, ...]:
    return open_ct_series(write(shape=(count, 16, 16), edit=rescaled(scales)).folder).notes


def test_equal_rescales_need_no_note(write_classic_ct: Write) -> None:
    assert notes(write_classic_ct, {2: ("1.0", "-1024.00")}) == ()


def test_a_slice_with_another_rescale_is_named_by_its_place(write_classic_ct: Write) -> None:
    (note,) = notes(write_classic_ct, {3: ("1", "0")})
    assert note.startswith("Slice 4 has another rescale (slope 1, intercept 0) than the other 4")
    assert "of 5 (slope 1, intercept -1024)" in note


def test_many_are_counted(write_classic_ct: Write) -> None:
    scales = dict.fromkeys(range(9), ("2", "-1000"))
    (note,) = notes(write_classic_ct, scales, count=20)
    assert note.startswith("Slices 1, 2, 3, 4, 5, 6, 7, 8 and 1 more have another rescale")


def test_a_rescale_for_each_slice_is_told_once(write_classic_ct: Write) -> None:
    scales = {index: (f"{1 + index / 10:g}", "-1024") for index in range(5)}
    (note,) = notes(write_classic_ct, scales)
    assert note == "Rescale slope or intercept differ from slice to slice (5 of them)."


@pytest.mark.parametrize("shuffle", [False, True])
def test_frames_of_one_object_are_told_too(write_enhanced_ct: Write, shuffle: bool) -> None:
    rescales = [(1.0, -1024.0), (1.0, -1024.0), (2.0, -1024.0), (1.0, -1024.0)]
    scan = write_enhanced_ct(shape=(4, 16, 16), rescales=rescales, shuffle=shuffle)
    series = open_ct_series(scan.folder)
    (note,) = series.notes
    assert note.startswith("Slice 3 has another rescale (slope 2, intercept -1024)")
    np.testing.assert_allclose(series.values(2), scan.stored[2] * 2.0 - 1024)
