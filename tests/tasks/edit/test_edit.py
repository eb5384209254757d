"""Altered images: what changes, what does not by a bit, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from isocenter.core.errors import InputRefused, ModelRefused, OutputRefused
from isocenter.core.volume import Geometry, Volume
from isocenter.image.volume_files import read_volume_file, stated, write_volume_file
from isocenter.modelpack.generator.wish import inside_box
from isocenter.tasks.edit.edit import edit
from isocenter.tasks.generate.generate import generate
from isocenter.tasks.generate.png_files import read_png, stated_in_png

SHAPE = (32, 24)
BOX = (0.6, 0.4, 0.25, 0.2)
INSIDE = inside_box(BOX, *SHAPE)
RNG = np.random.default_rng(3)
LEVELS = RNG.integers(0, 256, SHAPE).astype(np.uint8)


def png(folder: Path, levels: NDArray = LEVELS, name: str = "in.png") -> Path:
    Image.fromarray(levels).save(folder / name)
    return folder / name


def nifti(folder: Path, values: NDArray, unit: str = "", name: str = "in.nii.gz") -> Path:
    geometry = Geometry(shape=(1, *values.shape), spacing_mm=(3.0, 1.5, 1.25))
    return write_volume_file(
        Volume(array=values[None].astype(np.float32), geometry=geometry, unit=unit), folder / name
    )


@pytest.fixture
def scanned(tmp_path: Path, double: Any) -> Callable[..., Path]:
    """Write a DICOM image of 12 bits with a patient, as a scanner might."""

    def write(**changes: Any) -> Path:
        made = generate(double.GeneratorDouble(), tmp_path / "made", plane="axial")
        dataset = pydicom.dcmread(made.images[0])
        dataset.Modality = "MR"
        dataset.PatientName, dataset.PatientID = "Somebody^Real", "4711"
        dataset.AccessionNumber = "A1"
        del dataset.PatientIdentityRemoved, dataset.DeidentificationMethod
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        stored = np.random.default_rng(5).integers(0, 4096, SHAPE)
        dataset.PixelData = stored.astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.WindowCenter, dataset.WindowWidth = 2000, 3000
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / "scan.dcm")
        return tmp_path / "scan.dcm"

    return write


def texts_of(dataset: Dataset) -> str:
    return "\n".join(str(element) for element in dataset.iterall() if element.VR != "OW")


def test_outside_a_box_no_pixel_of_a_picture_changes(double: Any, tmp_path: Path) -> None:
    result = edit(double.GeneratorDouble(), png(tmp_path), tmp_path / "out", box=BOX)
    after = read_png(result.images[0]).levels
    np.testing.assert_array_equal(after[~INSIDE], LEVELS[~INSIDE])
    assert (after[INSIDE] != LEVELS[INSIDE]).mean() > 0.9
    assert result.pixels_kept == np.count_nonzero(~INSIDE)
    said = stated_in_png(result.images[0])
    assert said["Synthetic"] == "YES"
    assert said["Isocenter"]["strength"] == 1
    assert said["Isocenter"]["wish"]["box"] == list(BOX)


def test_16_bits_stay_16_bits(double: Any, tmp_path: Path) -> None:
    levels = RNG.integers(0, 65536, SHAPE).astype(np.uint16)
    result = edit(double.GeneratorDouble(), png(tmp_path, levels), tmp_path / "out", mask=INSIDE)
    after = read_png(result.images[0])
    assert after.bits == 16
    np.testing.assert_array_equal(after.levels[~INSIDE], levels[~INSIDE])


def test_outside_a_mask_no_voxel_of_a_volume_file_changes(double: Any, tmp_path: Path) -> None:
    values = RNG.uniform(0, 255, SHAPE).astype(np.float32)
    np.save(tmp_path / "mask.npy", INSIDE.astype(float))
    source = nifti(tmp_path, values)
    result = edit(double.GeneratorDouble(), source, tmp_path / "out", mask=tmp_path / "mask.npy")
    after = read_volume_file(result.images[0])
    np.testing.assert_array_equal(after.array[0][~INSIDE], values[~INSIDE])
    assert not np.array_equal(after.array[0], values)
    assert after.geometry == read_volume_file(source).geometry
    assert stated(result.images[0]).synthetic


def test_a_model_that_changes_more_than_it_may_is_held_to_the_region(
    double: Any, tmp_path: Path
) -> None:
    class Careless(double.GeneratorDouble):
        def edit(self, values: NDArray, *rest: Any, **options: Any) -> Any:
            options["mask"] = None
            return super().edit(values, *rest, **options)

    result = edit(Careless(), png(tmp_path), tmp_path / "out", box=BOX)
    after = read_png(result.images[0]).levels
    np.testing.assert_array_equal(after[~INSIDE], LEVELS[~INSIDE])


def test_a_dicom_image_keeps_its_pixels_outside_and_loses_its_patient(
    double: Any,
    scanned: Callable[..., Path],
    tmp_path: Path,
    dciodvfy_errors: Callable[[Path], list[str]],
) -> None:
    source = scanned()
    result = edit(double.GeneratorDouble(), source, tmp_path / "out", mask=INSIDE)
    before, after = pydicom.dcmread(source), pydicom.dcmread(result.images[0])
    np.testing.assert_array_equal(after.pixel_array[~INSIDE], before.pixel_array[~INSIDE])
    assert not np.array_equal(after.pixel_array, before.pixel_array)
    assert (after.BitsStored, after.PixelSpacing) == (12, [1.5, 1.5])
    assert after.DerivationCodeSequence[0].CodeValue == "EDIT"
    assert after.SyntheticData == after.PatientIdentityRemoved == "YES"
    texts = texts_of(after)
    kept = [before.SOPInstanceUID, before.StudyInstanceUID, before.SeriesInstanceUID]
    assert not [one for one in ("Real", "4711", "A1\n", *kept) if one in texts]
    assert dciodvfy_errors(result.images[0]) == []
    assert "500 to 3500" in result.notes[0]


def test_what_the_untouched_part_may_show_is_not_denied(
    double: Any,
    scanned: Callable[..., Path],
    tmp_path: Path,
    dciodvfy_errors: Callable[[Path], list[str]],
) -> None:
    source = scanned(
        BurnedInAnnotation=None,
        RecognizableVisualFeatures="YES",
        LossyImageCompression="01",
        LossyImageCompressionRatio=10,
    )
    result = edit(double.GeneratorDouble(), source, tmp_path / "out", mask=INSIDE)
    after = pydicom.dcmread(result.images[0])
    assert "PatientIdentityRemoved" not in after
    assert "BurnedInAnnotation" not in after
    assert after.RecognizableVisualFeatures == "YES"
    assert (after.LossyImageCompression, after.LossyImageCompressionRatio) == ("01", 10)
    assert after.SyntheticData == "YES"
    assert dciodvfy_errors(result.images[0]) == []


def test_facts_that_cannot_be_meant_are_left_out(
    double: Any, scanned: Callable[..., Path], tmp_path: Path
) -> None:
    source = scanned(
        PixelSpacing=["1e30", "1"], WindowWidth="1e30", ImageOrientationPatient=[1, 0, 0, 1, 0, 0]
    )
    result = edit(double.GeneratorDouble(), source, tmp_path / "out", mask=INSIDE)
    after = pydicom.dcmread(result.images[0])
    assert "PixelSpacing" not in after
    assert float(after.WindowWidth) <= 4096
    with pytest.raises(InputRefused, match="pixel spacing"):
        edit(double.GeneratorDouble(), source, tmp_path / "mr", written_as="modality")


def test_white_and_black_of_an_inverted_image_stay(
    double: Any, scanned: Callable[..., Path], tmp_path: Path
) -> None:
    source = scanned(PhotometricInterpretation="MONOCHROME1")
    result = edit(double.GeneratorDouble(), source, tmp_path / "out", strength=1e-9)
    before, after = pydicom.dcmread(source), pydicom.dcmread(result.images[0])
    assert after.PhotometricInterpretation == "MONOCHROME1"
    shown = np.clip(before.pixel_array.astype(int), 500, 3500)
    assert np.abs(after.pixel_array.astype(int) - shown).max() <= 1


def test_an_image_in_hu_is_altered_in_hu(
    double: Any, tmp_path: Path, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    model = double.GeneratorDouble(family=double.SLICES)
    made = generate(model, tmp_path / "made", written_as="modality")
    where = np.eye(16, dtype=int)
    result = edit(model, made.images[0], tmp_path / "out", mask=where, written_as="modality")
    before, after = (pydicom.dcmread(each.images[0]) for each in (made, result))
    assert after.Modality == "CT"
    same = before.pixel_array == after.pixel_array
    assert same[where == 0].all()
    assert not same[where == 1].all()
    assert dciodvfy_errors(result.images[0]) == []


def test_the_whole_image_changes_with_the_strength(double: Any, tmp_path: Path) -> None:
    source = png(tmp_path)
    changes = []
    for strength in (0.1, 0.5, None):
        folder = tmp_path / f"out {strength}"
        result = edit(double.GeneratorDouble(), source, folder, strength=strength)
        after = read_png(result.images[0]).levels.astype(int)
        changes.append(np.abs(after - LEVELS).mean())
        assert result.pixels_kept == 0
    assert changes[0] < changes[1] == changes[2]


def test_images_between_two_go_from_one_to_the_other(double: Any, tmp_path: Path) -> None:
    first = png(tmp_path, np.zeros(SHAPE, np.uint8), "a.png")
    second = png(tmp_path, np.full(SHAPE, 200, np.uint8), "b.png")
    result = edit(double.GeneratorDouble(), first, tmp_path / "out", between=second, number=3)
    assert [int(read_png(path).levels.mean()) for path in result.images] == [50, 100, 150]
    told = json.loads((tmp_path / "out" / "record.json").read_text())
    assert [each["fraction"] for each in told["images"]] == [0.25, 0.5, 0.75]
    five = edit(double.GeneratorDouble(), first, tmp_path / "five", between=second)
    assert len(five.images) == 5


def test_the_same_request_finds_its_result_and_another_image_does_not(
    double: Any, tmp_path: Path
) -> None:
    source = png(tmp_path)
    first = edit(double.GeneratorDouble(), source, tmp_path / "out", box=BOX)
    again = edit(double.GeneratorDouble(), source, tmp_path / "out", box=BOX)
    assert not first.already_there
    assert again.already_there
    assert again.images == first.images
    changed = LEVELS.copy()
    changed[0, 0] ^= 1
    with pytest.raises(OutputRefused, match="another scan"):
        edit(double.GeneratorDouble(), png(tmp_path, changed), tmp_path / "out", box=BOX)
    with pytest.raises(OutputRefused, match="another scan"):
        edit(double.GeneratorDouble(), png(tmp_path), tmp_path / "out", mask=~INSIDE)


def test_another_size_is_refused_unless_it_may_be_resampled(double: Any, tmp_path: Path) -> None:
    source = png(tmp_path, np.repeat(np.repeat(LEVELS, 2, 0), 2, 1))
    with pytest.raises(InputRefused, match="64 rows and 48 columns; heads takes 32 x 24"):
        edit(double.GeneratorDouble(), source, tmp_path / "out")
    mask = np.repeat(np.repeat(INSIDE, 2, 0), 2, 1)
    result = edit(double.GeneratorDouble(), source, tmp_path / "out", mask=mask, resize=True)
    assert read_png(result.images[0]).levels.shape == SHAPE
    assert "Resampled from 64 x 48 to 32 x 24" in result.notes[0]
    assert result.pixels_kept == np.count_nonzero(~INSIDE)
    flat = nifti(tmp_path, np.zeros((64, 24)))
    squeezed = edit(double.GeneratorDouble(), flat, tmp_path / "squeezed", resize=True)
    assert "squeezed" in squeezed.notes[0]
    assert read_volume_file(squeezed.images[0]).geometry.spacing_mm == (3.0, 3.0, 1.25)


def test_a_copy_is_drawn_again_and_only_copies_are_refused(double: Any, tmp_path: Path) -> None:
    source = png(tmp_path)
    # Judged in turn: the result, what was given; the result of another seed.
    model = double.GeneratorDouble(copies=lambda draw: draw == 0)
    edit(model, source, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "record.json").read_text())["images"][0]
    assert told["copies_replaced"] == 1
    only = double.GeneratorDouble(copies=lambda draw: draw % 2 == 0)
    with pytest.raises(ModelRefused, match="nothing but a copy"):
        edit(only, source, tmp_path / "none")
    with pytest.raises(ModelRefused, match="nothing but a copy"):
        edit(replace(model, _judged=0), source, tmp_path / "none", between=source)
    own = double.GeneratorDouble(copies=lambda draw: True)  # the user brought it
    assert edit(own, source, tmp_path / "own").images
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"strength": 0}, "strength must be"),
        ({"strength": 1.1}, "strength must be"),
        ({"steps": 0}, "steps must be"),
        ({"mask": INSIDE, "box": BOX}, "give one of them"),
        ({"mask": np.zeros(SHAPE, int)}, "nothing may change"),
        ({"mask": INSIDE.T}, "24 rows and 32 columns"),
        ({"box": "1,1,1,1"}, "outside the image"),
        ({"number": 3}, "give --between"),
        ({"between": "in.png", "box": BOX}, "leave them out"),
        ({"between": "in.png", "strength": 0.3}, "leave them out"),
        ({"between": "in.png", "number": 0}, "from 1 to 100"),
        ({"between": "in.png", "class_": "glioma"}, "two images alone"),
        ({"between": "nowhere.png"}, "does not exist"),
        ({"class_": "gliom"}, "did you mean glioma"),
        ({"text": "a zebra"}, "not known"),
        ({"written_as": "modality"}, "of the kind that was read"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_and_leaves_nothing(
    double: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputRefused, match=words):
        edit(double.GeneratorDouble(), png(tmp_path), tmp_path / "out", **asked)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_images_of_another_kind_are_refused(
    double: Any, scanned: Callable[..., Path], tmp_path: Path
) -> None:
    color = tmp_path / "color.png"
    Image.fromarray(np.zeros((*SHAPE, 3), np.uint8)).save(color)
    palette = tmp_path / "palette.png"
    Image.fromarray(LEVELS).convert("P").save(palette)
    text = tmp_path / "text.dcm"
    text.write_text("no image")
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(tmp_path).read_bytes()[:60])
    volume = tmp_path / "volume.nii"
    geometry = Geometry(shape=(2, *SHAPE), spacing_mm=(1.0, 1.0, 1.0))
    write_volume_file(Volume(array=np.zeros(geometry.shape), geometry=geometry, unit=""), volume)
    for path, words in (
        (color, "in color"),
        (palette, "has a palette"),
        (text, "no DICOM image"),
        (broken, "damaged or no PNG file"),
        (volume, "flat image of one slice"),
        (nifti(tmp_path, np.full(SHAPE, 300.0)), "from 300 to 300"),
        (nifti(tmp_path, np.full(SHAPE, 40.5), unit="µm²/s", name="adc.nii"), "in µm²/s"),
        (scanned(Modality="CT"), "is CT, heads are MR"),
        (tmp_path / "nowhere.png", "does not exist"),
    ):
        with pytest.raises(InputRefused, match=words):
            edit(double.GeneratorDouble(), path, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PhotometricInterpretation": "RGB"}, "in color"),
        ({"NumberOfFrames": 2}, "several frames"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "slope or intercept that cannot be meant"),
        ({"RescaleSlope": "1e300", "RescaleIntercept": "0"}, "cannot be meant"),
        ({"BitsStored": 40}, "40 stored"),
        ({"Rows": 400}, "truncated"),
        ({"PixelRepresentation": None}, "PixelRepresentation is missing"),
    ],
)
def test_dicom_images_that_are_not_read_are_refused(
    double: Any,
    scanned: Callable[..., Path],
    tmp_path: Path,
    changes: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(InputRefused, match=words):
        edit(double.GeneratorDouble(), scanned(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()
