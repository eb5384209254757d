"""What one file says of itself, and a digest of its pixels alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import UID, RLELossless

from isocenter.core.errors import UnreadableInput
from isocenter.dicom.decoding.pixel_digest import pixel_digest
from isocenter.dicom.reading.instance_facts import instance_facts

WriteCt = Callable[..., Any]
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")


@pytest.fixture
def file(write_classic_ct: WriteCt, tmp_path: Path) -> Path:
    stored = np.random.default_rng(0).integers(0, 2000, (1, 8, 8))
    return Path(write_classic_ct(folder=tmp_path / "ct", stored=stored).files[0])


def test_facts_are_those_of_the_header(file: Path) -> None:
    facts, header = instance_facts(file), dcmread(file)
    assert facts.sop_uid == header.SOPInstanceUID
    assert facts.series_uid == header.SeriesInstanceUID
    assert facts.study_uid == header.StudyInstanceUID
    assert facts.described["Modality"] == "CT"
    assert facts.described["ImageType"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert not any("Phantom" in text for text in facts.described.values())


def test_the_digest_is_of_pixels_alone(file: Path, tmp_path: Path) -> None:
    dataset, other = dcmread(file), tmp_path / "other.dcm"
    before = pixel_digest(file).sha256
    dataset.PatientName = "Other^Name"
    dataset.save_as(other, enforce_file_format=True)
    assert pixel_digest(other).sha256 == before
    dataset.PixelData = dataset.PixelData[:-1] + b"\x07"
    dataset.save_as(other, enforce_file_format=True)
    assert pixel_digest(other).sha256 != before


@pytest.mark.parametrize("syntax", NATIVE)
def test_uncompressed_pixels_have_one_digest(file: Path, tmp_path: Path, syntax: str) -> None:
    dataset, other = dcmread(file), tmp_path / "other.dcm"
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.save_as(
        other,
        implicit_vr=syntax == NATIVE[0],
        little_endian=True,
        enforce_file_format=True,
    )
    assert pixel_digest(other) == (pixel_digest(file).sha256, syntax)


def test_compressed_pixels_are_those_of_their_fragments(file: Path, tmp_path: Path) -> None:
    dataset = dcmread(file)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    digests = set()
    for has_table in (True, False):
        dataset.PixelData = encapsulate([b"12345678" * 10], has_bot=has_table)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        place = tmp_path / f"{has_table}.dcm"
        dataset.save_as(place, enforce_file_format=True)
        digests.add(pixel_digest(place).sha256)
    assert len(digests) == 1
    whole = place.read_bytes()
    place.write_bytes(whole[:-30])
    with pytest.raises(UnreadableInput):
        pixel_digest(place)


@pytest.mark.parametrize("left", [-1, -60, 700, 140, 10])
def test_a_truncated_file_is_refused(file: Path, left: int) -> None:
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(UnreadableInput):
        instance_facts(file)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_file_without_its_uids_is_refused(file: Path, keyword: str) -> None:
    dataset = dcmread(file)
    delattr(dataset, keyword)
    dataset.save_as(file)
    with pytest.raises(UnreadableInput, match=keyword):
        instance_facts(file)
