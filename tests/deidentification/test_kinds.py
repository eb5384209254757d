"""Kinds of objects and of elements that need care of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    BasicTextSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from isocenter.deidentification.burned_in import RISKS, ImageFacts, may_show_a_face, risk_of
from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.pixel_rules import PixelRule
from isocenter.deidentification.profile import safe_private
from isocenter.dicom.deidentify.pixels import Box

Someone = Callable[..., FileDataset]
Take = Callable[..., Any]
CT = ImageFacts(sop_class="1.2.840.10008.5.1.4.1.1.2", modality="CT")
NO_PIXELS = dict.fromkeys(
    "PixelData SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored "
    "HighBit PixelRepresentation".split()
)


@pytest.mark.parametrize(
    ("facts", "risk"),
    [
        ({}, ""),
        ({"burned_in": "NO"}, ""),
        ({"burned_in": "YES"}, "burned_in_stated"),
        ({"burned_in": "MAYBE"}, "burned_in_stated"),
        ({"sop_class": UltrasoundImageStorage, "modality": "US"}, "ultrasound"),
        ({"sop_class": UltrasoundImageStorage, "burned_in": "NO"}, "ultrasound"),
        ({"sop_class": SecondaryCaptureImageStorage, "modality": "OT"}, "secondary_capture"),
        ({"sop_class": SecondaryCaptureImageStorage, "burned_in": "NO"}, ""),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.7.3"}, "secondary_capture"),
        ({"conversion": "SD", "burned_in": "NO"}, "converted"),
        ({"conversion": "WSD"}, "secondary_capture"),
        ({"image_type": ("DERIVED", "SECONDARY", "SCREEN SAVE"), "burned_in": "NO"}, "screen_save"),
        ({"image_type": ("DERIVED", "SECONDARY")}, "secondary_image"),
        ({"image_type": ("DERIVED", "SECONDARY"), "by_isocenter": True}, "secondary_image"),
        (
            {"image_type": ("DERIVED", "SECONDARY"), "by_isocenter": True, "has_place": True},
            "",
        ),
        ({"modality": "XA"}, "fluoroscopy"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.77.1.4", "burned_in": "NO"}, "photograph"),
        ({"sop_class": "1.2.3.4", "burned_in": "NO"}, "odd_kind"),
        ({"sop_class": "1.2.3.4", "has_pixels": False}, "odd_kind"),
        ({"modality": "US", "has_pixels": False}, ""),
    ],
)
def test_images_at_risk_are_known_by_their_header(facts: dict[str, Any], risk: str) -> None:
    assert risk_of(replace(CT, **facts)) == risk
    assert not risk or RISKS[risk]


@pytest.mark.parametrize(
    ("modality", "part", "shows"),
    [
        ("CT", "HEAD", True),
        ("MR", "Brain", True),
        ("CT", "HEAD-NECK", True),
        ("CT", "CHEST", False),
        ("CR", "SKULL", False),
    ],
)
def test_heads_in_volumes_may_show_a_face(modality: str, part: str, shows: bool) -> None:
    assert may_show_a_face(replace(CT, modality=modality, body_part=part)) is shows


def test_an_overlay_in_unused_bits_is_cleared(take: Take, someone: Someone) -> None:
    def with_overlay() -> FileDataset:
        dataset = someone()
        dataset.add_new(0x60000010, "US", 8)
        dataset.add_new(0x60000011, "US", 10)
        dataset.add_new(0x60000102, "US", 12)
        words = np.frombuffer(dataset.PixelData, "<u2") | 0x1000
        dataset.PixelData = words.astype("<u2").tobytes()
        return dataset

    taken = take(with_overlay())
    np.testing.assert_array_equal(taken.after.pixel_array, someone().pixel_array)
    assert not [element for element in taken.after if element.tag.group == 0x6000]
    assert taken.made.risk == ""
    box = Box(row=1, column=1, end_row=2, end_column=2)
    rule = PixelRule(wanted=(("Modality", "CT"),), boxes=(box,))
    both = take(with_overlay(), clean_pixels=True, pixel_rules=(rule,)).after.pixel_array
    expected = someone().pixel_array.copy()
    expected[1, 1] = 0
    np.testing.assert_array_equal(both, expected)


def content_item(kind: str, code: str, **values: Any) -> Dataset:
    item, name = Dataset(), Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = code, "DCM", "a concept"
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = DicomSequence([name])
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def report(someone: Someone) -> FileDataset:
    dataset = someone(SOPClassUID=BasicTextSRStorage, Modality="SR", **NO_PIXELS)
    for keyword in ("StudyDescription", "SeriesDescription"):
        delattr(dataset, keyword)
    dataset.ContentSequence = DicomSequence(
        [
            content_item("PNAME", "121008", PersonName="Ysgarwen^Petra"),
            content_item("TEXT", "121022", TextValue="ACC9930417"),
            content_item("TEXT", "121071", TextValue="nodule, told to Mrs Okonkwo"),
            content_item("TEXT", "999999", TextValue="stable since 20240229"),
            content_item("DATE", "111060", Date="20240229"),
        ]
    )
    return dataset


def test_a_report_keeps_nothing_but_its_form(take: Take, someone: Someone) -> None:
    taken = take(report(someone))
    items = taken.after.ContentSequence
    assert [item.ValueType for item in items] == ["PNAME", "TEXT", "TEXT", "TEXT", "DATE"]
    assert {str(item.get("TextValue", "REMOVED")) for item in items} == {"REMOVED"}
    assert b"nodule" not in taken.content


def test_a_report_keeps_its_findings_where_content_is_cleaned(take: Take, someone: Someone) -> None:
    chosen = {"clean_structured_content": True, "clean_descriptors": True, "dates": "modify"}
    taken = take(report(someone), **chosen)
    items = taken.after.ContentSequence
    told = [str(item.get("TextValue", item.get("PersonName", ""))) for item in items]
    assert told[:3] == ["REMOVED", "nodule, told to Mrs", "stable since"]
    assert len(items) == 4  # the accession number is no more
    assert b"Ysgarwen" not in taken.content
    assert b"20240229" not in taken.content


def test_annotations_lose_their_words(take: Take, someone: Someone) -> None:
    state = someone(
        SOPClassUID=GrayscaleSoftcopyPresentationStateStorage, Modality="PR", **NO_PIXELS
    )
    text, note = Dataset(), Dataset()
    text.UnformattedTextValue = "Okonkwo nodule"
    note.GraphicLayer, note.TextObjectSequence = "LAYER1", DicomSequence([text])
    state.GraphicAnnotationSequence = DicomSequence([note])
    for chosen in ({}, {"clean_graphics": True}):
        taken = take(state, **chosen)
        (after,) = taken.after.GraphicAnnotationSequence
        assert after.TextObjectSequence[0].UnformattedTextValue == "REMOVED"
        assert b"nodule" not in taken.content


def test_private_elements_stay_where_a_list_calls_them_safe(take: Take, someone: Someone) -> None:
    def with_private() -> FileDataset:
        dataset = someone()
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.00042")
        block.add_new(0x01, "LO", "Okonkwo")
        mine = dataset.private_block(0x0019, "SEEDED 1.0", create=True)
        mine.add_new(0x23, "LO", "pitch 0.9 for Okonkwo")
        mine.add_new(0x24, "UI", "1.2.826.9.1")
        mine.add_new(0x25, "LO", "not listed")
        return dataset

    assert not [element for element in take(with_private()).after if element.tag.is_private]
    more = [
        {"tag": "0019xx23", "creator": "SEEDED 1.0", "vr": "LO"},
        {"tag": "0019xx24", "creator": "SEEDED 1.0", "vr": "UI"},
    ]
    taken = take(with_private(), retain_safe_private=True, safe=safe_private(more))
    after = taken.after
    assert after[0x70531000].value == 0.00042
    assert after[0x00191023].value == "pitch 0.9 for"
    assert after[0x00191024].value == after.StudyInstanceUID
    private = [f"{int(element.tag):08X}" for element in after if element.tag.is_private]
    assert private == ["00190010", "00191023", "00191024", "70530010", "70531000"]


def test_options_keep_what_they_name(take: Take, someone: Someone) -> None:
    kept = take(
        someone(PatientAge="093Y"),
        retain_patient_characteristics=True,
        retain_device_identity=True,
        retain_institution_identity=True,
    ).after
    assert (kept.PatientSex, kept.PatientAge, str(kept.PatientWeight)) == ("F", "090Y", "71.5")
    assert (kept.StationName, kept.DeviceSerialNumber) == ("CTROOM-EAST-7", "SN-8831-XQ")
    assert kept.InstitutionName == "Saint Elowen Hospital"
    assert kept.PatientName != "Okonkwo^Marieke^Antonia^Dr"


def test_retained_uids_are_those_of_the_source(take: Take, someone: Someone) -> None:
    taken = take(someone(), retain_uids=True)
    assert taken.after.SOPInstanceUID == someone().SOPInstanceUID
    assert taken.after.file_meta.MediaStorageSOPInstanceUID == someone().SOPInstanceUID


def test_frames_of_reference_that_no_table_lists_are_replaced_too(
    take: Take, someone: Someone, key: SecretKey
) -> None:
    after = take(someone(VolumeFrameOfReferenceUID="1.2.826.9.4")).after
    assert after.VolumeFrameOfReferenceUID == after.FrameOfReferenceUID == key.uid("1.2.826.9.4")
    assert after.SOPClassUID == someone().SOPClassUID


def test_names_of_others_in_a_list_of_patients_keep_to_one_pseudonym(
    take: Take, someone: Someone, key: SecretKey
) -> None:
    other = Dataset()
    other.PatientID = "HOSP-4471882"
    dataset = someone()
    dataset.ReferencedSeriesSequence = DicomSequence([other])
    after = take(dataset).after
    assert after.ReferencedSeriesSequence[0].PatientID == after.PatientID


def test_a_station_called_as_its_make_does_not_take_the_make_along(
    take: Take, someone: Someone
) -> None:
    after = take(someone(StationName="SEEDED", SoftwareVersions="SN-8831-XQ")).after
    assert (after.Manufacturer, after.ManufacturerModelName) == ("Seeded Scanners", "Model 1")
    assert "StationName" not in after
    assert after.SoftwareVersions == "REMOVED"  # the serial number, in another place


def test_what_is_set_aside_does_not_claim_to_be_clean(take: Take, someone: Someone) -> None:
    outside = Box(row=0, column=0, end_row=9, end_column=2)
    rules = {
        "no_pixel_rule": PixelRule(wanted=(("Modality", "US"),), boxes=()),
        "pixels_not_cleaned": PixelRule(wanted=(("Modality", "CT"),), boxes=(outside,)),
    }
    for risk, rule in rules.items():
        taken = take(someone(), clean_pixels=True, pixel_rules=(rule,))
        codes = [one.CodeValue for one in taken.after.DeidentificationMethodCodeSequence]
        assert taken.made.risk == risk
        assert codes == ["113100"]
        assert "BurnedInAnnotation" not in taken.after
