"""Files of every encoding are read and written again; pixels change only where they shall."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
)

from isocenter.core.errors import InputRefused, UnreadableInput, UnsuitableScan
from isocenter.dicom.deidentify.opening import open_object
from isocenter.dicom.deidentify.pixels import (
    Box,
    cleaned_pixels,
    without_words,
)
from isocenter.dicom.deidentify.saving import write_object

Write = Callable[..., Any]
BOX = Box(row=2, column=1, end_row=5, end_column=4)


def again(path: Path, **options: Any) -> Any:
    file = io.BytesIO()
    write_object(open_object(path), file, **options)
    return pydicom.dcmread(io.BytesIO(file.getvalue()))


def one_image(write_classic_ct: Write, **options: Any) -> Path:
    files = write_classic_ct(shape=(1, 40, 36), **options).files
    return files[0]


def test_a_file_of_any_encoding_is_written_as_it_was(
    write_classic_ct: Write, transfer_syntax: str
) -> None:
    path = one_image(write_classic_ct, transfer_syntax=transfer_syntax)
    before, after = pydicom.dcmread(path), again(path)
    is_deflated = transfer_syntax == DeflatedExplicitVRLittleEndian
    expected = ExplicitVRLittleEndian if is_deflated else transfer_syntax
    assert after.file_meta.TransferSyntaxUID == expected
    assert after.PixelData == before.PixelData
    assert [element.tag for element in after] == [element.tag for element in before]
    assert after.PatientName == before.PatientName
    assert "SourceApplicationEntityTitle" not in after.file_meta
    assert after.preamble == bytes(128)


def test_what_stands_behind_the_pixels_is_left_out(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.DataSetTrailingPadding = b"OKONKWO1"

    path = one_image(write_classic_ct, edit=edit)
    assert b"OKONKWO1" in path.read_bytes()
    assert "DataSetTrailingPadding" not in again(path)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, "1.2.840.10008.1.2.2", JPEG2000Lossless, JPEGLosslessSV1]
)
def test_boxes_are_black_and_nothing_else_changes(
    write_classic_ct: Write, syntax: str, signed: bool
) -> None:
    if signed and syntax == JPEGLosslessSV1:
        pytest.skip("this encoder of the tests writes unsigned words")
    path = one_image(
        write_classic_ct, transfer_syntax=syntax, bits_stored=12, signed=signed, intercept=0.0
    )
    opened, pixels = cleaned_pixels(open_object(path), [BOX])
    file = io.BytesIO()
    write_object(opened, file, pixels=pixels)
    after = pydicom.dcmread(io.BytesIO(file.getvalue()))
    expected = pydicom.dcmread(path).pixel_array.copy()
    expected[2:5, 1:4] = -2048 if signed else 0
    np.testing.assert_array_equal(after.pixel_array, expected)
    assert not after.file_meta.TransferSyntaxUID.is_compressed


@pytest.mark.parametrize("planar", [0, 1])
def test_boxes_are_black_in_color_too(write_classic_ct: Write, planar: int) -> None:
    colors = np.random.default_rng(2).integers(1, 255, (40, 36, 3), dtype=np.uint8)

    def edit(dataset: Dataset, _: int) -> None:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
        dataset.PlanarConfiguration = planar
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelData = (colors.transpose(2, 0, 1) if planar else colors).tobytes()

    path = one_image(write_classic_ct, edit=edit)
    opened, pixels = cleaned_pixels(open_object(path), [BOX])
    file = io.BytesIO()
    write_object(opened, file, pixels=pixels)
    expected = colors.copy()
    expected[2:5, 1:4] = 0
    after = pydicom.dcmread(io.BytesIO(file.getvalue()))
    np.testing.assert_array_equal(after.pixel_array, expected)


def test_inverted_gray_is_black_at_its_largest_number(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    path = one_image(write_classic_ct, bits_stored=12, signed=False, intercept=0.0, edit=edit)
    opened, pixels = cleaned_pixels(open_object(path), [BOX])
    assert np.frombuffer(pixels, "<u2").reshape(40, 36)[2, 1] == 4095
    assert opened.pixels is not None


def test_unused_bits_lose_what_was_drawn_in_them(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        words = np.frombuffer(dataset.PixelData, "<u2") | 0xF000
        dataset.PixelData = words.astype("<u2").tobytes()

    path = one_image(write_classic_ct, bits_stored=12, signed=False, intercept=0.0, edit=edit)
    _, pixels = cleaned_pixels(open_object(path), clear_unused_bits=True)
    words = np.frombuffer(pixels, "<u2")
    assert words.max() < 4096
    source = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2")
    np.testing.assert_array_equal(words, source & 0x0FFF)


def test_compressed_color_is_not_touched_in_silence(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "YBR_FULL_422"

    path = one_image(write_classic_ct, transfer_syntax=JPEG2000Lossless, edit=edit)
    with pytest.raises(UnsuitableScan):
        cleaned_pixels(open_object(path), [BOX])
    with pytest.raises(UnsuitableScan):
        cleaned_pixels(open_object(path), clear_unused_bits=True)


def test_words_in_compressed_streams_are_blanked(write_classic_ct: Write) -> None:
    words = b"Okonkwo^Marieke"
    comment = b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words
    exif = b"\xff\xe1" + (len(words) + 2).to_bytes(2, "big") + words
    adobe = b"\xff\xee\x00\x07Adobe"
    scan = b"\xff\xda\x00\x02" + b"Okonkwo^Marieke" + b"\xff\xd9"
    stream = b"\xff\xd8" + comment + exif + adobe + scan
    blanked = without_words(stream)
    assert len(blanked) == len(stream)
    assert blanked.count(b"Okonkwo") == 1  # entropy-coded data are not words
    assert adobe in blanked

    def edit(dataset: Dataset, _: int) -> None:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([stream[: -len(scan)] + b"\xff\xd9"])
        dataset["PixelData"].VR = "OB"

    path = one_image(write_classic_ct, edit=edit)
    assert b"Okonkwo" not in again(path, change=without_words).PixelData


def test_a_comment_of_jpeg_2000_is_blanked() -> None:
    size = b"\xff\x51\x00\x04\x00\x00"
    comment = b"\xff\x64\x00\x0b\x00\x01Okonkwo"
    stream = b"\xff\x4f" + size + comment + b"\xff\x90\x00\x0a" + b"Okonkwo"
    blanked = without_words(stream)
    assert blanked.count(b"Okonkwo") == 1
    assert blanked.endswith(b"Okonkwo")
    assert without_words(b"Okonkwo") == b"Okonkwo"


@pytest.mark.parametrize("cut", [1, 40, 1200, 3000])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_a_file_that_was_cut_is_refused(write_classic_ct: Write, syntax: str, cut: int) -> None:
    path = one_image(write_classic_ct, transfer_syntax=syntax)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UnreadableInput):
        open_object(path)


def test_bytes_that_flip_end_in_words_or_in_a_file(write_classic_ct: Write) -> None:
    path = one_image(write_classic_ct)
    whole = path.read_bytes()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        for place in rng.integers(132, len(whole), 6):
            content[place] = int(rng.integers(0, 256))
        path.write_bytes(bytes(content))
        with suppress(InputRefused):
            write_object(open_object(path), io.BytesIO())


class FullDisk(io.BytesIO):
    """Takes a hundred bytes."""

    def write(self, content: Any) -> int:
        if self.tell() + len(content) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


def test_a_full_disk_is_not_a_damaged_file(write_classic_ct: Write) -> None:
    opened = open_object(one_image(write_classic_ct))
    with pytest.raises(OSError, match="No space left"):
        write_object(opened, FullDisk())


def test_private_elements_are_read_where_they_are_asked_for(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.private_block(0x0019, "SEEDED 1.0", create=True).add_new(0x01, "LO", "a")

    path = one_image(write_classic_ct, edit=edit)
    assert 0x00191001 not in open_object(path).dataset
    assert 0x00191001 in open_object(path, private=True).dataset


def test_an_object_without_a_uid_is_refused(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        del dataset.SeriesInstanceUID

    with pytest.raises(UnreadableInput, match="SeriesInstanceUID") as refused:
        open_object(one_image(write_classic_ct, edit=edit))
    assert refused.value.reason == "identity"


def test_an_unknown_compression_is_refused(write_classic_ct: Write) -> None:
    path = one_image(write_classic_ct, transfer_syntax=JPEG2000Lossless)
    content = path.read_bytes().replace(JPEG2000Lossless.encode(), b"1.2.840.99999.1.2.4.90")
    path.write_bytes(content)
    with pytest.raises(InputRefused):
        open_object(path)


def test_an_overlay_without_data_is_one_in_the_pixels(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.add_new(0x60000010, "US", 40)
        dataset.add_new(0x60000102, "US", 12)

    opened = open_object(one_image(write_classic_ct, edit=edit))
    assert opened.has_embedded_overlay
    assert not replace(opened, dataset=Dataset()).has_embedded_overlay
