from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.volume import Geometry, Volume
from isocenter.datasets.label_maps import made_up_maps, read_label_map, tissues_of_labels
from isocenter.image.volume_files import write_volume_file
from isocenter.physics.phantom.head_tissues import number_of


def write(path: Path, array: np.ndarray, **geometry: object) -> Path:
    shape = (array.shape[0], array.shape[1], array.shape[2])
    stated = {"spacing_mm": (1.0, 1.0, 1.0), **geometry}
    place = Geometry(shape=shape, **stated)  # type: ignore[arg-type]
    return write_volume_file(Volume(array=array, geometry=place, unit=""), path)


def test_labels_become_tissues() -> None:
    labels = np.array([0, 2, 41, 3, 24, 4, 515])
    names = ("air", "white matter", "white matter", "cortex", "csf", "ventricle", "cortical bone")
    assert list(tissues_of_labels(labels)) == [number_of(name) for name in names]
    with pytest.raises(UnreadableInput, match=r"1 labels .* such as 999"):
        tissues_of_labels(np.array([0, 999]))


def test_a_map_is_turned_to_our_axes(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 6), np.int16)
    array[0, 1, 2] = 2
    turned = write(
        tmp_path / "a.nii.gz",
        array,
        slice_direction=(0.0, 0.0, -1.0),
        column_direction=(-1.0, 0.0, 0.0),
        row_direction=(0.0, -1.0, 0.0),
    )
    tissues = read_label_map(turned)
    assert np.argwhere(tissues == number_of("white matter")).tolist() == [[3, 3, 3]]


def test_a_map_of_larger_voxels_is_resampled(tmp_path: Path) -> None:
    array = np.full((4, 4, 4), 3, np.int16)
    coarse = write(tmp_path / "a.nii.gz", array, spacing_mm=(2.0, 1.0, 1.5))
    tissues = read_label_map(coarse)
    assert tissues.shape == (8, 4, 6)
    assert (tissues == number_of("cortex")).all()
    far = write(tmp_path / "b.nii.gz", array, spacing_mm=(9.0, 1.0, 1.0))
    with pytest.raises(UnreadableInput, match=r"from 0\.3 to 3 mm"):
        read_label_map(far)


def test_places_of_a_list_beside_are_understood(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", np.array([[[0, 1], [2, 1]]], np.int16))
    (tmp_path / "lut.json").write_text(json.dumps({"index_to_label": [0, 41, 43]}))
    tissues = read_label_map(path)
    assert tissues.tolist() == [
        [[0, number_of("white matter")], [number_of("ventricle"), number_of("white matter")]]
    ]


def test_an_image_is_no_label_map(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", np.full((2, 2, 2), 0.5, np.float32))
    with pytest.raises(InputRefused, match="no label map"):
        read_label_map(path)
    path = write(tmp_path / "b.nii.gz", np.full((2, 2, 2), -3, np.int16))
    with pytest.raises(InputRefused, match="from 0"):
        read_label_map(path)


def test_heads_that_are_made_up_belong_to_parts_too() -> None:
    maps = made_up_maps(20)
    assert {one.part for one in maps} == {"train", "validation", "calibration", "test"}
    assert len({one.digest() for one in maps}) == 20
