from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.dicom.reading.plane_image import read_plane_image


def test_values_come_as_the_file_scales_them(
    write_classic_ct: Callable, transfer_syntax: str
) -> None:
    scan = write_classic_ct(shape=(1, 40, 36), transfer_syntax=transfer_syntax)
    image = read_plane_image(scan.files[0])
    assert image.modality == "CT"
    assert not image.is_synthetic
    assert np.array_equal(image.values, scan.stored[0] * scan.slope + scan.intercept)


def test_bright_is_high_where_white_is_stored_as_zero(
    write_classic_ct: Callable, rewrite: Callable
) -> None:
    scan = write_classic_ct(shape=(1, 12, 10), signed=False, intercept=0.0)
    plain = read_plane_image(scan.files[0]).values
    rewrite(scan.files[0], PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(read_plane_image(scan.files[0]).values, 65535 - plain)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PhotometricInterpretation": "RGB"}, "in color or holds several"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.20"}, "not read as one plane"),
        ({"BitsStored": None}, "lacks BitsStored"),
    ],
)
def test_what_is_no_gray_plane_is_refused(
    write_classic_ct: Callable, rewrite: Callable, change: dict, words: str
) -> None:
    scan = write_classic_ct(shape=(1, 12, 10))
    rewrite(scan.files[0], **change)
    with pytest.raises(InputRefused, match=words):
        read_plane_image(scan.files[0])


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"no DICOM at all" * 40)
    with pytest.raises(UnreadableInput):
        read_plane_image(path)
