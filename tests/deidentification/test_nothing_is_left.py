"""Whatever an object says of somebody, nothing of it is in the bytes that are written."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag

from isocenter.core.errors import InputRefused
from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.one_object import Deidentifier
from isocenter.deidentification.options import Options
from isocenter.deidentification.profile import attribute_rows

Someone = Callable[..., FileDataset]
Save = Callable[[FileDataset, Path], Path]

FIXTURE_ONCE = [HealthCheck.function_scoped_fixture]
TEXT_VRS = ("LO", "SH", "ST", "LT", "UT", "PN", "UC")
LISTED = sorted(
    Tag(int(tag, 16))
    for tag, row in attribute_rows().items()
    if tag.isalnum()
    and "x" not in tag
    and tag != "private"
    and not {"descriptors", "patient"} & set(row.options)
    and not tag.startswith(("0000", "0002", "0004", "0042"))
    and keyword_for_tag(int(tag, 16))
    and dictionary_VR(int(tag, 16)) in TEXT_VRS
)
"""Attributes of text that the table takes away, whatever the kind of object."""

KEPT_TEXTS = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "PositionReferenceIndicator",
)
WORD = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=8, max_size=14).filter(
    lambda word: any(letter.isdigit() for letter in word)
)
CHOSEN = st.fixed_dictionaries(
    {
        "dates": st.sampled_from(["remove", "modify"]),
        "clean_descriptors": st.booleans(),
        "clean_structured_content": st.booleans(),
        "clean_graphics": st.booleans(),
        "retain_patient_characteristics": st.booleans(),
        "retain_safe_private": st.booleans(),
    }
)


def put(dataset: Dataset, tag: Any, value: str) -> None:
    vr = dictionary_VR(tag)
    dataset[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)


def content_of(path: Path, key: SecretKey, chosen: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    Deidentifier(key=key, options=Options(**chosen)).deidentified(path).write(file)
    return file.getvalue()


@settings(max_examples=12, suppress_health_check=FIXTURE_ONCE)
@given(
    said=st.lists(st.tuples(st.sampled_from(LISTED), WORD), min_size=1, max_size=12),
    nested=st.integers(0, 3),
    chosen=CHOSEN,
)
def test_no_value_of_a_removed_element_is_anywhere(
    tmp_path: Path,
    someone: Someone,
    save: Save,
    key: SecretKey,
    said: list[tuple[Any, str]],
    nested: int,
    chosen: dict[str, Any],
) -> None:
    dataset = someone()
    place: Dataset = dataset
    for _ in range(nested):
        inner = Dataset()
        place.ContributingEquipmentSequence = DicomSequence([inner])
        inner.Manufacturer = "Other"
        place = inner
    for tag, word in said:
        put(place, tag, word)
    words = [word for _, word in said]
    for keyword, word in zip(KEPT_TEXTS, words, strict=False):
        setattr(dataset, keyword, f"made for {word} and others")
    content = content_of(save(dataset, tmp_path / "in.dcm"), key, chosen)
    present = {str(element.value) for element in place if element.tag in LISTED}
    for word in present & set(words):
        assert word.encode() not in content


@settings(max_examples=5, suppress_health_check=FIXTURE_ONCE)
@given(chosen=CHOSEN)
def test_the_same_source_gives_the_same_bytes_and_a_second_time_takes_nothing_more(
    tmp_path: Path, someone: Someone, save: Save, key: SecretKey, chosen: dict[str, Any]
) -> None:
    path = save(someone(), tmp_path / "in.dcm")
    once = content_of(path, key, chosen)
    assert content_of(path, key, chosen) == once
    (tmp_path / "once.dcm").write_bytes(once)
    twice = content_of(tmp_path / "once.dcm", key, chosen)
    assert shape(twice) == shape(once)


def shape(content: bytes) -> list[tuple[int, ...]]:
    """Tags of all elements with a value or without, in sequences too."""
    found: list[tuple[int, ...]] = []

    def walk(dataset: Dataset, above: tuple[int, ...]) -> None:
        for element in dataset:
            found.append((*above, int(element.tag), int(element.is_empty)))
            if element.VR == "SQ":
                for item in element.value:
                    walk(item, (*above, int(element.tag)))

    walk(dcmread(io.BytesIO(content)), ())
    return found


@settings(max_examples=10, suppress_health_check=FIXTURE_ONCE)
@given(text=st.text(min_size=1, max_size=40), encoding=st.sampled_from(["ISO_IR 192", "GB18030"]))
def test_names_in_any_writing_are_replaced(
    tmp_path: Path, someone: Someone, save: Save, key: SecretKey, text: str, encoding: str
) -> None:
    name = "".join(letter for letter in text if letter.isalpha()) + "秦明月"
    try:
        name.encode("gb18030")
    except UnicodeEncodeError:
        return
    dataset = someone(SpecificCharacterSet=encoding)
    dataset.PatientName = f"Qin^Mingyue={name}"
    dataset.SeriesDescription = f"胸部 {name} 平扫"
    after = dcmread(
        io.BytesIO(content_of(save(dataset, tmp_path / "in.dcm"), key, {"clean_descriptors": True}))
    )
    assert name not in str(after)
    assert "秦明月" not in str(after)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00100010, "OB", b"Okonkwo^Marieke "),  # a name that is bytes
        (0x00280010, "OB", b"OKONKWO1"),  # rows that are none
        (0x00090001, "UN", b"OKONKWO1"),  # private, its creator nobody's
        (0x00080FFF, "UN", b"OKONKWO1"),  # of no dictionary
        (0x00280012, "LO", "Okonkwo^Marieke"),  # a retired or misplaced tag
        (0x00185010, "DS", "OKONKWO1"),  # a number that is none
        (0x00200013, "IS", "OKONKWO1"),
        (0x00080030, "TM", "OKONKWO1"),
        (0x00080020, "DA", "OKONKWO1"),
        (0x00080016, "UI", "OKONKWO1"),
        (0x00101010, "AS", "OKONKWO1"),
        (0x60003000, "OW", b"OKONKWO1"),
        (0x50003000, "OW", b"OKONKWO1"),
        (0x60004000, "LT", "OKONKWO1"),
        (0xFFFCFFFC, "OB", b"OKONKWO1"),
        (0x00080060, "CS", "Okonkwo^Marieke^Antonia^Dr"),
        (0x00287FE0, "UR", "http://pacs.elowen.example/OKONKWO1"),
        (0x00401100, "SH", "OKONKWO1"),
    ],
)
def test_odd_places_are_searched_too(
    tmp_path: Path, someone: Someone, key: SecretKey, tag: int, vr: str, value: Any
) -> None:
    dataset = someone()
    raw = value if isinstance(value, bytes) else value.encode()
    dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, False, True)
    path = tmp_path / "odd.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the writer sees that they are odd
        dataset.save_as(path, enforce_file_format=False)
    for chosen in ({}, {"dates": "keep", "retain_patient_characteristics": True}):
        with suppress(InputRefused):
            assert b"okonkwo" not in content_of(path, key, chosen).lower()
