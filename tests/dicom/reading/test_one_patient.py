"""One series is of one patient, study, frame of reference, modality and body."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid

from isocenter.core.errors import UnsuitableScan
from isocenter.dicom.reading import series as series_module
from isocenter.dicom.reading.open import find_series, open_ct_series, open_series

Write = Callable[..., Any]
PLACES = {"first": 0, "middle": 2, "last": 4}
OTHER_UID = "1.2.826.0.1.3680043.8.498.77"
COMMON = {
    "PatientID": "SEED0",
    "PatientName": "Phantom^Seeded",
    "PatientBirthDate": "19700203",
    "PatientSex": "F",
    "IssuerOfPatientID": "HOSPITAL",
}
OTHERS = {
    "PatientID": ("Patient ID", "STRANGER", "mixed_patients"),
    "PatientName": ("Patient's Name", "Other^Person", "mixed_patients"),
    "PatientBirthDate": ("Patient's Birth Date", "19990909", "mixed_patients"),
    "PatientSex": ("Patient's Sex", "M", "mixed_patients"),
    "IssuerOfPatientID": ("Issuer of Patient ID", "ELSEWHERE", "mixed_patients"),
    "StudyInstanceUID": ("Study Instance UID", OTHER_UID, "mixed_studies"),
    "FrameOfReferenceUID": (
        "Frame of Reference UID",
        OTHER_UID,
        "mixed_frames_of_reference",
    ),
    "Modality": ("Modality", "MR", "mixed_modalities"),
    "PatientPosition": ("Patient Position", "FFS", "mixed_patient_positions"),
}
MAY_LACK = ("PatientSex", "IssuerOfPatientID", "PatientPosition")


@pytest.fixture(autouse=True)
def _no_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(series_module, "decode_frame", decode)


@pytest.fixture
def write(write_classic_ct: Write) -> Write:
    """A series of five small slices in order; ``values`` by slice and keyword change it."""

    def small(values: Callable[[int], dict[str, Any]] | None = None, **options: Any) -> Any:
        def edit(dataset: Dataset, index: int) -> None:
            for keyword, value in (COMMON | (values(index) if values else {})).items():
                if value is not None:
                    setattr(dataset, keyword, value)
                elif keyword in dataset:
                    delattr(dataset, keyword)

        return write_classic_ct(**{"shape": (5, 8, 8), "shuffle": False, "edit": edit} | options)

    return small


def only(place: int, **values: Any) -> Callable[[int], dict[str, Any]]:
    return lambda index: values if index == place else {}


def refusal(folder: Path, **options: Any) -> UnsuitableScan:
    """The refusal, which must hold no value of any attribute, with or without the largest run."""
    with pytest.raises(UnsuitableScan) as info:
        open_ct_series(folder, **options)
    message = str(info.value)
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", message)
    held = {*COMMON.values(), *(value for _, value, _ in OTHERS.values())} - {"F", "M", "MR"}
    assert not any(value in message for value in held)
    return info.value


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("keyword", OTHERS)
def test_a_slice_of_another_is_refused_and_the_attribute_is_named(
    write: Write, keyword: str, place: int
) -> None:
    name, value, reason = OTHERS[keyword]
    scan = write(only(place, **{keyword: value}))
    for run in ("all", "largest"):
        error = refusal(scan.folder, run=run)
        assert error.reason == reason
        assert f"{name} (in 1 of 5)" in str(error)
    summary = find_series(scan.folder)[0]
    assert (summary.fits, summary.reason) == (False, reason)


@pytest.mark.parametrize("how", [None, ""], ids=["absent", "empty"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("keyword", OTHERS)
def test_a_slice_that_does_not_say_whose_it_is(
    write: Write, keyword: str, place: int, how: Any
) -> None:
    scan = write(only(place, **{keyword: how}))
    if keyword in MAY_LACK:
        assert len(open_ct_series(scan.folder)) == 5
        return
    error = refusal(scan.folder)
    assert error.reason == OTHERS[keyword][2]
    assert f"{OTHERS[keyword][0]} (missing in 1 of 5)" in str(error)


@pytest.mark.parametrize("keyword", set(OTHERS) - {"StudyInstanceUID", "Modality"})
def test_what_no_slice_says_and_what_is_empty_or_absent_is_the_same(
    write: Write, keyword: str
) -> None:
    scan = write(lambda index: {keyword: None if index % 2 else ""})
    assert len(open_ct_series(scan.folder)) == 5


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Phantom^Seeded^^^"),
        ("PatientName", "Phantom^Seeded=="),
        ("PatientName", "PHANTOM^SEEDED"),
        ("PatientName", "Phantom^Seeded "),
        ("PatientName", " Phantom ^Seeded"),
        ("PatientID", "SEED0  "),
        ("PatientID", " SEED0"),
        ("PatientID", "SEED0\0"),
        ("PatientBirthDate", "1970.02.03"),
        ("PatientBirthDate", "19700203 "),
        ("PatientSex", "F "),
        ("PatientPosition", "HFS "),
    ],
)
def test_two_ways_to_write_one_thing_do_not_differ(
    write: Write, rewrite: Any, keyword: str, value: str, place: int
) -> None:
    scan = write()
    vr = {"PatientName": "PN", "PatientBirthDate": "DA", "PatientID": "LO"}.get(keyword, "CS")
    rewrite(scan.files[place], **{keyword: (vr, value.encode())})
    assert len(open_ct_series(scan.folder)) == 5


def test_a_name_is_the_same_in_two_character_sets(write: Write) -> None:
    def values(index: int) -> dict[str, Any]:
        charset = "ISO_IR 100" if index % 2 else "ISO_IR 192"
        return {"SpecificCharacterSet": charset, "PatientName": "Müller^Änne"}

    scan = write(values)
    contents = [file.read_bytes() for file in scan.files[:2]]
    assert ["Müller".encode() in content for content in contents] == [True, False]
    assert len(open_ct_series(scan.folder)) == 5


def test_everything_that_differs_is_named_with_its_number_of_slices(write: Write) -> None:
    def values(index: int) -> dict[str, Any]:
        other = {"PatientID": "STRANGER", "PatientName": "Other^Person"} if index > 2 else {}
        return other | ({"StudyInstanceUID": OTHER_UID} if index == 4 else {})

    error = refusal(write(values).folder)
    assert (
        "differ in Patient ID (in 2 of 5), Patient's Name (in 2 of 5) and Study Instance UID "
        "(in 1 of 5), so they may be of different patients and of different studies"
    ) in str(error)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_every_slice_of_another_is_refused(write: Write, keyword: str) -> None:
    scan = write(lambda index: {keyword: f"1.2.{index + 1}"})
    assert "(in 4 of 5)" in str(refusal(scan.folder))


def test_objects_of_frames_are_compared_too(write_enhanced_ct: Write, tmp_path: Path) -> None:
    def edit(seed: int) -> Callable[[Dataset, int], None]:
        def change(dataset: Dataset, _: int) -> None:
            dataset.SeriesInstanceUID = "1.2.3.4"
            dataset.StudyInstanceUID = "1.2.3"
            dataset.FrameOfReferenceUID = "1.2.5"
            dataset.PatientID = f"P{seed}"

        return change

    folder = tmp_path / "both"
    folder.mkdir()
    for seed, start in ((1, 0.0), (2, 7.5)):
        scan = write_enhanced_ct(
            seed=seed, shape=(3, 8, 8), origin_mm=(0, 0, start), edit=edit(seed)
        )
        scan.files[0].rename(folder / f"{seed}.dcm")
    assert "Patient ID (in 3 of 6)" in str(refusal(folder))


def test_mr_keeps_the_same_rule(write_classic_ct: Write) -> None:
    def edit(dataset: Dataset, index: int) -> None:
        dataset.Modality, dataset.SOPClassUID = "MR", MRImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
        dataset.PatientID = "STRANGER" if index == 2 else "SEED0"

    scan = write_classic_ct(shape=(5, 8, 8), edit=edit)
    with pytest.raises(UnsuitableScan, match=r"Patient ID \(in 1 of 5\)"):
        open_series(scan.folder, modality="MR")


class TestFramesOfReference:
    """Some archives give every image a frame of reference of its own."""

    @staticmethod
    def own(index: int) -> dict[str, Any]:
        return {"FrameOfReferenceUID": generate_uid(entropy_srcs=["own", str(index)])}

    def test_of_their_own_are_accepted_with_a_note_and_become_one(self, write: Write) -> None:
        scan = write(self.own)
        series = open_ct_series(scan.folder)
        (note,) = series.notes
        assert "frame of reference of its own" in note
        uids = {series.header(index).FrameOfReferenceUID for index in range(5)}
        (uid,) = uids
        assert uid.startswith("2.25.")
        again = open_ct_series(scan.folder)
        assert again.header(3).FrameOfReferenceUID == uid

    @pytest.mark.parametrize("count", [2, 3, 4])
    def test_that_some_slices_share_are_refused(self, write: Write, count: int) -> None:
        scan = write(lambda index: self.own(min(index, count - 1)))
        assert refusal(scan.folder).reason == "mixed_frames_of_reference"

    @pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
    def test_with_one_that_is_missing_are_refused(self, write: Write, place: int) -> None:
        scan = write(
            lambda index: self.own(index) if index != place else {"FrameOfReferenceUID": ""}
        )
        assert refusal(scan.folder).reason == "mixed_frames_of_reference"

    def test_of_two_slices_say_nothing_of_a_line(self, write: Write) -> None:
        scan = write(self.own, shape=(2, 8, 8))
        assert refusal(scan.folder).reason == "mixed_frames_of_reference"

    def test_without_positions_in_line_are_refused(self, write: Write) -> None:
        scan = write(self.own)
        for gone in (1, 2):
            scan.files[gone].unlink()
        assert refusal(scan.folder).reason == "uneven_slices"
        assert refusal(scan.folder, run="largest").reason == "mixed_frames_of_reference"

    def test_of_their_own_may_have_a_gap_beside_the_run_that_is_taken(self, write: Write) -> None:
        scan = write(self.own, shape=(7, 8, 8))
        scan.files[5].unlink()
        series = open_ct_series(scan.folder, run="largest")
        assert len(series) == 5
        assert len({series.header(index).FrameOfReferenceUID for index in range(5)}) == 1

    def test_of_their_own_do_not_hide_another_patient(self, write: Write) -> None:
        scan = write(lambda index: self.own(index) | ({"PatientID": "X"} if index == 4 else {}))
        error = refusal(scan.folder)
        assert error.reason == "mixed_patients"
        assert "Frame of Reference" not in str(error)

    def test_that_agree_are_kept(self, write: Write) -> None:
        series = open_ct_series(write(lambda _: {"FrameOfReferenceUID": OTHER_UID}).folder)
        assert series.header(0).FrameOfReferenceUID == OTHER_UID
        assert series.notes == ()


BODIES: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "orientation": (
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
        "mixed_orientations",
        r"Image Orientation \(Patient\) of 1 of 5 differs",
    ),
    "turned a little": (
        {"ImageOrientationPatient": [1, 0.004, 0, -0.004, 1, 0]},
        "mixed_orientations",
        "1 of 5",
    ),
    "spacing": ({"PixelSpacing": [0.8, 0.71]}, "mixed_spacings", "Pixel Spacing of 1 of 5"),
    "matrix": ({"Rows": 4, "Columns": 16}, "mixed_sizes", "Rows or Columns of 1 of 5"),
    "tilt": ({"GantryDetectorTilt": "12.5"}, "mixed_tilts", "Tilt of 1 of 5"),
    "sideways": ({"ImagePositionPatient": [-60, -90, -695]}, None, "shifted sideways|lie where"),
    "far away": ({"ImagePositionPatient": [-80, -90, 300]}, None, "missing or unevenly"),
    "same place": ({"ImagePositionPatient": [-80, -90, -697.5]}, None, "lie where|unevenly"),
    "between": ({"ImagePositionPatient": [-80, -90, -696.2]}, None, "unevenly"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("body", BODIES)
def test_a_slice_of_another_body_or_place_is_refused(write: Write, body: str, place: int) -> None:
    values, reason, words = BODIES[body]
    error = refusal(write(only(place, **values)).folder)
    assert re.search(words, str(error))
    assert reason in (None, error.reason)


def test_a_tilt_that_is_rounded_is_one_tilt(write: Write) -> None:
    scan = write(lambda index: {"GantryDetectorTilt": f"{0.02 * (index % 2)}"})
    assert len(open_ct_series(scan.folder)) == 5
