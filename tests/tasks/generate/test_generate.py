"""New images in a folder that appears at once: pixels, files, copies, refusals."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.errors import InputRefused, ModelRefused, OutputRefused, SettingRefused
from isocenter.image.volume_files import read_volume_file, stated
from isocenter.modelpack.generator.wish import Wish
from isocenter.tasks.generate.generate import generate
from isocenter.tasks.generate.generator import load_generator
from isocenter.tasks.generate.png_files import read_png, stated_in_png
from isocenter.tasks.generate.requests import seed_of_image

PROGRAM = Path(__file__).parents[1] / "generator_double.py"
BOX = (0.6, 0.4, 0.25, 0.2)
EVERYTHING: dict[str, Any] = {
    "class_": "glioma",
    "plane": "coronal",
    "conditions": {"age": "60"},
    "box": BOX,
    "text": "a large mass",
    "mask": np.ones((32, 24), int),
}


def pixels(path: Path) -> NDArray:
    if path.suffix == ".dcm":
        return np.asarray(pydicom.dcmread(path).pixel_array)
    if path.suffix == ".png":
        return read_png(path).levels
    return read_volume_file(path).array[0]


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def expected(double: Any, number: int, **asked: Any) -> NDArray:
    """What the model alone draws for the image of a run with seed 0."""
    model = double.GeneratorDouble(**asked)
    (image,) = model.generate([Wish()], [seed_of_image(0, number)])
    return np.rint(image.values)


@pytest.mark.parametrize("format", ["dicom", "png", "nifti"])
def test_the_files_hold_what_the_model_drew(double: Any, tmp_path: Path, format: str) -> None:
    result = generate(double.GeneratorDouble(), tmp_path / "out", number=2, format=format)
    assert [path.name.partition(".")[0] for path in result.images] == ["0001", "0002"]
    for number, path in enumerate(result.images, 1):
        np.testing.assert_array_equal(pixels(path), expected(double, number))
    assert not result.already_there
    assert result.copies_replaced == 0
    assert (result.labels is None) == (format == "dicom")
    assert "of no patient" in (tmp_path / "out" / "SYNTHETIC.txt").read_text()


def test_the_same_request_gives_the_same_uids_and_pixels_and_another_does_not(
    double: Any, tmp_path: Path
) -> None:
    def made(name: str, **options: Any) -> list[Any]:
        result = generate(double.GeneratorDouble(), tmp_path / name, number=2, **options)
        return [pydicom.dcmread(path) for path in result.images]

    first, again, other = made("a"), made("b"), made("c", seed=1)
    for one, two in zip(first, again, strict=True):
        assert one.SOPInstanceUID == two.SOPInstanceUID
        assert one.SeriesInstanceUID == two.SeriesInstanceUID
        np.testing.assert_array_equal(one.pixel_array, two.pixel_array)
    assert first[0].StudyInstanceUID == first[1].StudyInstanceUID
    assert first[0].SOPInstanceUID != other[0].SOPInstanceUID
    assert not np.array_equal(first[0].pixel_array, other[0].pixel_array)
    assert not np.array_equal(first[0].pixel_array, first[1].pixel_array)


def test_a_request_finds_its_result_and_refuses_that_of_another(
    double: Any, tmp_path: Path
) -> None:
    model = double.GeneratorDouble()
    first = generate(model, tmp_path / "out", number=2, **EVERYTHING)
    again = generate(model, tmp_path / "out", number=2, **EVERYTHING)
    assert again.already_there
    assert again.images == first.images
    assert len(model.asked) == 2
    with pytest.raises(OutputRefused, match="another scan, model or setting"):
        generate(model, tmp_path / "out", number=2, seed=1, **EVERYTHING)
    first.images[0].unlink()
    with pytest.raises(OutputRefused, match="changed or removed"):
        generate(model, tmp_path / "out", number=2, **EVERYTHING)


def test_killed_at_any_moment_a_run_leaves_nothing_of_its_name(tmp_path: Path) -> None:
    output = tmp_path / "out"
    program = [sys.executable, str(PROGRAM), str(output)]
    subprocess.run([*program, "0", "2", "3", "rename"], check=True)
    assert not output.exists()
    subprocess.run(program, check=True)
    assert len(list((output / "images").iterdir())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_progress_counts_images(double: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    model = double.GeneratorDouble(copies=lambda draw: draw == 0)
    generate(model, tmp_path / "out", number=3, progress=lambda *one: told.append(one))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_copy_is_never_written_and_counted(double: Any, tmp_path: Path) -> None:
    model = double.GeneratorDouble(copies=lambda draw: draw in (1, 3))
    result = generate(model, tmp_path / "out", number=3, format="png")
    clean = generate(double.GeneratorDouble(), tmp_path / "clean", number=3, format="png")
    assert result.copies_replaced == 2
    assert len(set(model.asked)) == 5
    assert "2 draws were copies" in result.notes[0]
    same = [
        np.array_equal(pixels(one), pixels(two))
        for one, two in zip(result.images, clean.images, strict=True)
    ]
    assert same == [True, False, True]
    told = json.loads((tmp_path / "out" / "record.json").read_text())["images"]
    assert [each["copies_replaced"] for each in told] == [0, 2, 0]
    assert told[1]["seed"] == model.asked[-1]


def test_what_is_to_be_known_of_an_image_is_passed_on(double: Any, tmp_path: Path) -> None:
    model = double.GeneratorDouble(remark="It is drawn in color.")
    result = generate(model, tmp_path / "out", number=2, format="png")
    assert result.notes[0].startswith("2 of 2 images have a note")
    assert "It is drawn in color." in result.notes[0]
    told = json.loads((tmp_path / "out" / "record.json").read_text())["images"]
    assert [each["notes"] for each in told] == [["It is drawn in color."]] * 2


def test_nothing_but_copies_is_refused_and_leaves_nothing(double: Any, tmp_path: Path) -> None:
    model = double.GeneratorDouble(copies=lambda draw: True)
    with pytest.raises(ModelRefused, match="nothing but copies") as refusal:
        generate(model, tmp_path / "out", number=2)
    assert refusal.value.reason == "only_copies"
    assert not list(tmp_path.iterdir())
    assert len(model.asked) == 16


def test_an_image_that_is_not_finite_is_refused(double: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no finite image"):
        generate(double.GeneratorDouble(spoiled=True), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_labels_ask_for_the_same_images_again(double: Any, tmp_path: Path) -> None:
    asked = EVERYTHING | {"number": 3, "format": "png", "seed": 5}
    first = generate(double.GeneratorDouble(), tmp_path / "a", **asked)
    assert first.labels is not None
    again = generate(
        double.GeneratorDouble(),
        tmp_path / "b",
        labels=first.labels,
        mask=EVERYTHING["mask"],
        format="png",
    )
    for one, two in zip(first.images, again.images, strict=True):
        np.testing.assert_array_equal(pixels(one), pixels(two))
    assert again.labels is not None
    assert first.labels.read_text() == again.labels.read_text()
    (row, *_) = csv.DictReader(first.labels.read_text().splitlines())
    assert row == {
        "file": "images/0001.png",
        "class": "glioma",
        "plane": "coronal",
        "age": "60.0",
        "box_center_x": "0.6",
        "box_center_y": "0.4",
        "box_width": "0.25",
        "box_height": "0.2",
        "text": "a large mass",
        "seed": str(seed_of_image(5, 1)),
        "synthetic": "YES",
    }


def test_a_row_says_what_it_says_and_the_rest_comes_from_the_options(
    double: Any, tmp_path: Path
) -> None:
    labels = tmp_path / "wanted.csv"
    labels.write_text("class,plane,text\nglioma,,\n,any,a mass\npituitary tumor,sagittal,\n")
    result = generate(
        double.GeneratorDouble(), tmp_path / "out", labels=labels, plane="axial", format="png"
    )
    told = json.loads((result.folder / "record.json").read_text())["images"]
    assert [each["wish"] for each in told] == [
        {"categories": {"class": "glioma", "plane": "axial"}},
        {"text": "a mass"},
        {"categories": {"class": "pituitary tumor", "plane": "sagittal"}},
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class\n", "no row"),
        ("", "no row"),
        ("klass\nglioma\n", "did you mean class"),
        ("class,class\nglioma,glioma\n", "stands there twice"),
        ("class\ngliom\n", "did you mean glioma"),
        ("class,text\nglioma\n", "line 2"),
        ("age\nold\n", "holds none"),
        ("box_center_x\n0.5\n", "holds none"),
        ("seed\n-3\n", "whole number"),
        ("text\n\nzebra\n", "not known"),
        ('text\n"a', "line"),
    ],
)
def test_labels_that_cannot_be_asked_for_are_refused(
    double: Any, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "wanted.csv").write_text(text)
    with pytest.raises(InputRefused, match=words):
        generate(double.GeneratorDouble(), tmp_path / "out", labels=tmp_path / "wanted.csv")
    assert not (tmp_path / "out").exists()


def test_a_refused_row_is_named_by_its_number(double: Any, tmp_path: Path) -> None:
    (tmp_path / "wanted.csv").write_text("class\nglioma\ngliom\n")
    with pytest.raises(SettingRefused) as refusal:
        generate(double.GeneratorDouble(), tmp_path / "out", labels=tmp_path / "wanted.csv")
    assert refusal.value.__notes__ == ["row 2 of the labels"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"class_": "gliom"}, "did you mean glioma"),
        ({"conditions": {"plan": "axial"}}, "did you mean plane"),
        ({"class_": "glioma", "conditions": {"class": "glioma"}}, "given twice"),
        ({"numbers": {"class": "glioma"}}, "no such number"),
        ({"numbers": {"age": 200}}, "from 0 to 100 years"),
        ({"conditions": {"age": "old"}}, "takes numbers"),
        ({"box": "0.5,0.5"}, "four numbers"),
        ({"box": (0.9, 0.5, 0.5, 0.5)}, "outside the image"),
        ({"box": (0.5, 0.5, -0.5, 0.5)}, "two corners"),
        ({"mask": np.zeros((32, 24), int)}, "the mask is empty"),
        ({"mask": np.ones((24, 32), int)}, "24 rows and 32 columns"),
        ({"mask": np.full((32, 24), 9)}, "does not know: 9"),
        ({"text": "a zebra"}, "not known: zebra"),
        ({"number": 0}, "from 1 to"),
        ({"number": True}, "from 1 to"),
        ({"number": 2, "labels": "x.csv"}, "one image a row"),
        ({"steps": 0}, "steps must be"),
        ({"guidance": 21}, "guidance must be"),
        ({"guidance": float("nan")}, "guidance must be"),
        ({"seed": -1}, "seed must be"),
        ({"sampler": "flew"}, "no such sampler"),
        ({"format": "jpeg"}, "format must be one of"),
        ({"attention": True}, "there is no text"),
        ({"written_as": "modality", "format": "png"}, "leave one of them out"),
        ({"written_as": "modality"}, "leaves the plane free"),
        ({"labels": "nowhere.csv"}, "does not exist"),
        ({"mask": "nowhere.png"}, "does not exist"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_and_leaves_nothing(
    double: Any, tmp_path: Path, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputRefused, match=words):
        generate(double.GeneratorDouble(), tmp_path / "out", **asked)
    assert not list(tmp_path.iterdir())


def test_what_a_family_has_not_is_refused(double: Any, tmp_path: Path) -> None:
    films = double.GeneratorDouble(family=double.FILMS)
    for asked, words in (
        ({"text": "a mass"}, "takes no text"),
        ({"box": BOX}, "takes no box"),
        ({"plane": "axial"}, "no such condition"),
        ({"written_as": "modality"}, "no equipment took this image"),
    ):
        with pytest.raises(InputRefused, match=words):
            generate(films, tmp_path / "out", **asked)


def test_models_that_draw_nothing_or_something_else_are_refused(
    double: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelRefused, match="draws no images"):
        load_generator("brain_t1c", object(), "cpu")  # type: ignore[arg-type]
    with pytest.raises(ModelRefused, match="makes heads"):
        load_generator("brain_t1c", double.GeneratorDouble(), "cpu")
    with pytest.raises(ModelRefused, match="with the package"):
        load_generator("brain_t11c", None, "cpu")


def test_objects_of_the_modality_where_all_is_known(
    double: Any, tmp_path: Path, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    for family, plane in (("HEADS", "sagittal"), ("SLICES", None)):
        model = double.GeneratorDouble(family=getattr(double, family))
        result = generate(model, tmp_path / family, written_as="modality", plane=plane)
        dataset = pydicom.dcmread(result.images[0])
        assert dataset.Modality == model.family.modality
        assert dciodvfy_errors(result.images[0]) == []
    assert dataset.RescaleIntercept == -1024
    stored = dataset.pixel_array.astype(float) - 1024
    np.testing.assert_array_equal(stored, expected(double, 1, family=double.SLICES))


def test_an_object_says_all_that_made_it(
    double: Any, tmp_path: Path, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    result = generate(double.GeneratorDouble(), tmp_path / "out", **EVERYTHING)
    dataset = pydicom.dcmread(result.images[0])
    (equipment,) = dataset.ContributingEquipmentSequence
    for said in (dataset.DerivationDescription, equipment.ContributionDescription):
        assert f"seed={seed_of_image(0, 1)}" in said
        assert "steps=20" in said
        assert "guidance=2.0" in said
        assert "sampler=own" in said
        assert "glioma" in said
        assert "ab" * 32 in said
    assert result.record.digest()[:16] in dataset.DerivationDescription
    assert dciodvfy_errors(result.images[0]) == []


def test_pictures_and_volumes_say_that_they_are_synthetic(double: Any, tmp_path: Path) -> None:
    png = generate(double.GeneratorDouble(), tmp_path / "png", format="png", **EVERYTHING)
    for path in (png.images[0], png.contact_sheet):
        assert stated_in_png(path)["Synthetic"] == "YES"
    said = stated_in_png(png.images[0])["Isocenter"]
    assert said["wish"]["text"] == "a large mass"
    assert said["weights_sha256"] == "ab" * 32
    assert said["slope"] == 1
    assert said["intercept"] == 0
    nifti = generate(double.GeneratorDouble(), tmp_path / "nii", format="nifti", **EVERYTHING)
    assert stated(nifti.images[0]).synthetic
    geometry = read_volume_file(nifti.images[0]).geometry
    assert geometry.row_direction == (0.0, 0.0, -1.0)
    assert geometry.spacing_mm == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("family", ["SLICES", "FILMS"])
def test_other_ranges_of_values_fill_16_bits(double: Any, tmp_path: Path, family: str) -> None:
    model = double.GeneratorDouble(family=getattr(double, family))
    (image,) = model.generate([Wish()], [seed_of_image(0, 1)])
    result = generate(model, tmp_path / "png", format="png")
    said = stated_in_png(result.images[0])["Isocenter"]
    values = pixels(result.images[0]) * said["slope"] + said["intercept"]
    assert np.abs(values - image.values).max() <= said["slope"] / 2 + 1e-4
    assert read_png(result.images[0]).bits == 16
    dicom = generate(model, tmp_path / "dicom")
    dataset = pydicom.dcmread(dicom.images[0])
    stored = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert np.abs(stored - image.values).max() <= float(dataset.RescaleSlope) / 2 + 1e-6
    told = json.loads((dicom.folder / "record.json").read_text())
    assert told["images"][0]["values_clipped"] == 0


def test_the_sheet_shows_every_image(double: Any, tmp_path: Path) -> None:
    one = generate(double.GeneratorDouble(), tmp_path / "one", **EVERYTHING)
    five = generate(double.GeneratorDouble(), tmp_path / "five", number=5, **EVERYTHING)
    sizes = [size_of(each.contact_sheet) for each in (one, five)]
    assert sizes[1][0] > sizes[0][0] > 200
    assert sizes[1][1] > sizes[0][1]


def test_attention_is_one_picture_an_image_with_a_text(double: Any, tmp_path: Path) -> None:
    result = generate(
        double.GeneratorDouble(), tmp_path / "out", number=2, text="a large mass", attention=True
    )
    assert [path.name for path in result.attention] == ["0001.png", "0002.png"]
    assert size_of(result.attention[0])[0] > 400
    assert generate(double.GeneratorDouble(), tmp_path / "none", text="a").attention == ()


def test_private_results_are_for_their_owner_alone(double: Any, tmp_path: Path) -> None:
    result = generate(double.GeneratorDouble(), tmp_path / "out", private=True)
    assert result.folder.stat().st_mode & 0o777 == 0o700
    assert result.images[0].stat().st_mode & 0o777 == 0o600
