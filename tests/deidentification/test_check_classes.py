"""The ten classes of checks that the validator of MIDI-B makes of a de-identified set.

tag_retained, text_notnull, text_retained, text_removed, date_shifted, uid_changed, uid_consistent,
patid_consistent, pixels_hidden and pixels_retained (CBIIT/MIDI_validation_script), here on invented
identifiers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import SecondaryCaptureImageStorage

from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.pixel_rules import PixelRule
from isocenter.dicom.deidentify.pixels import Box

Someone = Callable[..., FileDataset]
Take = Callable[..., Any]


@pytest.mark.parametrize(
    "keyword",
    """SOPClassUID Modality BodyPartExamined Manufacturer ManufacturerModelName ImageType
    ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness KVP ConvolutionKernel
    RescaleSlope RescaleIntercept InstanceNumber SeriesNumber Rows Columns""".split(),
)
def test_tag_retained(take: Take, someone: Someone, keyword: str) -> None:
    before = someone()
    assert take(someone()).after[keyword].value == before[keyword].value


@pytest.mark.parametrize(
    "keyword",
    """PatientID PatientName StudyInstanceUID SeriesInstanceUID SOPInstanceUID FrameOfReferenceUID
    PatientIdentityRemoved DeidentificationMethod""".split(),
)
def test_text_notnull(take: Take, someone: Someone, keyword: str) -> None:
    assert str(take(someone()).after[keyword].value)


@pytest.mark.parametrize(
    "keyword",
    "PatientBirthDate ReferringPhysicianName AccessionNumber StudyID PatientSex StudyDate".split(),
)
def test_type_2_attributes_are_there_without_value(
    take: Take, someone: Someone, keyword: str
) -> None:
    after = take(someone()).after
    assert keyword in after
    assert not after[keyword].value


def test_text_retained(take: Take, someone: Someone) -> None:
    after = take(someone(), clean_descriptors=True).after
    assert after.StudyDescription == "CT thorax for Mrs, born"
    assert after.SeriesDescription == "thin lung, wants 1.0 mm"
    item = take(someone(), clean_descriptors=True).after.RequestAttributesSequence[0]
    assert item.ReasonForTheRequestedProcedure == "nodule"


@pytest.mark.parametrize("clean_descriptors", [False, True])
def test_text_removed(
    take: Take, someone: Someone, identifiers: dict[str, str], clean_descriptors: bool
) -> None:
    taken = take(someone(), clean_descriptors=clean_descriptors)
    parts = {part for value in identifiers.values() for part in value.replace("^", " ").split()}
    for part in {one.strip(",") for one in parts if len(one) > 3} | {"4471882", "1961"}:
        assert part.encode() not in taken.content, part
    for word in (b"ELOWEN_PACS", b"ELOWEN PRIVATE", b"OLD-4471", b"RP-771-Q"):
        assert word not in taken.content


def test_descriptions_go_without_the_option(take: Take, someone: Someone) -> None:
    after = take(someone()).after
    for keyword in ("StudyDescription", "SeriesDescription", "ImageComments"):
        assert keyword not in after


def test_date_shifted(take: Take, someone: Someone, key: SecretKey) -> None:
    after = take(someone(), dates="modify").after
    days = [key.shift_days("id HOSP-4471882")] * 3
    moved = [date.fromisoformat(one) for one in (after.StudyDate, after.SeriesDate)]
    moved.append(date.fromisoformat(str(after.AcquisitionDateTime)[:8]))
    true = [date(2024, 2, 29), date(2024, 2, 29), date(2024, 3, 1)]
    assert [(a - b).days for a, b in zip(moved, true, strict=True)] == days
    assert str(after.AcquisitionDateTime)[8:] == "000512.25+0100"
    assert after.StudyTime == "235930"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert not after.PatientBirthDate


def test_dates_are_removed_or_kept(take: Take, someone: Someone) -> None:
    removed = take(someone()).after
    assert removed.StudyDate == removed.StudyTime == removed.ContentDate == ""
    assert "SeriesDate" not in removed
    assert removed.LongitudinalTemporalInformationModified == "REMOVED"
    kept = take(someone(), dates="keep").after
    assert kept.StudyDate == "20240229"
    assert kept.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert not kept.PatientBirthDate


def test_uid_changed(take: Take, someone: Someone) -> None:
    before, taken = someone(), take(someone())
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert taken.after[keyword].value != before[keyword].value
        assert taken.after[keyword].value.startswith("2.25.")
    assert taken.after.file_meta.MediaStorageSOPInstanceUID == taken.after.SOPInstanceUID
    assert b"1.2.826.9." not in taken.content


def test_uid_consistent(take: Take, someone: Someone) -> None:
    first = take(someone()).after
    other = take(someone(SOPInstanceUID="1.2.826.9.5", PatientID="ANOTHER-1")).after
    assert first.StudyInstanceUID == other.StudyInstanceUID
    assert first.FrameOfReferenceUID == other.FrameOfReferenceUID
    assert first.SOPInstanceUID != other.SOPInstanceUID
    enhanced = someone(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", DerivationImageSequence=[Dataset()]
    )
    enhanced.DerivationImageSequence[0].SourceImageSequence = someone().SourceImageSequence
    reference = take(enhanced).after.DerivationImageSequence[0]
    assert not reference.SourceImageSequence  # type 2 there, so it is emptied
    retained = take(enhanced, retain_uids=True).after.DerivationImageSequence[0]
    assert retained.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.826.9.5"


def test_another_key_gives_other_uids(take: Take, someone: Someone) -> None:
    other = SecretKey(secret=bytes(32))
    assert (
        take(someone()).after.StudyInstanceUID != take(someone(), key=other).after.StudyInstanceUID
    )


def test_patid_consistent(take: Take, someone: Someone) -> None:
    first = take(someone()).after
    follow_up = take(someone(StudyInstanceUID="1.2.826.8", StudyDate="20250301")).after
    stranger = take(someone(PatientID="HOSP-4471883")).after
    assert first.PatientID == follow_up.PatientID == str(first.PatientName)
    assert first.PatientID != stranger.PatientID
    assert first.StudyInstanceUID != follow_up.StudyInstanceUID


def test_patients_without_an_id_are_not_one_patient(take: Take, someone: Someone) -> None:
    one = take(someone(PatientID="")).after
    other = take(someone(PatientID="", StudyInstanceUID="1.2.826.8")).after
    assert one.PatientID != other.PatientID


def test_pixels_hidden(take: Take, someone: Someone) -> None:
    before = someone(SOPClassUID=SecondaryCaptureImageStorage, ConversionType="WSD")
    rule = PixelRule(
        wanted=(("ConversionType", "WSD"),),
        boxes=(Box(row=0, column=2, end_row=3, end_column=9),),
    )
    taken = take(before, clean_pixels=True, pixel_rules=(rule,))
    expected = someone().pixel_array.copy()
    expected[0:3, 2:9] = 0
    np.testing.assert_array_equal(taken.after.pixel_array, expected)
    assert taken.after.BurnedInAnnotation == "NO"
    assert taken.made.risk == ""


def test_pixels_retained(take: Take, someone: Someone) -> None:
    assert take(someone()).after.PixelData == someone().PixelData
