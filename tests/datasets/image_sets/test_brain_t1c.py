from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.datasets.image_sets.conftest import pack, picture, write_table

from isocenter.core.errors import UnreadableInput
from isocenter.datasets.image_sets.brain_t1c import (
    STRETCHES,
    place_of,
    plane_of,
    read_brain_t1c,
)
from isocenter.datasets.image_sets.image_set import DROPPED, check_patients_apart


def pack_as(data: Path, name: str) -> None:
    pack(data / "mri" / "t1c_tumors_256.zip", {name: picture(0)})


def test_slices_come_with_class_plane_box_and_part(brain_data: Path) -> None:
    found = read_brain_t1c(brain_data)
    assert found.stored.shape == (4, 256, 256)
    first, second, third, astray = found.labels
    assert first.categories == {"class": "meningioma", "plane": "axial"}
    assert first.box == (0.5, 0.4, 0.2, 0.1)
    assert first.numbers == {"tumor_box_share": 0.02}
    assert (first.part, second.part, third.part, astray.part) == ("test", "train", "train", DROPPED)
    assert third.categories == {"class": "pituitary tumor", "plane": "sagittal"}
    assert [int(image.max()) for image in found.stored] == [20, 21, 22, 23]


def test_between_two_parts_patients_are_dropped() -> None:
    for stretch in STRETCHES:
        parts = [part for part, _ in stretch.parts]
        for one, other in pairwise(parts):
            assert (one == DROPPED) != (other == DROPPED)
        for first, last in stretch.runs:
            placed = [stretch.part_at(stretch.share(number) or 0) for number in (first, last)]
            assert placed == [parts[0], parts[-1]]


def test_a_file_astray_goes_where_its_patient_is() -> None:
    assert place_of(209) == place_of(715) == ("test", "glioma 1, block 1")
    assert place_of(920)[0] == place_of(922)[0] == "test"
    assert place_of(3063)[0] == DROPPED


def test_a_part_takes_the_same_share_of_each_plane() -> None:
    for stretch in STRETCHES:
        for part in {part for part, _ in stretch.parts}:
            shares = [
                sum(place_of(number)[0] == part for number in range(first, last + 1))
                / (last - first + 1)
                for first, last in stretch.runs
            ]
            assert max(shares) - min(shares) < 0.04


def test_each_file_number_has_one_plane_within_its_stretch() -> None:
    assert plane_of(1) == "axial"
    assert plane_of(59) == "coronal"
    assert plane_of(2541) == "sagittal"
    assert plane_of(9999) == ""


def test_another_table_is_refused(brain_data: Path) -> None:
    table = brain_data / "mri" / "t1c_tumors_256.csv"
    write_table(table, [{"file": "0001.jpg", "label": "meningioma"}])
    with pytest.raises(UnreadableInput, match="lacks box_center_x"):
        read_brain_t1c(brain_data)
    table.unlink()
    with pytest.raises(UnreadableInput, match="cannot be read"):
        read_brain_t1c(brain_data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": "cyst"}, "none of meningioma, glioma"),
        ({"box_width": "wide"}, "no four numbers"),
        ({"file": "scan.jpg"}, "not named by its number"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(
    brain_data: Path, change: dict[str, str], words: str
) -> None:
    row = {"file": "0001.jpg", "label": "glioma"} | dict.fromkeys(
        ("box_center_x", "box_center_y", "box_width", "box_height"), "0.5"
    )
    write_table(brain_data / "mri" / "t1c_tumors_256.csv", [row | change])
    pack_as(brain_data, str((row | change)["file"]))
    with pytest.raises(UnreadableInput, match=words):
        read_brain_t1c(brain_data)


def test_a_missing_image_is_refused(brain_data: Path) -> None:
    pack_as(brain_data, "0001.jpg")
    with pytest.raises(UnreadableInput, match="lacks one of the 4 images"):
        read_brain_t1c(brain_data)


@pytest.mark.real_data
def test_the_real_set_has_every_class_and_plane_in_the_parts_that_matter(data_folder: Path) -> None:
    found = read_brain_t1c(data_folder)
    assert len(found) == 2687
    check_patients_apart(found.labels)
    for part in ("train", "test"):
        kinds = {tuple(one.categories.values()) for one in found.part(part).labels}
        assert len(kinds) == 9
    counts = {part: number for part, (number, _) in found.counts().items()}
    assert counts == {"train": 1827, "validation": 99, "calibration": 97, "test": 408}
