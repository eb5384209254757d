"""Diffusion in headers: b-values of every maker, directions, sets of series, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from tests.dicom.diffusion_files import (
    SHAPE,
    Weighting,
    signal_of,
    write_study,
    write_weighting,
)

from isocenter.core.errors import InputRefused, SeriesChoiceNeeded, UnsuitableScan
from isocenter.dicom.reading.diffusion_study import DiffusionStudy, open_diffusion_study

DIRECTIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
SMALL = np.full((3, 8, 8), 100.0)


def refusal(path: Path, **options: Any) -> InputRefused:
    with pytest.raises(InputRefused) as refused:
        open_diffusion_study(path, **options)
    return refused.value


def write_small(folder: Path, b_value: float, **options: Any) -> list[Path]:
    of_weighting = {
        name: options.pop(name)
        for name in ("stated", "series", "image_type", "direction", "description", "edit", "values")
        if name in options
    }
    of_weighting.setdefault("values", SMALL - 10 * (b_value > 0))
    return write_weighting(folder, Weighting(b_value=b_value, **of_weighting), **options)


def summary(study: DiffusionStudy) -> list[float]:
    return [round(stack.b_value_s_per_mm2) for stack in study.stacks]


@pytest.mark.parametrize("stated", ["standard", "siemens", "ge", "ge offset", "philips", "united"])
def test_every_makers_b_values_are_read(tmp_path: Path, stated: str) -> None:
    study = open_diffusion_study(write_study(tmp_path, (0.0, 1000.0), stated=stated))
    assert study.b_values == (0.0, 1000.0)
    for stack, b_value in zip(study.stacks, (0.0, 1000.0), strict=True):
        np.testing.assert_array_equal(stack.to_volume().array, np.rint(signal_of(b_value)))
        assert stack.geometry.shape == SHAPE


def test_a_private_element_is_found_in_any_block(tmp_path: Path) -> None:
    def elsewhere(dataset: Dataset, index: int) -> None:
        dataset.add_new((0x0019, 0x0010), "LO", "ANOTHER MAKER")
        dataset.add_new((0x0019, 0x100C), "IS", 7)
        dataset.add_new((0x0019, 0x0011), "LO", "SIEMENS MR HEADER")
        dataset.add_new((0x0019, 0x110C), "IS", b_value)

    for b_value in (0, 800):
        write_small(tmp_path, b_value, stated="none", edit=elsewhere)
    assert open_diffusion_study(tmp_path).b_values == (0.0, 800.0)


def test_several_b_values_in_one_series_or_in_several_are_one_study(tmp_path: Path) -> None:
    for series, b_value in enumerate((0.0, 500.0, 1000.0), start=1):
        write_small(tmp_path / "one", b_value)
        write_small(tmp_path / "several", b_value, series=series)
    for name in ("one", "several"):
        assert summary(open_diffusion_study(tmp_path / name)) == [0, 500, 1000]


def test_directions_and_repetitions_are_stacks_of_their_own(tmp_path: Path) -> None:
    write_small(tmp_path, 0.0)
    for direction in DIRECTIONS:
        write_small(tmp_path, 1000.0, direction=direction)
    write_small(tmp_path / "again", 1000.0, direction=DIRECTIONS[0])
    study = open_diffusion_study(tmp_path)
    assert summary(study) == [0, 1000, 1000, 1000, 1000]
    assert {stack.direction for stack in study.stacks[1:]} == set(DIRECTIONS)
    assert "b = 1000, 4 images a slice" in study.stacks[0].notes[0]


@pytest.mark.parametrize("image_type", [("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW")])
def test_a_trace_weighted_image_stands_for_its_directions(
    tmp_path: Path, image_type: tuple[str, ...]
) -> None:
    write_small(tmp_path, 0.0)
    for direction in DIRECTIONS:
        write_small(tmp_path, 1000.0, direction=direction)
    write_small(tmp_path / "trace", 1000.0, image_type=image_type, values=SMALL - 30)
    study = open_diffusion_study(tmp_path)
    assert summary(study) == [0, 1000]
    assert study.stacks[1].is_trace
    assert float(study.stacks[1].values(0)[0, 0]) == 70


def test_b_values_of_directions_that_differ_a_little_are_one(tmp_path: Path) -> None:
    write_small(tmp_path, 0.0)
    for b_value, direction in zip((985.0, 1000.0, 1003.0), DIRECTIONS, strict=True):
        write_small(tmp_path, b_value, direction=direction)
    assert summary(open_diffusion_study(tmp_path)) == [0, 996, 996, 996]


def test_maps_and_calculated_b_values_are_left_out(tmp_path: Path) -> None:
    for b_value in (0.0, 1000.0):
        write_small(tmp_path, b_value)
    write_small(tmp_path / "adc", 0.0, series=2, image_type=("DERIVED", "PRIMARY", "ADC", "ND"))
    calculated = ("DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE")
    write_small(tmp_path / "high", 2000.0, image_type=calculated)
    study = open_diffusion_study(tmp_path)
    assert study.b_values == (0.0, 1000.0)
    assert "3 images of the series are maps or of calculated b-values" in study.stacks[0].notes[1]
    assert "series 2" in study.stacks[0].notes[2]
    assert study.stacks[0].files_seen is not None
    assert (study.stacks[0].files_seen.used, study.stacks[0].files_seen.other) == (6, 6)


def test_other_sequences_of_the_study_do_not_matter(tmp_path: Path) -> None:
    def spin_echo(dataset: Dataset, index: int) -> None:
        dataset.ScanningSequence = "SE"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]

    for b_value in (0.0, 1000.0):
        write_small(tmp_path, b_value)
    # Some scanners state b = 0 of every image.
    write_small(tmp_path, 0.0, series=2, description="t2_tse", edit=spin_echo, echo_time_ms=20)
    assert summary(open_diffusion_study(tmp_path)) == [0, 1000]


def test_one_b_value_alone_is_given_as_it_is(tmp_path: Path) -> None:
    write_small(tmp_path, 1000.0)
    assert open_diffusion_study(tmp_path).b_values == (1000.0,)


def test_makers_scales_make_b_values_comparable(tmp_path: Path) -> None:
    scales = {0.0: (2.0, 0.5), 1000.0: (4.0, 0.125)}

    def scaled(dataset: Dataset, index: int) -> None:
        slope, maker = scales[b_value]
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0
        dataset.RescaleType = "normalized"
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", maker)

    for b_value in scales:
        write_small(tmp_path, b_value, stated="philips", edit=scaled, values=SMALL)
    study = open_diffusion_study(tmp_path)
    assert [float(stack.values(1)[0, 0]) for stack in study.stacks] == [200.0, 800.0]
    assert any("scale slopes" in note for note in study.stacks[0].notes)


# What is refused.


def test_two_complete_series_are_a_choice_by_number(tmp_path: Path) -> None:
    for series in (3, 7):
        for b_value in (0.0, 1000.0):
            write_small(tmp_path / str(series), b_value, series=series)
    refused = refusal(tmp_path)
    assert isinstance(refused, SeriesChoiceNeeded)
    assert "2: MR, b = 0 and 1000, 6 images" in str(refused)
    assert open_diffusion_study(tmp_path, series="2").b_values == (0.0, 1000.0)
    assert refusal(tmp_path, series="1,2").reason == "series_choice"


def test_an_unweighted_series_joins_one_of_strong_weightings(tmp_path: Path) -> None:
    write_small(tmp_path, 0.0, series=1)
    for b_value in (800.0, 1500.0):
        write_small(tmp_path, b_value, series=2)
    assert summary(open_diffusion_study(tmp_path)) == [0, 800, 1500]


def test_series_of_nearly_one_b_value_are_a_choice(tmp_path: Path) -> None:
    for series, b_value in enumerate((0.0, 1000.0, 1010.0), start=1):
        write_small(tmp_path, b_value, series=series)
    assert refusal(tmp_path).reason == "series_choice"


def test_series_that_belong_together_can_be_named(tmp_path: Path) -> None:
    for series, b_value in enumerate((0.0, 1000.0, 1000.0), start=1):
        write_small(tmp_path / str(series), b_value, series=series)
    assert refusal(tmp_path).reason == "series_choice"
    assert summary(open_diffusion_study(tmp_path, series="1, 3")) == [0, 1000]


@pytest.mark.parametrize(
    ("b_values", "words"),
    [
        ((0.0, 1e9), "another unit or no b-value"),
        ((0.0, -5.0, 1000.0), "another unit or no b-value"),
        ((0.0, 1.0), "such as ms/µm²"),
    ],
)
def test_b_values_in_another_unit_are_refused(
    tmp_path: Path, b_values: tuple[float, ...], words: str
) -> None:
    for b_value in b_values:
        write_small(tmp_path, b_value)
    for series in (None, "1"):
        refused = refusal(tmp_path, series=series)
        assert refused.reason == "b_value"
        assert words in str(refused)


def test_b_values_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    def otherwise(dataset: Dataset, index: int) -> None:
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", 500)

    write_small(tmp_path, 0.0)
    write_small(tmp_path, 1000.0, edit=otherwise)
    refused = refusal(tmp_path)
    assert refused.reason == "b_value"
    assert "500 and 1000 s/mm²" in str(refused)


def test_what_calls_itself_diffusion_without_a_b_value_is_refused_with_its_hint(
    tmp_path: Path,
) -> None:
    def no_type(dataset: Dataset, index: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]

    write_small(tmp_path, 0.0, stated="none", description="DWI b1000", edit=no_type)
    refused = refusal(tmp_path)
    assert refused.reason == "b_value"
    assert "hint at b = 1000" in str(refused)
    assert refusal(tmp_path, series="1").reason == "b_value"


def test_some_images_without_a_b_value_are_refused(tmp_path: Path) -> None:
    for b_value in (0.0, 1000.0):
        write_small(tmp_path, b_value)
    write_small(tmp_path / "none", 500.0, stated="none")
    refused = refusal(tmp_path)
    assert refused.reason == "b_value"
    assert "3 of 9 images of series 1" in str(refused)


def test_what_is_no_diffusion_is_refused(tmp_path: Path) -> None:
    write_small(tmp_path, 0.0, description="t2", image_type=("ORIGINAL", "PRIMARY", "M"))
    refused = refusal(tmp_path)
    assert refused.reason == "not_diffusion"
    assert "1: MR, b = 0, 3 images" in str(refused)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"patient": "SEED2"}, "mixed_patients"),
        ({"study": "2"}, "mixed_studies"),
        ({"frame": "2"}, "mixed_frames_of_reference"),
        ({"spacing_mm": (6.0, 4.0, 4.0)}, "position"),
        ({"origin_mm": (-78.0, -78.0, 21.0)}, "position"),
        ({"slices": (0, 1)}, "matrix"),
        ({"values": np.full((3, 8, 10), 90.0)}, "matrix"),
        ({"echo_time_ms": 60.0}, "echo_time"),
    ],
)
def test_an_unweighted_image_of_another_place_person_or_time_is_refused(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    write_small(tmp_path / "b0", 0.0, series=1, **options)
    write_small(tmp_path / "b1000", 1000.0, series=2)
    assert refusal(tmp_path).reason == reason


def test_a_missing_slice_is_refused_wherever_it_is(tmp_path: Path) -> None:
    values = np.full((5, 8, 8), 100.0)
    write_small(tmp_path / "gap", 0.0, values=values)
    files = write_small(tmp_path / "gap", 1000.0, values=values)
    files[2].unlink()
    refused = refusal(tmp_path / "gap")
    assert refused.reason == "uneven_slices"
    assert str(refused).startswith("b = 1000: slices are missing")
    write_small(tmp_path / "direction", 0.0, values=values)
    for name in ("a", "b"):
        files = write_small(tmp_path / "direction" / name, 1000.0, values=values)
    files[2].unlink()
    assert "1 of 5 slices have fewer than the 2" in str(refusal(tmp_path / "direction"))


def test_damaged_files_beside_the_images_are_refused(tmp_path: Path) -> None:
    for b_value in (0.0, 1000.0):
        files = write_small(tmp_path, b_value)
    files[1].write_bytes(files[1].read_bytes()[:-40])
    refused = refusal(tmp_path)
    assert refused.reason == "damaged_files"
    assert "slices may be missing" in str(refused)


def test_two_images_of_one_uid_are_refused(tmp_path: Path) -> None:
    same = generate_uid(entropy_srcs=["same"])

    def claim(dataset: Dataset, index: int) -> None:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = same

    for b_value in (0.0, 1000.0):
        write_small(tmp_path / str(b_value), b_value, edit=claim, slices=(0,))
    assert refusal(tmp_path).reason == "identity"


def test_a_damaged_private_element_does_not_refuse_the_file(tmp_path: Path) -> None:
    def broken(dataset: Dataset, index: int) -> None:
        block = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(0x39, "UN", b"\xff\xfe\xfd")

    for b_value in (0.0, 1000.0):
        write_small(tmp_path, b_value, edit=broken)
    assert open_diffusion_study(tmp_path).b_values == (0.0, 1000.0)


def test_no_message_names_the_patient(tmp_path: Path) -> None:
    write_small(tmp_path, 1000.0, patient="SECRET")
    write_small(tmp_path, 0.0, patient="OTHER", series=2)
    words = str(refusal(tmp_path))
    assert "SECRET" not in words
    assert "Phantom" not in words


def test_an_unsuitable_study_says_so_by_its_class(tmp_path: Path) -> None:
    write_small(tmp_path, 0.0, description="t2", image_type=("ORIGINAL", "PRIMARY", "M"))
    with pytest.raises(UnsuitableScan):
        open_diffusion_study(tmp_path)
