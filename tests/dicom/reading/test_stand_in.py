"""Beside a scan that is refused nothing is chosen in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from isocenter.core.errors import SeriesChoiceNeeded, UnsuitableScan
from isocenter.dicom.reading.open import find_series, open_ct_series

Write = Callable[..., Any]
Edit = Callable[[Dataset, int], None]
STRAY = "1.2.3.4.5.6.7"


def setting(**values: Any) -> Edit:
    def edit(dataset: Dataset, _: int) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return edit


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("place", range(1, 5))
def test_stray_slices_do_not_stand_in_for_the_scan(
    write_classic_ct: Write, place: int, count: int
) -> None:
    def edit(dataset: Dataset, index: int) -> None:
        if place <= index < place + count:
            dataset.SeriesInstanceUID = STRAY

    scan = write_classic_ct(shape=(7, 8, 8), edit=edit)
    with pytest.raises(SeriesChoiceNeeded) as info:
        open_ct_series(scan.folder)
    message = str(info.value)
    assert "another scan beside it cannot be used" in message
    assert "name one by the number" in message
    assert "uneven" in message
    assert STRAY not in message
    assert len(open_ct_series(scan.folder, series=STRAY)) == count
    with pytest.raises(UnsuitableScan, match="uneven"):
        open_ct_series(scan.folder, series=scan_key(scan.folder))


def scan_key(folder: Path) -> str:
    return next(one.key for one in find_series(folder) if one.key != STRAY)


@pytest.mark.parametrize("place", [0, 6])
def test_a_stray_slice_at_an_end_leaves_two_that_fit(write_classic_ct: Write, place: int) -> None:
    def edit(dataset: Dataset, index: int) -> None:
        if index == place:
            dataset.SeriesInstanceUID = STRAY

    scan = write_classic_ct(shape=(7, 8, 8), edit=edit)
    with pytest.raises(SeriesChoiceNeeded, match="2 series fit"):
        open_ct_series(scan.folder)


UNEVEN = np.array([[0.0, 0.0, z] for z in (0, 2, 4, 9, 11)])
MEANT: dict[str, dict[str, Any]] = {
    "uneven": {"positions_mm": UNEVEN},
    "tilted": {"positions_mm": np.array([[0, 2.0 * k, 2.0 * k] for k in range(5)])},
    "one place": {"positions_mm": np.zeros((5, 3))},
    "no scale": {"edit": setting(RescaleSlope=None)},
    "other units": {"edit": setting(RescaleType="US")},
    "nowhere": {"edit": setting(ImagePositionPatient=None)},
    "no study": {"edit": setting(StudyInstanceUID="")},
    "impossible thickness": {"edit": setting(SliceThickness="-5")},
    "huge pixels": {"edit": setting(PixelSpacing=["900", "900"])},
    "two patients": {"edit": lambda dataset, index: setting(PatientID=f"P{index % 2}")(dataset, 0)},
    "some scouts": {
        "edit": lambda dataset, index: setting(
            ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER" if index else "AXIAL"]
        )(dataset, 0)
    },
}


@pytest.mark.parametrize("kind", MEANT)
def test_whatever_a_scan_is_refused_for_another_is_not_taken(
    write_classic_ct: Write, tmp_path: Path, kind: str
) -> None:
    tree = tmp_path / "tree"
    options = {"shape": (5, 8, 8)} | MEANT[kind]
    write_classic_ct(folder=tree / "refused", seed=1, **options)
    good = write_classic_ct(folder=tree / "good", seed=2, shape=(5, 8, 8))
    with pytest.raises(SeriesChoiceNeeded, match="1 series fits, but another scan") as info:
        open_ct_series(tree)
    listed = [line.strip() for line in str(info.value).splitlines()[1:]]
    assert len(listed) == 2
    number = next(one.number for one in find_series(tree) if one.fits)
    assert len(open_ct_series(tree, series=str(number))) == 5
    assert len(open_ct_series(good.folder)) == 5


def test_a_scan_with_damaged_files_is_not_replaced_by_another(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    scan = write_classic_ct(folder=tree / "damaged", seed=1, shape=(5, 8, 8), shuffle=False)
    write_classic_ct(folder=tree / "good", seed=2, shape=(5, 8, 8))
    scan.files[-1].write_bytes(b"")
    with pytest.raises(SeriesChoiceNeeded, match="1 series fits, but another scan"):
        open_ct_series(tree)


CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
NOT_MEANT: dict[str, Edit] = {
    "scout": setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "result of a model": setting(SyntheticData="YES"),
    "screen capture": setting(SOPClassUID=CAPTURE, ImageType=["DERIVED", "SECONDARY"]),
    "dose report": setting(SOPClassUID=DOSE_REPORT, Modality="SR"),
    "MR": setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR"),
    "colored copy": setting(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    "protocol page": setting(
        ImageType=["DERIVED", "SECONDARY", "OTHER", "PROT"],
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
    ),
}


@pytest.mark.parametrize("kind", NOT_MEANT)
def test_what_is_no_scan_needs_no_choice(
    write_classic_ct: Write, tmp_path: Path, kind: str
) -> None:
    tree = tmp_path / "tree"

    def edit(dataset: Dataset, index: int) -> None:
        NOT_MEANT[kind](dataset, index)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID

    write_classic_ct(folder=tree / "other", seed=1, shape=(2, 8, 8), edit=edit)
    good = write_classic_ct(folder=tree / "good", seed=2, shape=(5, 8, 8))
    series = open_ct_series(tree)
    assert len(series) == len(good.files)
    assert series.files_seen is not None
    assert (series.files_seen.used, series.files_seen.other) == (5, 2)


def test_two_refused_beside_one_are_counted(write_classic_ct: Write, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for seed in (1, 2):
        write_classic_ct(folder=tree / str(seed), seed=seed, shape=(5, 8, 8), positions_mm=UNEVEN)
    write_classic_ct(folder=tree / "good", seed=3, shape=(5, 8, 8))
    with pytest.raises(SeriesChoiceNeeded, match="2 other scans beside it cannot be used"):
        open_ct_series(tree)


def test_the_largest_run_of_the_scan_is_no_stand_in(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    write_classic_ct(folder=tree / "a", seed=1, shape=(5, 8, 8), positions_mm=UNEVEN)
    write_classic_ct(folder=tree / "b", seed=2, shape=(5, 8, 8))
    with pytest.raises(SeriesChoiceNeeded, match="2 series fit"):
        open_ct_series(tree, run="largest")
    assert generate_uid(entropy_srcs=["series", "1"]) in {one.key for one in find_series(tree)}
