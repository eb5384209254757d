"""What a result takes over from a header: what its IOD has, and nothing that is no longer true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, MRImageStorage

from isocenter.dicom.writing.kept_header import kept_header
from isocenter.dicom.writing.modules import keywords_of

WRITTEN = (CTImageStorage, MRImageStorage, EnhancedCTImageStorage)


def header(**elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.SeriesInstanceUID = dataset.StudyInstanceUID = "1.2.3"
    dataset.BitsStored = dataset.BitsAllocated = 16
    dataset.PixelRepresentation = 1
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def keywords(dataset: Dataset) -> Iterator[str]:
    for element in dataset.iterall():
        yield element.keyword or f"{element.tag}"


@cache
def standard() -> dict[str, Any]:
    """Tables of the standard that highdicom brings along."""
    folder = resources.files("highdicom") / "_standard"
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    if not all((folder / f"{name}.json").is_file() for name in names):
        pytest.skip("this highdicom brings no tables of the standard")
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names}


@pytest.mark.parametrize("sop_class_uid", WRITTEN, ids=lambda uid: uid.name)
def test_the_lists_are_those_of_the_standard(sop_class_uid: str) -> None:
    tables = standard()
    modules = tables["iod_module_map"][tables["sop_class_iod_map"][sop_class_uid]]
    theirs = {
        attribute["keyword"]
        for module in modules
        for attribute in tables["module_attribute_map"][module["key"]]
        if not attribute["path"]
    }
    assert keywords_of(sop_class_uid) == theirs


@pytest.mark.parametrize(
    "stray",
    [
        {"ReferencedSOPInstanceUID": "1.2.3.4"},
        {"PersonName": "Doe^Jane"},
        {"VerifyingObserverName": "Doe^Jane"},
        {"StudyStatusID": "READ"},  # retired
        {"OtherPatientIDs": "7"},  # retired
        {"CTExposureSequence": [Dataset()]},  # of a multi-frame image
    ],
    ids=lambda stray: next(iter(stray)),
)
def test_what_no_module_has_is_left_behind(stray: dict[str, Any]) -> None:
    (keyword,) = stray
    assert keyword not in kept_header(header(**stray), CTImageStorage)


def test_an_image_of_another_kind_keeps_other_elements() -> None:
    source = header(EchoTime="90", KVP="120")
    assert "EchoTime" not in kept_header(source, CTImageStorage)
    assert "KVP" not in kept_header(source, MRImageStorage)
    assert kept_header(source, MRImageStorage).EchoTime == 90
    assert "KVP" not in kept_header(source, EnhancedCTImageStorage)


def test_sequences_lose_what_is_retired_private_or_a_group_length() -> None:
    item = Dataset()
    item.RequestedProcedureID = "R1"
    item.StudyComments = "retired"
    item.add_new(0x00400000, "UL", 12)
    item.private_block(0x0029, "SOME VENDOR", create=True).add_new(0x10, "LO", "secret")
    kept = kept_header(header(RequestAttributesSequence=[item]), CTImageStorage)
    (request,) = kept.RequestAttributesSequence
    assert list(keywords(request)) == ["RequestedProcedureID"]


def test_overlays_of_every_group_stay() -> None:
    source = header()
    for group in (0x6000, 0x601E):
        source.add_new((group, 0x0010), "US", 4)
        source.add_new((group, 0x3000), "OW", b"\0\0")
    kept = kept_header(source, CTImageStorage)
    assert (0x6000, 0x0010) in kept
    assert (0x601E, 0x3000) in kept


@pytest.mark.parametrize(
    "keyword", ["InstanceOriginStatus", "SOPInstanceStatus", "RelatedGeneralSOPClassUID"]
)
def test_the_standing_of_the_source_in_an_archive_is_not_claimed(keyword: str) -> None:
    value = "1.2.3" if keyword.endswith("UID") else "NS"
    assert keyword not in kept_header(header(**{keyword: value}), CTImageStorage)
