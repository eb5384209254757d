from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from tests.datasets.image_sets.conftest import write_table

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.volume import Geometry, Volume
from isocenter.datasets.image_sets.image_set import check_patients_apart
from isocenter.datasets.image_sets.own_folder import Shares, read_own_folder
from isocenter.dicom.writing.phantom_scan import write_phantom_scan

Write = Callable[..., Path]


def rows(number: int = 12, **more: Any) -> list[dict[str, Any]]:
    return [{"file": f"{k}.png", "patient": f"Mr {k // 2}", **more} for k in range(number)]


def test_images_come_with_what_the_table_says(own_folder: Write) -> None:
    said = rows(20, text="A chest.", te_ms="12.5", box="0.5 0.4 0.2 0.1", **{"class": "normal"})
    said[3]["class"] = ""
    found = read_own_folder(own_folder(said))
    assert found.stored.shape == (20, 16, 24)
    first = found.labels[0]
    assert first.categories == {"class": "normal"}
    assert first.numbers == {"te_ms": 12.5}
    assert first.box == (0.5, 0.4, 0.2, 0.1)
    assert first.text == "A chest."
    assert found.labels[3].categories == {}
    assert (found.low, found.high) == (0, 255)


def test_patients_go_by_numbers_and_stay_in_one_part(own_folder: Write) -> None:
    found = read_own_folder(own_folder(rows(20)))
    assert "Mr" not in str([one.described() for one in found.labels])
    check_patients_apart(found.labels)
    assert all(patients >= 1 for _, patients in found.counts().values())
    assert found.counts()["train"][1] == 6


def test_a_box_may_stand_in_four_columns(own_folder: Write) -> None:
    box = dict(
        zip(("box_center_x", "box_center_y", "box_width", "box_height"), "1234", strict=True)
    )
    box = {name: f"0.{value}" for name, value in box.items()}
    box |= {"box_width": "0.2", "box_height": "0.2"}
    assert read_own_folder(own_folder(rows(20, **box))).labels[5].box == (0.1, 0.2, 0.2, 0.2)


def test_the_order_of_parts_follows_from_the_seed() -> None:
    names = [f"p{k}" for k in range(20)]
    assert Shares().parts(names) == Shares().parts(names[::-1])
    assert Shares(seed=1).parts(names) != Shares().parts(names)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("0.9 0.5 0.4 0.1", "reaches outside"),
        ("0.5 0.5 0 0.1", "is empty"),
        ("0.5 0.5 0.1", "3 of four numbers"),
        ("a b c d", "is no number"),
    ],
)
def test_an_impossible_box_is_refused(own_folder: Write, box: str, words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        read_own_folder(own_folder(rows(20, box=box)))


def test_too_few_patients_are_refused_with_a_way_on(own_folder: Write) -> None:
    folder = own_folder(rows(12))
    with pytest.raises(InputRefused, match=r"6 patients are too few: at least 10 .*transfer"):
        read_own_folder(folder)
    assert len(read_own_folder(folder, least_patients=4)) == 12


def test_no_patients_are_refused_and_why(own_folder: Write) -> None:
    folder = own_folder([{"file": f"{k}.png"} for k in range(12)])
    with pytest.raises(InputRefused, match="merely remembers looks good"):
        read_own_folder(folder)
    (folder / "SYNTHETIC.txt").write_text("made by a model")
    assert len({one.patient for one in read_own_folder(folder).labels}) == 12


def test_a_generated_set_is_read_back(own_folder: Write) -> None:
    said = [
        {
            "file": f"{k}.png",
            "class": "glioma",
            "plane": "axial",
            "box": "(0.5, 0.5, 0.1, 0.1)",
            "text": "",
            "seed": k,
            "synthetic": "yes",
        }
        for k in range(12)
    ]
    folder = own_folder(said)
    write_table(folder / "labels.csv", [{**row, "file": f"images/{row['file']}"} for row in said])
    found = read_own_folder(folder)
    assert found.labels[0].categories == {"class": "glioma", "plane": "axial"}
    assert found.labels[0].box == (0.5, 0.5, 0.1, 0.1)


def test_an_image_without_patient_is_refused(own_folder: Write) -> None:
    said = rows(20)
    said[4]["patient"] = " "
    with pytest.raises(InputRefused, match=r"row 5 of labels\.csv name no patient"):
        read_own_folder(own_folder(said))


def test_missing_and_damaged_images_are_refused(own_folder: Write) -> None:
    folder = own_folder(rows(20))
    (folder / "images" / "3.png").write_bytes(b"\x89PNG no")
    with pytest.raises(UnreadableInput, match="row 4 is missing, damaged or no PNG"):
        read_own_folder(folder)
    (folder / "images" / "3.png").unlink()
    with pytest.raises(UnreadableInput, match=r"row 4 of labels\.csv name files that are not"):
        read_own_folder(folder)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", ""])
def test_a_file_elsewhere_is_refused(own_folder: Write, name: str) -> None:
    folder = own_folder(rows(20))
    write_table(folder / "labels.csv", [{**row, "file": name} for row in rows(20)])
    with pytest.raises(InputRefused, match="names no file below images"):
        read_own_folder(folder)


def test_mixed_sizes_and_kinds_are_refused(own_folder: Write) -> None:
    folder = own_folder(rows(20))
    Image.new("L", (8, 8)).save(folder / "images" / "5.png")
    with pytest.raises(InputRefused, match="row 1 has 16 x 24 pixels and row 6 8 x 8"):
        read_own_folder(folder)
    write_ct(folder / "images" / "5.dcm")
    said = rows(20)
    said[5]["file"] = "5.dcm"
    write_table(folder / "labels.csv", said)
    with pytest.raises(InputRefused, match=r"two kinds, pictures \(row 1\) and CT \(row 6\)"):
        read_own_folder(folder)


def test_color_and_deep_pictures_are_refused(own_folder: Write) -> None:
    folder = own_folder(rows(20))
    Image.new("RGB", (24, 16), (200, 10, 10)).save(folder / "images" / "0.png")
    with pytest.raises(InputRefused, match="row 1 is in color"):
        read_own_folder(folder)
    Image.fromarray(np.zeros((16, 24), np.uint16)).save(folder / "images" / "0.png")
    with pytest.raises(InputRefused, match="more than 8 bits"):
        read_own_folder(folder)


def test_gray_saved_as_color_is_taken(own_folder: Write) -> None:
    found = read_own_folder(own_folder(rows(20), mode="RGB"))
    assert [int(image.max()) for image in found.stored] == list(range(20, 40))


def write_ct(path: Path, value: float = 40.0) -> None:
    folder = path.parent / f"scan of {path.stem}"
    folder.mkdir()
    volume = Volume(
        array=np.full((1, 16, 24), value, np.float32),
        unit="HU",
        geometry=Geometry(shape=(1, 16, 24), spacing_mm=(2.0, 1.0, 1.0)),
        acquisition=CtAcquisition(kernel="B30f", slice_thickness_mm=2.0),
    )
    write_phantom_scan(volume, folder)[0].rename(path)
    folder.rmdir()


def test_ct_in_dicom_keeps_its_hounsfield_units(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for k in range(10):
        write_ct(tmp_path / "images" / f"{k}.dcm", 10.0 * k)
    write_table(
        tmp_path / "labels.csv", [{"file": f"{k}.dcm", "patient": str(k)} for k in range(10)]
    )
    found = read_own_folder(tmp_path)
    assert (found.low, found.high) == (-1024, 1024)
    assert [int(image.min()) for image in found.stored] == list(range(0, 100, 10))
    assert found.values(0) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"QualityControlSubject": "NO"}, "row 1 says that a model made or altered it"),
        ({"RescaleType": None, "RescaleIntercept": None}, "row 1 is of CT and does not say how"),
    ],
)
def test_dicom_that_is_no_measurement_in_hounsfield_units_is_refused(
    tmp_path: Path, change: dict[str, str | None], words: str
) -> None:
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "0.dcm"
    write_ct(path, 10.0)
    dataset = dcmread(path)
    for keyword, value in change.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    write_table(tmp_path / "labels.csv", [{"file": "0.dcm", "patient": str(k)} for k in range(10)])
    with pytest.raises(InputRefused, match=words):
        read_own_folder(tmp_path)


def with_files(folder: Path, name: str, level: int, *, size: tuple[int, int] = (16, 24)) -> None:
    for k in range(20):
        image = np.full(size, level, np.uint8)
        image[:4] = 0
        Image.fromarray(image).save(folder / "images" / f"{name}{k}.png")


def named(mask: bool = True, **more: Any) -> list[dict[str, Any]]:
    said = rows(20, **more)
    for k, row in enumerate(said):
        row |= {"mask": f"mask{k}.png"} if mask else {"reference": f"other{k}.png"}
    return said


def test_masks_and_references_are_further_files(own_folder: Write) -> None:
    folder = own_folder(named())
    with_files(folder, "mask", 2)
    found = read_own_folder(folder)
    assert found.guides is not None
    assert found.guide_names == ("label 1", "label 2")
    assert found.guides[3, 5, 5] == 2
    assert found.category_values() == {}
    folder = own_folder(named(mask=False))
    with_files(folder, "other", 90)
    found = read_own_folder(folder)
    assert found.references is not None
    assert float(found.reference_values([0])[0, 5, 5]) == pytest.approx(2 * 90 / 255 - 1)
    assert found.part("train").references is not None


def test_masks_that_do_not_fit_are_refused(own_folder: Write) -> None:
    folder = own_folder(named())
    with pytest.raises(UnreadableInput, match="mask of row 1 is missing"):
        read_own_folder(folder)
    with_files(folder, "mask", 0)
    with pytest.raises(InputRefused, match="every mask is empty"):
        read_own_folder(folder)
    with_files(folder, "mask", 1, size=(8, 8))
    with pytest.raises(InputRefused, match="mask of row 1 has 8 x 8 pixels"):
        read_own_folder(folder)
    some = named()
    some[4]["mask"] = ""
    with pytest.raises(InputRefused, match=r"row 5 of .* name no mask"):
        read_own_folder(own_folder(some))
