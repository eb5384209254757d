from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.dicom.reading.single_image import read_single_image


def test_values_come_as_the_file_scales_them(
    write_classic_ct: Callable, transfer_syntax: str
) -> None:
    scan = write_classic_ct(shape=(1, 40, 36), transfer_syntax=transfer_syntax)
    image = read_single_image(scan.files[0])
    assert (image.modality, image.unit) == ("CT", "HU")
    assert not image.is_synthetic
    assert np.array_equal(image.values(), scan.stored[0] * scan.slope + scan.intercept)


@pytest.mark.parametrize(("signed", "ends"), [(False, 65535), (True, -1)])
def test_bright_is_high_where_white_is_stored_as_zero(
    write_classic_ct: Callable, rewrite: Callable, signed: bool, ends: int
) -> None:
    scan = write_classic_ct(shape=(1, 12, 10), signed=signed, intercept=0.0)
    rewrite(scan.files[0], PhotometricInterpretation="MONOCHROME1")
    image = read_single_image(scan.files[0])
    assert image.inverted
    assert np.array_equal(image.values(), ends - scan.stored[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PhotometricInterpretation": "RGB"}, "row 3 is in color"),
        ({"NumberOfFrames": 2}, "row 3 has several frames"),
        ({"BitsStored": None}, "BitsStored is missing"),
        ({"RescaleSlope": 0}, "slope"),
    ],
)
def test_what_is_no_gray_image_is_refused(
    write_classic_ct: Callable, rewrite: Callable, change: dict, words: str
) -> None:
    scan = write_classic_ct(shape=(1, 12, 10))
    rewrite(scan.files[0], **change)
    with pytest.raises(InputRefused, match=words):
        read_single_image(scan.files[0], what="the image of row 3")


def test_what_says_that_it_is_synthetic_is_known(
    write_classic_ct: Callable, rewrite: Callable
) -> None:
    scan = write_classic_ct(shape=(1, 12, 10))
    rewrite(scan.files[0], SyntheticData="YES")
    assert read_single_image(scan.files[0]).is_synthetic
    rewrite(scan.files[0], QualityControlSubject="YES")
    assert not read_single_image(scan.files[0]).is_synthetic


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"no DICOM at all" * 40)
    with pytest.raises(UnreadableInput, match="no DICOM"):
        read_single_image(path)
