"""Label maps out of files, and flat images in the usual view whatever way a file stores them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.errors import InputRefused
from isocenter.core.volume import Geometry, Volume
from isocenter.image.volume_files import write_volume_file
from isocenter.tasks.generate.flat_volume import VIEWS, flat, read_flat_volume, view_geometry
from isocenter.tasks.generate.masks import read_mask

LABELS = np.array([[0, 1, 2, 0], [2, 2, 0, 1], [1, 0, 0, 0]])


def nifti(path: Path, array: NDArray, geometry: Geometry) -> Path:
    return write_volume_file(Volume(array=array, geometry=geometry, unit=""), path)


def written(folder: Path, kind: str) -> Path:
    small = LABELS.astype(np.uint8)
    if kind == "png":
        Image.fromarray(small).save(folder / "mask.png")
    elif kind == "palette.png":
        picture = Image.fromarray(small).convert("P")
        picture.putdata(small.ravel().tolist())
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
        picture.save(folder / "mask.palette.png")
    elif kind == "npy":
        np.save(folder / "mask.npy", LABELS.astype(float))
    else:
        nifti(
            folder / f"mask.{kind}",
            LABELS[None].astype(float),
            view_geometry("axial", (3, 4), (1, 1)),
        )
    return folder / f"mask.{kind}"


@pytest.mark.parametrize("kind", ["png", "palette.png", "npy", "nii", "nii.gz"])
def test_labels_come_out_of_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(written(tmp_path, kind)), LABELS)


def test_arrays_are_labels_too() -> None:
    np.testing.assert_array_equal(read_mask(LABELS), LABELS)
    np.testing.assert_array_equal(read_mask(LABELS > 0), LABELS > 0)
    np.testing.assert_array_equal(read_mask(LABELS.astype(np.float32)), LABELS)


def test_what_holds_no_labels_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "half.npy", LABELS + 0.5)
    np.save(tmp_path / "large.npy", LABELS * 1e9)
    np.save(tmp_path / "deep.npy", np.zeros((2, 3, 4), int))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    whole = (tmp_path / "half.npy").read_bytes()
    (tmp_path / "header.npy").write_bytes(whole.replace(b"'shape': (3", b"'shape': [3"))
    (tmp_path / "mask.tif").write_text("")
    color = np.zeros((3, 4, 3), np.uint8)
    Image.fromarray(color).save(tmp_path / "color.png")
    for name, words in (
        ("half.npy", "whole numbers"),
        ("large.npy", "whole numbers from 0 to 255"),
        ("deep.npy", "flat image"),
        ("objects.npy", "no array of NumPy"),
        ("text.npy", "no array of NumPy"),
        ("header.npy", "no array of NumPy"),
        ("mask.tif", ".png, .npy, .nii or .nii.gz"),
        ("color.png", "in color"),
        ("nowhere.png", "does not exist"),
    ):
        with pytest.raises(InputRefused, match=words):
            read_mask(tmp_path / name)


@pytest.mark.parametrize("plane", VIEWS)
def test_a_flat_image_is_turned_to_the_usual_view_from_any_way_it_is_stored(
    plane: str, tmp_path: Path
) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    geometry = view_geometry(plane, (3, 4), (2.0, 1.5))
    straight = read_flat_volume(nifti(tmp_path / "a.nii", values[None], geometry), unit="")
    assert straight.plane == plane
    np.testing.assert_array_equal(straight.values, values)
    assert straight.geometry == geometry
    turned = flat(Volume(array=values[None, ::-1, ::-1], geometry=_mirrored(geometry), unit=""))
    np.testing.assert_array_equal(turned.values, values)
    assert turned.geometry == geometry


def _mirrored(geometry: Geometry) -> Geometry:
    """The same place, with rows and columns counted from the other end."""
    _, rows, columns = geometry.shape
    origin: Any = geometry.position_mm(0, rows - 1, columns - 1)
    return Geometry(
        shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        origin_mm=tuple(float(part) for part in origin),  # type: ignore[arg-type]
        slice_direction=geometry.slice_direction,
        row_direction=_opposite(geometry.row_direction),
        column_direction=_opposite(geometry.column_direction),
    )


def _opposite(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = (-part + 0.0 for part in direction)
    return x, y, z
