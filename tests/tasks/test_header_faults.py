"""Faults of headers end in words before any work, or are left out of the results with a note."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.dicom.reading import series as series_module
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.writing.rehearsal import rehearse
from isocenter.tasks.run import RunResult, run

Write = Callable[..., Any]
PLACES = {"first": 0, "middle": 1, "last": 2}


@pytest.fixture(scope="module")
def smooth(load_module: Callable[[Path, str], ModuleType]) -> Any:
    """The small task that needs no model."""
    path = Path(__file__).parent / "smooth" / "task.py"
    return load_module(path, "isocenter_tests_smooth_for_faults").TASK


@pytest.fixture
def write(write_classic_ct: Write, rewrite: Callable[..., None]) -> Write:
    """Three small slices in order; elements are changed in one place, in all for None."""

    def small(place: int | None = None, **values: Any) -> Any:
        scan = write_classic_ct(shape=(3, 8, 8), shuffle=False)
        for index, file in enumerate(scan.files):
            if place in (None, index):
                rewrite(file, **values)
        return scan

    return small


DECIMALS = (b"nan", b"inf", b"-inf", b"1e400", b"-1", b"1e-320", b"1e30", b"abc", b"1\\2")
REFUSED: list[tuple[str, Any]] = [
    *(("SliceThickness", ("DS", value)) for value in DECIMALS),
    *(
        ("PixelSpacing", ("DS", value))
        for value in (
            b"1e-320\\1e-320",
            b"nan\\1",
            b"1\\inf",
            b"0\\1",
            b"-1\\-1",
            b"1",
            b"1\\1\\1",
            b"a\\b",
            b"",
        )
    ),
    *(
        ("ImagePositionPatient", ("DS", value))
        for value in (b"nan\\0\\0", b"0\\0", b"a\\b\\c", b"")
    ),
    *(
        ("ImageOrientationPatient", ("DS", value))
        for value in (b"inf\\0\\0\\0\\1\\0", b"1\\0", b"")
    ),
    *(
        ("RescaleSlope", ("DS", value))
        for value in (b"nan", b"1e-320", b"1e400", b"0", b"", b"1\\2")
    ),
    *(("RescaleIntercept", ("DS", value)) for value in (b"nan", b"-inf", b"abc", b"")),
    *(
        (keyword, value)
        for keyword in ("StudyInstanceUID", "SOPInstanceUID", "SOPClassUID")
        for value in (None, ("UI", b""), ("UI", b"abc"), ("UI", b"1." * 40), ("UI", b"1.2\\1.3"))
    ),
    ("FrameOfReferenceUID", ("UI", b"x.y")),
    ("SeriesInstanceUID", None),
    ("SeriesInstanceUID", ("UI", b"abc")),
    *(
        (keyword, value)
        for keyword in (
            "Rows",
            "Columns",
            "BitsAllocated",
            "BitsStored",
            "PixelRepresentation",
            "SamplesPerPixel",
        )
        for value in (None, ("US", b""), ("LO", b"abc"))
    ),
    ("BitsStored", 0),
    ("PixelRepresentation", 7),
    ("PhotometricInterpretation", None),
    ("NumberOfFrames", ("IS", b"3")),
    ("NumberOfFrames", ("IS", b"abc")),
    ("HighBit", ("LO", b"abc")),
    ("PixelPaddingValue", ("SS", b"\x01\x00\x02\x00")),
    ("DerivationCodeSequence", ("LO", b"text")),
    ("ContributingEquipmentSequence", ("LO", b"text")),
]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("keyword", "value"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_fault_that_pixels_places_or_references_need_is_refused_before_any_work(
    write: Write,
    smooth: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keyword: str,
    value: Any,
    place: int,
) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("a pixel was decoded before the refusal")

    scan = write(place, **{keyword: value})
    monkeypatch.setattr(series_module, "decode_frame", decode)
    with pytest.raises(InputRefused) as info:
        run(smooth, scan.folder, tmp_path / "out")
    message = str(info.value)
    assert len(message) > 40
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", message)
    assert "Phantom" not in message
    assert [path.name for path in tmp_path.iterdir()] == [scan.folder.name]


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def instances() -> Sequence:
    return Sequence([item(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID="1.2.4")])


BY_STUDY = "StudiesContainingOtherReferencedInstancesSequence"
LEFT_OUT: list[tuple[str, Any]] = [
    *(
        ("TimezoneOffsetFromUTC", ("SH", value))
        for value in (b"+9999", b"-2400", b"+1401", b"-1201", b"+0575", b"EST", b"+05", b"0100")
    ),
    ("ReferencedSeriesSequence", Sequence([item(ReferencedInstanceSequence=instances())])),
    ("ReferencedSeriesSequence", Sequence([item(SeriesInstanceUID="")])),
    ("ReferencedSeriesSequence", Sequence([Dataset()])),
    ("ReferencedSeriesSequence", ("LO", b"text")),
    (
        BY_STUDY,
        Sequence([item(ReferencedSeriesSequence=Sequence([item(SeriesInstanceUID="1.2")]))]),
    ),
    (BY_STUDY, ("SH", b"text")),
    ("RelatedSeriesSequence", Sequence([item(StudyInstanceUID="1.2.3")])),
    ("RelatedSeriesSequence", ("OB", b"\1\2")),
    ("RequestAttributesSequence", ("FD", bytes(8))),
    ("CodingSchemeIdentificationSequence", ("LO", b"text")),
    ("KVP", ("DS", b"nan")),
    ("KVP", ("DS", b"one hundred")),
    ("KVP", ("DS", b"100\\120")),
    ("WindowCenter", ("DS", b"inf")),
    ("WindowWidth", ("DS", b"nan\\1")),
    ("GantryDetectorTilt", ("DS", b"nan")),
    ("ReconstructionDiameter", ("DS", b"-inf")),
    ("Exposure", ("IS", b"abc")),
    ("SeriesNumber", ("IS", b"abc")),
    ("SeriesNumber", ("IS", b"3\\4")),
    ("InstanceNumber", ("IS", b"1.5x")),
    ("AcquisitionNumber", ("IS", b"nan")),
    ("Exposure", ("LO", b"text")),
    ("SeriesNumber", ("LO", b"text")),
    ("InstanceNumber", ("LO", b"text")),
    ("SpecificCharacterSet", ("CS", b"ISO_IR 999")),
    ("SpecificCharacterSet", ("CS", b"ISO_IR 100\\nonsense")),
    ("IrradiationEventUID", ("UI", b"abc")),
    ("BodyPartExamined", ("CS", b"CHEST\\HEAD")),
    ("DeviceUID", ("UI", b"1.2 3")),
    ("SpacingBetweenSlices", ("DS", b"inf")),
    ("CTDIvol", ("FD", b"\0\0\0\0\0\0\xf8\x7f")),
]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("keyword", "value"), LEFT_OUT, ids=lambda value: str(value)[:40])
def test_any_other_fault_is_left_out_with_a_note(
    write: Write, smooth: Any, keyword: str, value: Any, place: int
) -> None:
    scan = write(place, **{keyword: value})
    series = open_ct_series(scan.folder)
    rehearse(series, smooth.outputs)
    (note,) = series.notes
    name = pydicom.datadict.dictionary_description(keyword)
    assert f"left out of the results: {name} (of 1 of 3 files)." in note
    header = series.header(place)
    assert not header.get(keyword)
    assert series.header((place + 1) % 3).SOPInstanceUID


def test_a_result_holds_no_element_that_was_left_out_and_says_so(
    write: Write, smooth: Any, tmp_path: Path
) -> None:
    scan = write(None, TimezoneOffsetFromUTC=("SH", b"+9999"), WindowCenter=("DS", b"nan"))
    (scan.folder / "README").write_text("about")
    result: RunResult = run(smooth, scan.folder, tmp_path / "out")
    seen = {"used": 3, "other": 1, "damaged": 0, "unreadable": 0}
    sentence = "4 files were seen: 3 used, 1 other, 0 damaged, 0 unreadable."
    assert result.files_seen == {"input": seen}
    assert result.notes[0] == sentence
    assert "Timezone Offset From UTC (of 3 of 3 files), Window Center" in result.notes[1]
    record = json.loads((result.folder / "record.json").read_text())
    assert record["files_seen"] == {"input": seen}
    page = result.report.read_text()
    assert sentence in page
    assert "Timezone Offset From UTC" in page
    for path in result.files["smoothed"]:
        image = dcmread(path)
        assert "TimezoneOffsetFromUTC" not in image
        assert "WindowCenter" not in image
    again = run(smooth, scan.folder, tmp_path / "out")
    assert again.already_there
    assert again.files_seen == result.files_seen


HARMLESS = [
    ("SpecificCharacterSet", ("CS", b"ISO_IR 100")),
    ("SpecificCharacterSet", ("CS", b"\\ISO 2022 IR 87")),
    ("TimezoneOffsetFromUTC", ("SH", b"+1400")),
    ("TimezoneOffsetFromUTC", ("SH", b"-1200")),
    ("TimezoneOffsetFromUTC", ("SH", b"")),
    ("SliceThickness", ("DS", b"")),
    ("SliceThickness", ("DS", b"0")),
    ("SeriesNumber", ("IS", b"")),
    ("SoftwareVersions", ("LO", b"a\\b\\c")),
    ("PatientID", ("LO", b"SEED0 ")),
    ("KVP", ("DS", b" 120 ")),
]


@pytest.mark.parametrize(("keyword", "value"), HARMLESS, ids=lambda value: str(value)[:40])
def test_what_harms_nothing_is_not_worth_a_note(
    write: Write, smooth: Any, keyword: str, value: Any
) -> None:
    series = open_ct_series(write(None, **{keyword: value}).folder)
    rehearse(series, smooth.outputs)
    assert series.notes == ()


@pytest.mark.parametrize("keyword", ["ReferencedSeriesSequence", "RequestAttributesSequence"])
def test_a_sequence_of_rubbish_damages_its_file(write: Write, keyword: str) -> None:
    """What does not consist of items cannot be walked through, so nothing behind it is known."""
    scan = write(1, **{keyword: ("SQ", b"garbagegarbage")})
    with pytest.raises(InputRefused, match="damaged"):
        open_ct_series(scan.folder)


def test_a_name_in_an_unknown_character_set_keeps_its_bytes(
    write: Write, smooth: Any, tmp_path: Path
) -> None:
    name = "Müller^Änne".encode("latin-1")
    scan = write(None, SpecificCharacterSet=("CS", b"nonsense"), PatientName="Muller^Anne")
    for file in scan.files:
        content = file.read_bytes()
        assert b"Muller^Anne" in content
        file.write_bytes(content.replace(b"Muller^Anne", name))
    result = run(smooth, scan.folder, tmp_path / "out")
    image = dcmread(result.files["smoothed"][0])
    assert "SpecificCharacterSet" not in image
    assert name in result.files["smoothed"][0].read_bytes()


def test_one_frame_of_reference_is_written_where_each_slice_names_its_own(
    write_classic_ct: Write, smooth: Any, tmp_path: Path
) -> None:
    def own(dataset: Dataset, index: int) -> None:
        dataset.FrameOfReferenceUID = f"1.2.3.{index + 1}"

    scan = write_classic_ct(shape=(3, 8, 8), edit=own)
    result = run(smooth, scan.folder, tmp_path / "out")
    objects = [dcmread(path) for paths in result.files.values() for path in paths]
    (uid,) = {each.FrameOfReferenceUID for each in objects}
    assert uid.startswith("2.25.")
    assert len(objects) == 4
    assert any("frame of reference of its own" in note for note in result.notes)


def test_what_no_writer_can_take_is_refused_in_words(
    write: Write, smooth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isocenter.dicom.writing import rehearsal

    def fail(*_: object, **__: object) -> None:
        raise AttributeError("quotes a name of a patient")

    monkeypatch.setattr(rehearsal, "classic_header", fail)
    with pytest.raises(UnsuitableScan, match="image 1 of 3 has a header that no result") as info:
        rehearse(open_ct_series(write().folder), smooth.outputs)
    assert info.value.reason == "header"
    assert "patient" not in str(info.value)


@pytest.mark.parametrize("fault", ["shared", "per frame", "frame content"])
def test_frames_without_their_groups_are_refused_in_words(
    write_enhanced_ct: Write, smooth: Any, tmp_path: Path, fault: str
) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        if fault == "shared":
            dataset.SharedFunctionalGroupsSequence = Sequence([])
        elif fault == "per frame":
            dataset.PerFrameFunctionalGroupsSequence = Sequence([])
        else:
            groups = dataset.PerFrameFunctionalGroupsSequence
            for group in groups:
                group.PlanePositionSequence = Sequence([])

    scan = write_enhanced_ct(shape=(3, 8, 8), edit=edit)
    with pytest.raises(InputRefused):
        run(smooth, scan.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


NAMES = {
    "NUL": "scan\0here",
    "NUL alone": "\0",
    "5,000 characters": "x" * 5000,
    "5,000 characters in folders": "/".join(["x" * 99] * 50),
    "half of a character": "scan\ud800",
    "no such user": "~nobody_of_this_name_123/scan",
    "nothing": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_no_file_can_have_are_refused_in_words(
    smooth: Any, write: Write, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputRefused) as info:
        run(smooth, name, tmp_path / "out")
    assert len(str(info.value)) < 200
    with pytest.raises(InputRefused):
        run(smooth, write().folder, name)


NASTY = {
    "not a number": ("", b"nan"),
    "several": ("", b"1\\2\\3"),
    "binary": ("", b"\xff\xfe\x01\x80"),
    "another text": ("LO", b"text"),
}
MORE = f"""TimezoneOffsetFromUTC ReferencedSeriesSequence RelatedSeriesSequence {BY_STUDY}
DerivationCodeSequence ContributingEquipmentSequence SourceImageSequence WindowCenter
SpecificCharacterSet SeriesDescription ImageComments DerivationDescription StationName DeviceUID
CodingSchemeIdentificationSequence LossyImageCompression LossyImageCompressionMethod Laterality
PixelPaddingValue ClinicalTrialSubjectID RequestAttributesSequence ReferencedImageSequence
VOILUTSequence BurnedInAnnotation SyntheticData NumberOfFrames""".split()


@pytest.mark.parametrize(("vr", "content"), NASTY.values(), ids=NASTY)
def test_no_value_of_any_element_ends_in_something_unexpected(
    write_classic_ct: Write, rewrite: Callable[..., None], smooth: Any, vr: str, content: bytes
) -> None:
    scan = write_classic_ct(shape=(1, 8, 8))
    file, original = scan.files[0], scan.files[0].read_bytes()
    present = [element.keyword for element in dcmread(file) if element.keyword != "PixelData"]
    outcomes = []
    for keyword in dict.fromkeys([*present, *MORE]):
        file.write_bytes(original)
        own = pydicom.datadict.dictionary_VR(keyword).split(" or ")[0]
        rewrite(file, **{keyword: (vr or own, content)})
        try:
            rehearse(open_ct_series(file), smooth.outputs)
            outcomes.append("carried on")
        except InputRefused as refusal:
            outcomes.append(getattr(refusal, "reason", "unreadable"))
    assert "header" not in outcomes  # words of its own for every fault
    assert 30 < outcomes.count("carried on") < len(outcomes) - 5


GROUPS: dict[str, tuple[str, str, Any]] = {
    "thickness": ("PixelMeasuresSequence", "SliceThickness", ("DS", b"nan")),
    "spacing": ("PixelMeasuresSequence", "PixelSpacing", ("DS", b"1e-320\\1e-320")),
    "slope": ("PixelValueTransformationSequence", "RescaleSlope", ("DS", b"inf")),
    "intercept": ("PixelValueTransformationSequence", "RescaleIntercept", ("DS", b"abc")),
}


@pytest.mark.parametrize("fault", GROUPS)
def test_faults_within_groups_of_frames_are_refused(
    write_enhanced_ct: Write, smooth: Any, tmp_path: Path, fault: str
) -> None:
    group, keyword, (vr, content) = GROUPS[fault]

    def edit(dataset: Dataset, _: int) -> None:
        spoilt = dataset.SharedFunctionalGroupsSequence[0][group].value[0]
        tag = Tag(keyword)
        padded = content + b" " * (len(content) % 2)
        spoilt[tag] = RawDataElement(tag, vr, len(padded), padded, 0, False, True)

    scan = write_enhanced_ct(shape=(3, 8, 8), edit=edit)
    with pytest.raises(InputRefused):
        run(smooth, scan.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fault_within_a_group_of_frames_is_left_out(
    write_enhanced_ct: Write, smooth: Any, tmp_path: Path
) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.SharedFunctionalGroupsSequence[0].CTXRayDetailsSequence[0].KVP = float("nan")

    scan = write_enhanced_ct(shape=(3, 8, 8), edit=edit)
    result = run(smooth, scan.folder, tmp_path / "out")
    assert "KVP (of 1 of 1 files)" in " ".join(result.notes)
    (image,) = [dcmread(path) for path in result.files["smoothed"]]
    assert "KVP" not in image.SharedFunctionalGroupsSequence[0].CTXRayDetailsSequence[0]
