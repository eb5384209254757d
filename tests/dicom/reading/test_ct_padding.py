"""Which pixels count as measured: named padding, its sign quirks, and the scanner's circle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.dicom.decoding.pixels import wrapped_padding
from isocenter.dicom.reading.open import open_ct_series


def circle(shape: tuple[int, int] = (40, 40)) -> NDArray:
    """True inside of a circle that touches the edges."""
    row, column = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return row**2 + column**2 < 1


def slice_with_outside(value: int, *, inside: int = 30) -> NDArray:
    """One slice of stored values: noise inside the circle, a constant outside."""
    rng = np.random.default_rng(0)
    body = inside + rng.integers(-9, 10, (40, 40))
    return np.where(circle(), body, value)[None]


@pytest.mark.parametrize("vr", ["SS", "US"])
def test_named_padding_of_either_sign_in_signed_pixels(write_classic_ct: Any, vr: Any) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.add_new("PixelPaddingValue", vr, -2000 if vr == "SS" else 63536)

    scan = write_classic_ct(stored=slice_with_outside(-2000), edit=edit)
    np.testing.assert_array_equal(open_ct_series(scan.folder).valid(0), circle())


def test_negative_padding_in_unsigned_pixels(write_classic_ct: Any) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.add_new("PixelPaddingValue", "SS", -2000)

    stored = slice_with_outside(63536, inside=1000)
    scan = write_classic_ct(stored=stored, signed=False, edit=edit)
    np.testing.assert_array_equal(open_ct_series(scan.folder).valid(0), circle())


def test_named_range_of_padding(write_enhanced_ct: Any) -> None:
    stored = slice_with_outside(-2000)
    stored[0, 0, :3] = -1990
    stored[0, 20, 20] = -1995

    def edit(dataset: Dataset, _: int) -> None:
        dataset.add_new("PixelPaddingRangeLimit", "SS", -1990)

    scan = write_enhanced_ct(stored=stored, padding=-2000, edit=edit)
    expected = circle()
    expected[20, 20] = False
    np.testing.assert_array_equal(open_ct_series(scan.folder).valid(0), expected)


@pytest.mark.parametrize(("outside", "intercept"), [(-2000, -1024), (0, -1024), (24, -1024)])
def test_constant_outside_of_the_circle_without_a_name(
    write_classic_ct: Any, outside: Any, intercept: Any
) -> None:
    stored = slice_with_outside(outside, inside=1000)
    stored[0, 20, 20] = outside  # the same value inside is a measurement
    scan = write_classic_ct(stored=stored, intercept=intercept)
    np.testing.assert_array_equal(open_ct_series(scan.folder).valid(0), circle())


def test_named_padding_that_is_not_there_does_not_hide_the_circle(write_classic_ct: Any) -> None:
    scan = write_classic_ct(stored=slice_with_outside(0, inside=1000), padding=-2000)
    np.testing.assert_array_equal(open_ct_series(scan.folder).valid(0), circle())


def test_everything_is_measured_where_corners_differ_or_are_not_air(
    write_classic_ct: Any, tmp_path: Any
) -> None:
    water = write_classic_ct(folder=tmp_path / "a", stored=slice_with_outside(1024))
    assert open_ct_series(water.folder).valid(0).all()
    stored = slice_with_outside(0, inside=1000)
    stored[0, 0, 0] = 1
    differing = write_classic_ct(folder=tmp_path / "b", stored=stored)
    assert open_ct_series(differing.folder).valid(0).all()


@pytest.mark.parametrize(
    ("value", "limit", "signed", "bits", "expected"),
    [
        (63536, None, True, 16, (-2000, -2000)),
        (-2000, None, True, 16, (-2000, -2000)),
        (-2000, None, False, 16, (63536, 63536)),
        (0, 5, False, 16, (0, 5)),
        (-1, -5, True, 16, (-5, -1)),
        (200, None, True, 8, (-56, -56)),
    ],
)
def test_padding_wraps_into_the_sign_of_the_image(
    value: Any, limit: Any, signed: Any, bits: Any, expected: Any
) -> None:
    assert wrapped_padding(value, limit, signed=signed, bits_allocated=bits) == expected
