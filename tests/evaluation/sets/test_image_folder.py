from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.evaluation.sets.image_folder import read_image_folder


def saved(folder: Path, images: dict[str, NDArray], table: str | None = None) -> Path:
    (folder / "images").mkdir(parents=True)
    for name, values in images.items():
        Image.fromarray(values).save(folder / "images" / name)
    if table is not None:
        (folder / "labels.csv").write_text(table)
    return folder


def gray(value: int, side: int = 8, kind: type = np.uint8) -> NDArray:
    return np.full((side, side), value, kind)


def test_the_range_of_stored_values_becomes_that_of_networks(tmp_path: Path) -> None:
    found = read_image_folder(saved(tmp_path / "a", {"1.png": gray(0), "2.png": gray(255)}))
    assert found.images[:, 0, 0].tolist() == [-1, 1]
    assert found.bits == 8
    assert found.column("class") is None
    deep = read_image_folder(saved(tmp_path / "b", {"1.png": gray(65535, kind=np.uint16)}))
    assert (deep.bits, float(deep.images.max())) == (16, 1.0)


def test_a_table_says_which_images_and_what_they_show(tmp_path: Path) -> None:
    table = "file,patient,class,note\n2.png,p1,glioma,\nimages/1.png,p2,glioma,seen\n"
    folder = saved(tmp_path / "a", {f"{k}.png": gray(k) for k in (1, 2, 3)}, table)
    found = read_image_folder(folder)
    assert len(found) == 2
    assert found.images[0, 0, 0] == pytest.approx(2 / 127.5 - 1)
    patients = found.column("patient")
    assert patients is not None
    assert patients.tolist() == ["p1", "p2"]
    assert found.column("note") is None
    assert found.columns["note"] == ("", "seen")


def test_a_table_may_lie_elsewhere_and_a_folder_be_plain(tmp_path: Path) -> None:
    Image.fromarray(gray(1)).save(tmp_path / "x.jpg")
    (tmp_path / "mine.csv").write_text("\ufefffile,patient\nx.jpg,p\n", encoding="utf-8")
    assert read_image_folder(tmp_path, table=tmp_path / "mine.csv").columns["patient"] == ("p",)


def test_large_sets_are_thinned_out_evenly(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a", {f"{k:02}.png": gray(k) for k in range(21)})
    found = read_image_folder(folder, most=3)
    assert found.columns["file"] == ("00.png", "10.png", "20.png")


def test_gray_stored_as_color_is_gray(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a", {"1.png": np.repeat(gray(51)[..., None], 3, axis=2)})
    assert read_image_folder(folder).images[0, 0, 0] == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("images", "table", "reason"),
    [
        ({}, None, "input"),
        ({"1.png": gray(0), "2.png": gray(0, side=9)}, None, "mixed_sizes"),
        ({"1.png": gray(0), "2.png": gray(0, kind=np.uint16)}, None, "mixed_sizes"),
        ({"1.png": np.zeros((8, 8, 3), np.uint8) + np.array([0, 1, 2], np.uint8)}, None, "color"),
        ({"1.png": gray(0)}, "name\n1.png\n", "input"),
        ({"1.png": gray(0)}, "file,file\n1.png,1.png\n", "input"),
        ({"1.png": gray(0)}, "file\nabsent.png\n", "input"),
        ({"1.png": gray(0)}, "file\n../labels.csv\n", "input"),
        ({"1.png": gray(0)}, "file\n/etc/passwd.png\n", "input"),
        ({"1.png": gray(0)}, "file\n\\..\\1.png\n", "input"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, images: dict[str, NDArray], table: str | None, reason: str
) -> None:
    with pytest.raises(InputRefused) as refusal:
        read_image_folder(saved(tmp_path / "a", images, table))
    assert refusal.value.reason == reason


def test_damaged_and_disguised_images_are_refused(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(50))):
        folder = tmp_path / str(number)
        (folder / "images").mkdir(parents=True)
        (folder / "images" / "1.png").write_bytes(content)
        with pytest.raises(UnreadableInput, match="image 1"):
            read_image_folder(folder)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    Image.fromarray(gray(0)).save(tmp_path / "outside.png")
    folder = saved(tmp_path / "a", {}, "file\n1.png\n")
    (folder / "images" / "1.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(InputRefused, match="link"):
        read_image_folder(folder)


def test_no_message_names_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputRefused) as refusal:
        read_image_folder(saved(tmp_path / "a", {}, "file\nDOE_JANE.png\n"))
    assert "DOE" not in str(refusal.value)
    with pytest.raises(InputRefused, match="no such folder"):
        read_image_folder(tmp_path / "absent")


def test_a_set_of_dicom_files_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0001.dcm").write_bytes(b"DICM")
    with pytest.raises(InputRefused, match="--format png"):
        read_image_folder(tmp_path)
