"""What the reader refuses, each in words and before any pixel is decoded."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from isocenter.core.errors import SeriesChoiceNeeded, UnreadableInput, UnsuitableScan
from isocenter.dicom.reading import series as series_module
from isocenter.dicom.reading.open import find_series, open_ct_series, read_volume


@pytest.fixture(autouse=True)
def _no_pixel_is_decoded(monkeypatch: Any) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("a pixel was decoded before the refusal")

    monkeypatch.setattr(series_module, "decode_frame", decode)


def refusal(folder: Any, **options: Any) -> UnsuitableScan:
    """The refusal of a folder, checked to be fit for a log."""
    with pytest.raises(UnsuitableScan) as info:
        open_ct_series(folder, **options)
    message = str(info.value)
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", message), "no UIDs"
    assert "Phantom" not in message
    assert "SEED" not in message
    assert str(folder) not in message
    return info.value


def setting(**values: Any) -> Any:
    """An edit that sets elements of every image; None deletes."""

    def edit(dataset: Dataset, _: int) -> None:
        for keyword, value in values.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)

    return edit


def only_image(number: int, **values: Any) -> Any:
    """The same for one image."""

    def edit(dataset: Dataset, index: int) -> None:
        if index == number:
            setting(**values)(dataset, index)

    return edit


LUT = Sequence([Dataset()])
CASES = [
    ("not_ct", {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "MR Image"),
    ("not_ct", {"Modality": "US", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "Ultrasound"),
    ("not_ct", {"Modality": "PT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}, "Positron"),
    ("not_ct", {"Modality": "SEG", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "Segmentation"),
    ("not_ct", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture"),
    ("not_ct", {"SOPClassUID": "1.2.3.4.5"}, "unknown kind of object"),
    ("not_ct", {"Modality": "OT"}, "modality OT"),
    ("localizer", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "scout"),
    ("color", {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "RGB"),
    ("color", {"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
    ("rescale", {"RescaleSlope": None}, "Rescale Slope"),
    ("rescale", {"RescaleIntercept": None}, "Rescale Slope"),
    ("rescale", {"ModalityLUTSequence": LUT}, "lookup table"),
    ("rescale", {"RescaleSlope": "0"}, "slope above 0"),
    ("rescale", {"RescaleSlope": "-1"}, "slope above 0"),
    ("rescale", {"RescaleSlope": "1e30"}, "slope above 0"),
    ("rescale", {"RescaleIntercept": "-1e12"}, "intercept"),
    ("rescale_type", {"RescaleType": "US"}, "US"),
    ("rescale_type", {"RescaleType": "HU_MOD"}, "HU_MOD"),
    ("geometry", {"ImagePositionPatient": None}, "where it lies"),
    ("geometry", {"ImageOrientationPatient": None}, "where it lies"),
    ("geometry", {"PixelSpacing": None}, "where it lies"),
    ("geometry", {"PixelSpacing": ["0", "1"]}, "impossible"),
    ("geometry", {"PixelSpacing": ["-1", "1"]}, "impossible"),
    ("geometry", {"PixelSpacing": ["1e9", "1"]}, "impossible"),
    ("geometry", {"ImagePositionPatient": ["1e20", "0", "0"]}, "impossible"),
    ("orientation", {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "perpendicular"),
    ("orientation", {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "perpendicular"),
    ("orientation", {"ImageOrientationPatient": ["1e300", 0, 0, 0, "1e300", 0]}, "unit vectors"),
    ("already_enhanced", {"SyntheticData": "YES"}, "original series"),
    ("identity", {"SOPInstanceUID": ""}, "SOP Instance UID"),
    ("bit_depth", {"BitsAllocated": 12}, "12 bits"),
    ("bit_depth", {"BitsStored": 17}, "17 stored"),
    ("bit_depth", {"HighBit": 3}, "bit 3"),
]


@pytest.mark.parametrize(("reason", "values", "words"), CASES, ids=lambda v: str(v)[:50])
def test_refuses_in_words(
    write_classic_ct: Any, rewrite: Any, reason: Any, values: Any, words: Any
) -> None:
    scan = write_classic_ct(shape=(1, 8, 8))
    rewrite(scan.files[0], **values)
    error = refusal(scan.folder)
    assert error.reason == reason
    assert words in str(error)
    summary = find_series(scan.folder)[0]
    assert not summary.fits
    assert summary.reason == reason
    assert summary.why_not == str(error)


@pytest.mark.parametrize(
    ("reason", "values", "words"),
    [
        ("mixed_kernels", {"ConvolutionKernel": "BONE"}, "BONE, STANDARD"),
        ("mixed_spacings", {"PixelSpacing": ["0.9", "0.7"]}, "0.9 mm"),
        ("mixed_orientations", {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "orientations"),
        ("mixed_sizes", {"Rows": 20, "Columns": 72}, "20 x 72, 40 x 36"),
        ("mixed_localizers", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "1 of the 5"),
        ("rescale", {"RescaleSlope": "0"}, "slope"),
        ("duplicate_positions", {"ImagePositionPatient": [-80, -90, -700]}, "1 of 5 images"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_refuses_mixtures(write_classic_ct: Any, reason: Any, values: Any, words: Any) -> None:
    scan = write_classic_ct(edit=only_image(2, **values))
    error = refusal(scan.folder)
    assert error.reason == reason
    assert words in str(error)


def test_refuses_mixed_kinds_and_copies_that_differ(
    write_classic_ct: Any, write_enhanced_ct: Any, tmp_path: Any
) -> None:
    both = tmp_path / "both"
    write_classic_ct(folder=both)
    write_enhanced_ct(folder=both)
    assert refusal(both).reason == "mixed_kinds"
    twice = write_classic_ct(folder=tmp_path / "twice", shape=(2, 8, 8))
    data = twice.files[0].read_bytes()
    (twice.folder / "z.dcm").write_bytes(data[:-2] + b"\x11\x22")
    assert refusal(twice.folder).reason == "identity"


def test_refuses_several_phases(write_classic_ct: Any, write_enhanced_ct: Any) -> None:
    positions = np.zeros((6, 3))
    positions[:, 2] = [0, 2, 4, 0, 2, 4]
    for write in (write_classic_ct, write_enhanced_ct):
        error = refusal(write(shape=(6, 8, 8), positions_mm=positions).folder)
        assert error.reason == "duplicate_positions"
        assert "3 of 6" in str(error)


def test_refuses_a_tilted_gantry_unless_a_single_slice(write_classic_ct: Any) -> None:
    tilt = np.radians(15)
    orientation = (1, 0, 0, 0, np.cos(tilt), -np.sin(tilt))
    positions = np.zeros((5, 3))
    positions[:, 2] = np.arange(5) * 5.0
    scan = write_classic_ct(orientation=orientation, positions_mm=positions)
    error = refusal(scan.folder)
    assert error.reason == "gantry_tilt"
    assert "15.0 degrees" in str(error)
    assert len(open_ct_series(scan.files[0])) == 1


def test_refuses_missing_slices_and_offers_the_largest_even_run(write_classic_ct: Any) -> None:
    positions = np.zeros((20, 3))
    positions[:, 2] = np.arange(20) * 2.5
    positions[6:, 2] += 2.5  # one slice missing after the sixth
    scan = write_classic_ct(shape=(20, 8, 8), positions_mm=positions)
    error = refusal(scan.folder)
    assert error.reason == "uneven_slices"
    assert "slices 7-20 of 20" in str(error)
    assert "--largest-run" in str(error)
    series = open_ct_series(scan.folder, run="largest")
    assert len(series) == 14
    assert series.geometry.origin_mm == pytest.approx(tuple(positions[6]))
    assert series.notes == ("6 slices outside the largest even run of 14 were left out.",)


def test_uneven_steps_end_a_run(write_enhanced_ct: Any) -> None:
    positions = np.zeros((12, 3))
    positions[:, 2] = np.r_[np.arange(4) * 5.0, 15 + np.arange(1, 9)]
    scan = write_enhanced_ct(shape=(12, 8, 8), positions_mm=positions)
    assert "slices 4-12 of 12" in str(refusal(scan.folder))
    series = open_ct_series(scan.folder, run="largest")
    assert series.geometry.spacing_mm[0] == pytest.approx(1.0)
    assert series.frame_number(0) == 3


def test_slow_drift_of_steps_is_uneven(write_classic_ct: Any) -> None:
    positions = np.zeros((30, 3))
    positions[:, 2] = np.cumsum(np.linspace(1.0, 1.5, 30))
    scan = write_classic_ct(shape=(30, 8, 8), positions_mm=positions)
    assert refusal(scan.folder).reason == "uneven_slices"


def test_refuses_what_our_model_made_but_evaluation_reads_it(
    write_classic_ct: Any, monkeypatch: Any
) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = "DLNR", "99ISOCENTER"
        code.CodeMeaning = "Deep learning noise reduction"
        dataset.DerivationCodeSequence = Sequence([code])

    scan = write_classic_ct(edit=edit)
    assert refusal(scan.folder).reason == "already_enhanced"
    monkeypatch.undo()
    assert read_volume(scan.folder).array.shape == scan.stored.shape


def test_a_software_phantom_may_be_worked_on(write_classic_ct: Any) -> None:
    edit = setting(SyntheticData="YES", QualityControlSubject="YES")
    assert len(open_ct_series(write_classic_ct(edit=edit).folder)) == 5


@pytest.mark.parametrize(
    "values",
    [
        {"Rows": 0},
        {"Rows": 65535, "Columns": 65535},
        {"Columns": 9000},
        {"NumberOfFrames": "7"},
        {"ImagePositionPatient": ["1", "2"]},
    ],
    ids=str,
)
def test_impossible_numbers_are_unreadable(
    write_classic_ct: Any,
    write_enhanced_ct: Any,
    values: Any,
    rewrite: Any,
) -> None:
    write = write_enhanced_ct if "NumberOfFrames" in values else write_classic_ct
    scan = write(shape=(2, 8, 8))
    for path in scan.files:
        rewrite(path, **values)
    with pytest.raises(UnreadableInput):
        open_ct_series(scan.folder)


def test_enhanced_ct_without_rescale_or_with_a_localizer_is_refused(
    write_enhanced_ct: Any, tmp_path: Any
) -> None:
    def no_rescale(dataset: Dataset, _: int) -> None:
        del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence

    def localizer(dataset: Dataset, _: int) -> None:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        shared.CTImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]

    assert refusal(write_enhanced_ct(folder=tmp_path / "a", edit=no_rescale).folder).reason == (
        "rescale"
    )
    assert refusal(write_enhanced_ct(folder=tmp_path / "b", edit=localizer).folder).reason == (
        "localizer"
    )


def test_unknown_transfer_syntax_is_refused(write_classic_ct: Any) -> None:
    scan = write_classic_ct(shape=(1, 8, 8))
    data = scan.files[0].read_bytes()
    scan.files[0].write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.77"))
    assert refusal(scan.folder).reason == "transfer_syntax"


def test_truncated_files_are_refused_before_any_work(
    write_classic_ct: Any, write_enhanced_ct: Any
) -> None:
    scan = write_classic_ct(seed=1)
    data = scan.files[2].read_bytes()
    scan.files[2].write_bytes(data[:-100])
    assert "1 file is damaged or empty beside the 4 readable" in str(refusal(scan.folder))
    with pytest.raises(UnreadableInput, match="the file is truncated: its pixels are missing"):
        open_ct_series(scan.files[2])
    scan = write_enhanced_ct(transfer_syntax="1.2.840.10008.1.2.5")
    data = scan.files[0].read_bytes()
    scan.files[0].write_bytes(data[:-1000])
    with pytest.raises(UnreadableInput, match="truncated"):
        open_ct_series(scan.folder)


def test_nothing_to_read(tmp_path: Any) -> None:
    with pytest.raises(UnreadableInput, match="does not exist"):
        open_ct_series(tmp_path / "absent")
    with pytest.raises(UnreadableInput, match="no DICOM file"):
        open_ct_series(tmp_path)
    (tmp_path / "text").write_text("x" * 1000)
    with pytest.raises(UnreadableInput, match="not DICOM"):
        open_ct_series(tmp_path / "text")


def cut_short(file: Any) -> None:
    file.write_bytes(file.read_bytes()[:700])


def filled_with_noise(file: Any) -> None:
    file.write_bytes(b"\0" * 128 + b"DICM" + generate_uid().encode() * 3)


def emptied(file: Any) -> None:
    file.write_bytes(b"")


DAMAGES = [cut_short, filled_with_noise, emptied]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_at_the_end_is_not_dropped_in_silence(
    write_classic_ct: Any, damage: Any
) -> None:
    scan = write_classic_ct(shuffle=False)
    damage(scan.files[-1])
    error = refusal(scan.folder)
    assert error.reason == "damaged_files"
    assert "1 file is damaged or empty beside the 4 readable ones" in str(error)
    summary = find_series(scan.folder)[0]
    assert (summary.fits, summary.num_damaged) == (False, 1)
    rest = open_ct_series(scan.folder, run="largest")
    assert len(rest) == 4
    assert rest.notes == ("1 file is damaged or empty beside the series; slices may be missing.",)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_in_the_middle_is_named_as_the_cause_of_the_gap(
    write_classic_ct: Any, damage: Any
) -> None:
    scan = write_classic_ct(shuffle=False)
    for file in scan.files[1:3]:
        damage(file)
    error = refusal(scan.folder)
    assert error.reason == "uneven_slices"
    assert "2 files are damaged or empty" in str(error)
    assert "--largest-run" in str(error)


def test_a_damaged_file_among_several_series_refuses_each(
    write_classic_ct: Any, tmp_path: Any
) -> None:
    folder = tmp_path / "flat"
    for seed in (1, 2):
        scan = write_classic_ct(folder=tmp_path / str(seed), seed=seed)
        folder.mkdir(exist_ok=True)
        for file in scan.files:
            file.rename(folder / f"{seed}-{file.name}")
    (folder / "more.DCM").write_bytes(b"not an image")
    assert [(one.fits, one.num_damaged) for one in find_series(folder)] == [(False, 1)] * 2
    opened = open_ct_series(folder, series="2", run="largest")
    assert "1 file is damaged" in opened.notes[0]


def test_what_was_never_an_image_is_no_damage(write_classic_ct: Any, tmp_path: Any) -> None:
    scan = write_classic_ct()
    for name, content in (
        ("README", b"about this disc"),
        ("notes.txt", b""),
        ("._IM0001.dcm", b"resource fork"),
        (".DS_Store", b""),
        ("dicomdir", b"\0" * 128 + b"DICM"),
    ):
        (scan.folder / name).write_bytes(content)
    assert open_ct_series(scan.folder).notes == ()


def test_many_series_are_listed_in_short_those_that_fit_first(
    write_classic_ct: Any, tmp_path: Any
) -> None:
    def scout(dataset: Dataset, _: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    for seed in range(24):
        write_classic_ct(
            folder=tmp_path / "tree" / str(seed),
            seed=seed,
            shape=(1, 8, 8),
            edit=scout if seed < 22 else None,
        )
    with pytest.raises(SeriesChoiceNeeded) as info:
        open_ct_series(tmp_path / "tree", series="77")
    lines = str(info.value).splitlines()
    assert "no series has number 77" in lines[0]
    assert not any("localizer" in line for line in lines[1:3])
    assert lines[-1].strip() == "and 4 more; `isocenter series` lists all"
    assert len(lines) == 22


def test_a_wrong_run_is_a_mistake_of_the_caller(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match='"all" or "largest"'):
        open_ct_series(tmp_path, run=cast(Any, "longest"))
