"""The table is the standard's, and what it asks for is resolved as the standard says."""

from __future__ import annotations

from collections import Counter

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from isocenter.core.errors import SettingRefused
from isocenter.deidentification.options import Options
from isocenter.deidentification.profile import (
    Row,
    attribute_rows,
    content_rows,
    row_of,
    safe_private,
    type_of,
)


def of(keyword: str) -> Row:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    row = row_of(tag)
    assert row is not None
    return row


def test_the_table_has_the_rows_of_its_edition() -> None:
    actions = Counter(row.basic for row in attribute_rows().values())
    assert actions == {
        "X": 416,
        "D": 93,
        "U": 55,
        "Z": 42,
        "X/D": 23,
        "X/Z": 11,
        "X/Z/D": 8,
        "Z/D": 6,
        "X/Z/U*": 2,
    }
    assert len(content_rows()) == 214
    options = Counter(column for row in attribute_rows().values() for column in row.options)
    assert options == {
        "safe_private": 1,
        "uids": 60,
        "device": 59,
        "institution": 10,
        "patient": 19,
        "full_dates": 169,
        "modified_dates": 169,
        "descriptors": 140,
        "structured": 4,
        "graphics": 4,
    }


@pytest.mark.parametrize(
    ("basic", "by_type"),
    [
        ("X/Z", {"1": "Z", "2": "Z", "3": "X", "": "X", None: "Z"}),
        ("X/D", {"1": "D", "2": "D", "3": "X", "": "X", None: "D"}),
        ("Z/D", {"1": "D", "2": "Z", "3": "Z", None: "D"}),
        ("X/Z/D", {"1": "D", "2": "Z", "3": "X", "": "X", None: "D"}),
        ("X/Z/U*", {"1": "U", "2": "Z", "3": "X", "": "X", None: "U"}),
        ("D", {"1": "D", "3": "D", "": "X", None: "D"}),
        ("X", {"1": "X", "2": "X", None: "X"}),
    ],
)
def test_compound_actions_go_by_type(basic: str, by_type: dict[str | None, str]) -> None:
    row = Row(name="", basic=basic, options={})
    assert {kind: row.action((), kind) for kind in by_type} == by_type


def test_an_option_overrides_and_cleaning_goes_before_keeping() -> None:
    row = Row(name="", basic="X", options={"patient": "K", "descriptors": "C"})
    assert row.action(("device",), "3") == "X"
    assert row.action(("patient",), "3") == "K"
    assert row.action(("patient", "descriptors"), "3") == "C"


@pytest.mark.parametrize(
    ("keyword", "sop_class", "parent", "expected"),
    [
        ("StudyDate", CTImageStorage, "", "2"),
        ("SourceImageSequence", CTImageStorage, "", "3"),
        ("SourceImageSequence", EnhancedCTImageStorage, "DerivationImageSequence", "2"),
        ("AcquisitionDateTime", EnhancedCTImageStorage, "", "1"),
        ("VerifyingObserverSequence", CTImageStorage, "", ""),
        ("StudyDate", "1.2.3", "", None),
    ],
)
def test_types_are_those_of_the_kind_of_object(
    keyword: str, sop_class: str, parent: str, expected: str | None
) -> None:
    tag, outer = tag_for_keyword(keyword), tag_for_keyword(parent)
    assert tag is not None
    parents = (outer,) if parent and outer is not None else ()
    assert type_of(tag, sop_class, parents) == expected


def test_a_marking_that_says_synthetic_is_in_no_row() -> None:
    for keyword in (
        "SyntheticData",
        "ContentQualification",
        "ImageType",
        "ContributingEquipmentSequence",
        "DerivationCodeSequence",
        "SoftwareVersions",
        "Manufacturer",
    ):
        assert row_of(int(tag_for_keyword(keyword) or 0)) is None
    assert of("DerivationDescription").basic == "X"


def test_the_options_name_their_codes() -> None:
    every = Options(
        retain_patient_characteristics=True,
        retain_device_identity=True,
        retain_institution_identity=True,
        retain_uids=True,
        retain_safe_private=True,
        dates="modify",
        clean_descriptors=True,
        clean_graphics=True,
        clean_structured_content=True,
        clean_pixels=True,
    )
    values = {code.value for code in every.codes()}
    assert values == {str(number) for number in range(113100, 113113)} - {"113102", "113106"}
    assert [code.value for code in Options().codes()] == ["113100"]
    assert all(len(code.meaning) <= 64 for code in every.codes())


@pytest.mark.parametrize(
    "row",
    [
        {"tag": "0019xx2", "creator": "A", "vr": "LO"},
        {"tag": "0018xx22", "creator": "A", "vr": "LO"},
        {"tag": "0019xx22", "creator": "", "vr": "LO"},
        {"tag": "0019xxzz", "creator": "A", "vr": "LO"},
        {},
    ],
)
def test_a_list_of_safe_elements_of_another_form_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(SettingRefused, match="safe private"):
        safe_private([row])


def test_dates_that_are_not_known_are_refused() -> None:
    with pytest.raises(SettingRefused, match="remove, modify, keep"):
        Options(dates="guess")  # type: ignore[arg-type]
