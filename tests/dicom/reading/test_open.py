"""Reading: classic and Enhanced CT, every transfer syntax, geometry, listing and choosing."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
)

from isocenter.core.errors import InputRefused, SeriesChoiceNeeded, UnsuitableScan
from isocenter.dicom.decoding.pixels import PixelFormat
from isocenter.dicom.reading.open import find_series, open_ct_series, read_volume

OBLIQUE = (0.0, 1.0, 0.0, 0.6, 0.0, -0.8)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
Writer = Callable[..., object]


def assert_reads_as(scan: Any, series: Any) -> None:
    """Stored values, HU and geometry are those that were written."""
    assert len(series) == len(scan.stored)
    for index, stored in enumerate(scan.stored):
        np.testing.assert_array_equal(series.stored(index), stored)
        image_hu = (stored * scan.slope + scan.intercept).astype(np.float32)
        np.testing.assert_array_equal(series.values(index), image_hu)
        np.testing.assert_allclose(
            series.geometry.position_mm(index), scan.positions_mm[index], atol=1e-6
        )


def test_reads_every_transfer_syntax(
    write_classic_ct: Any, write_enhanced_ct: Any, transfer_syntax: Any
) -> None:
    for write, count in ((write_classic_ct, 5), (write_enhanced_ct, 1)):
        scan = write(transfer_syntax=transfer_syntax, bits_stored=13)
        series = open_ct_series(scan.folder)
        assert_reads_as(scan, series)
        assert series.num_files == count
        assert series.is_multiframe == (count == 1)


def test_legacy_converted_enhanced_ct_keeps_its_kernel(write_enhanced_ct: Any) -> None:
    scan = write_enhanced_ct(legacy=True, shuffle=True)
    series = open_ct_series(scan.folder)
    assert_reads_as(scan, series)
    assert series.acquisition.kernel == "STANDARD"
    assert sorted(series.frame_number(index) for index in range(5)) == [0, 1, 2, 3, 4]


def test_enhanced_frames_may_have_their_own_rescale(write_enhanced_ct: Any) -> None:
    rescales = [(1.0 + 0.1 * i, -1000.0 - i) for i in range(5)]
    scan = write_enhanced_ct(rescales=rescales, shuffle=True)
    series = open_ct_series(scan.files[0])
    for index, (slope, intercept) in enumerate(rescales):
        assert series.slope(index) == pytest.approx(slope)
        expected = (scan.stored[index] * series.slope(index) + intercept).astype(np.float32)
        np.testing.assert_array_equal(series.values(index), expected)


def test_classic_slices_may_have_their_own_rescale(write_classic_ct: Any) -> None:
    def edit(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope = f"{1 + index / 4}"

    series = open_ct_series(write_classic_ct(edit=edit).folder)
    assert [series.slope(index) for index in range(5)] == [1.0, 1.25, 1.5, 1.75, 2.0]


@pytest.mark.parametrize("orientation", [CORONAL, OBLIQUE], ids=["coronal", "oblique"])
def test_orders_slices_along_any_normal_with_oblong_pixels(
    write_classic_ct: Any, write_enhanced_ct: Any, orientation: Any
) -> None:
    for write in (write_classic_ct, write_enhanced_ct):
        scan = write(orientation=orientation, spacing_mm=(1.5, 0.9, 0.4), shuffle=True)
        series = open_ct_series(scan.folder)
        assert_reads_as(scan, series)
        geometry = series.geometry
        assert geometry.spacing_mm == pytest.approx((1.5, 0.9, 0.4))
        np.testing.assert_allclose(geometry.column_direction, orientation[:3], atol=1e-9)
        np.testing.assert_allclose(geometry.row_direction, orientation[3:], atol=1e-9)
        normal = np.cross(orientation[:3], orientation[3:])
        np.testing.assert_allclose(geometry.slice_direction, normal, atol=1e-9)


def test_a_single_slice_is_as_deep_as_it_is_thick(write_classic_ct: Any) -> None:
    scan = write_classic_ct(shape=(1, 40, 36), spacing_mm=(3.0, 0.8, 0.7))
    series = open_ct_series(scan.files[0])
    assert_reads_as(scan, series)
    assert series.geometry.spacing_mm[0] == pytest.approx(3.0)


def test_rounded_positions_are_even(write_classic_ct: Any) -> None:
    positions = np.zeros((40, 3))
    positions[:, 2] = np.round(np.arange(40) * 0.625, 1)
    scan = write_classic_ct(shape=(40, 8, 8), positions_mm=positions)
    assert open_ct_series(scan.folder).geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.005)


def test_acquisition_tells_the_same_for_both_kinds(
    write_classic_ct: Any, write_enhanced_ct: Any
) -> None:
    for write in (write_classic_ct, write_enhanced_ct):
        acquisition = open_ct_series(write().folder).acquisition
        assert acquisition.kernel == "STANDARD"
        assert acquisition.tube_voltage_kv == 120
        assert acquisition.exposure_mas == 100
        assert acquisition.slice_thickness_mm == 2.5
        assert acquisition.gantry_tilt_deg == 0
        assert acquisition.manufacturer == "Seeded Scanners"


def test_header_has_everything_but_pixels_and_identities_in_slice_order(
    write_classic_ct: Any,
) -> None:
    scan = write_classic_ct()
    series = open_ct_series(scan.folder)
    uids = [dcmread(path).SOPInstanceUID for path in scan.files]
    assert series.sop_instance_uids == uids
    for index in range(5):
        header = series.header(index)
        assert header.SOPInstanceUID == uids[index]
        assert header.PatientName == "Phantom^Seeded"
        assert "PixelData" not in header
        assert copy.deepcopy(header) == header


def test_elements_that_cannot_be_interpreted_are_left_out_of_the_header(
    write_classic_ct: Any,
) -> None:
    scan = write_classic_ct(shape=(1, 40, 36))
    data = scan.files[0].read_bytes()
    at = data.index(b"\x18\x00\x52\x11")  # Exposure, IS
    assert data[at + 8 : at + 12] == b"100 "
    scan.files[0].write_bytes(data.replace(data[at : at + 12], data[at : at + 8] + b"x1.z"))
    series = open_ct_series(scan.folder)
    assert "Exposure" not in series.header(0)
    assert series.acquisition.exposure_mas is None


def test_files_without_preamble_and_other_files_in_a_tree(
    write_classic_ct: Any, tmp_path: Any
) -> None:
    scan = write_classic_ct(folder=tmp_path / "tree" / "deep" / "series")
    for path in scan.files:
        path.write_bytes(path.read_bytes()[132:])
    (tmp_path / "tree" / "notes.txt").write_text("not DICOM")
    (tmp_path / "tree" / "empty").write_bytes(b"")
    series = open_ct_series(tmp_path / "tree")
    assert_reads_as(scan, series)
    assert series.notes == ()


def test_byte_identical_copies_count_once(write_classic_ct: Any) -> None:
    scan = write_classic_ct()
    shutil.copy(scan.files[2], scan.folder / "copy.dcm")
    assert_reads_as(scan, open_ct_series(scan.folder))


def test_volume_holds_the_whole_scan(write_classic_ct: Any) -> None:
    scan = write_classic_ct(padding=-2000, slope=0.5)
    scan.stored[:, 0, 0] = -2000
    scan = write_classic_ct(padding=-2000, slope=0.5, stored=scan.stored)
    volume = read_volume(scan.folder)
    np.testing.assert_array_equal(volume.array, (scan.stored * 0.5 - 1024).astype(np.float32))
    assert volume.array.dtype == np.float32
    assert volume.valid is not None
    assert (~volume.valid).sum() == 5
    assert volume.unit == "HU"


def test_digest_depends_on_pixels_identity_and_scale_only(
    write_classic_ct: Any, tmp_path: Any
) -> None:
    first = write_classic_ct(folder=tmp_path / "a")
    again = write_classic_ct(folder=tmp_path / "b", shuffle=False)
    other = write_classic_ct(folder=tmp_path / "c", slope=2)
    changed = first.stored.copy()
    changed[3, 5, 5] += 1
    pixel = write_classic_ct(folder=tmp_path / "d", stored=changed)
    digests = [open_ct_series(s.folder).source_digest() for s in (first, again, other, pixel)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert len(digests[0]) == 64


def test_keeps_only_a_few_slices(write_classic_ct: Any) -> None:
    scan = write_classic_ct(shape=(20, 8, 8))
    series = open_ct_series(scan.folder)
    for index in range(20):
        series.stored(index)
    assert len(series._slices) <= 8
    assert not series.stored(3).flags.writeable
    np.testing.assert_array_equal(series.stored(-1), scan.stored[-1])
    with pytest.raises(IndexError):
        series.stored(20)


class TestChoosing:
    """A tree with several series: listing, naming, refusing to guess."""

    @pytest.fixture
    def tree(self, write_classic_ct: Any, write_enhanced_ct: Any, tmp_path: Any) -> Path:
        folder = tmp_path / "tree"
        for seed, number, kernel in ((1, 5, "SHARP"), (2, 4, "SMOOTH")):

            def edit(dataset: Dataset, _: int, number: Any = number, kernel: Any = kernel) -> None:
                dataset.SeriesNumber = number
                dataset.ConvolutionKernel = kernel

            write_classic_ct(folder=folder / str(seed), seed=seed, edit=edit)

        def scout(dataset: Dataset, _: int) -> None:
            dataset.SeriesNumber = 1
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

        write_classic_ct(folder=folder / "scout", seed=3, shape=(1, 40, 36), edit=scout)
        return folder

    def test_lists_all_in_the_order_of_the_scanner(self, tree: Any) -> None:
        listing = find_series(tree)
        assert [(s.number, s.series_number, s.kernel) for s in listing] == [
            (1, 1, "STANDARD"),
            (2, 4, "SMOOTH"),
            (3, 5, "SHARP"),
        ]
        assert [s.fits for s in listing] == [False, True, True]
        assert listing[0].reason == "localizer"
        assert "scout" in listing[0].why_not
        assert listing[1].num_images == 5
        assert listing[1].sop_class_name == "CT Image Storage"

    def test_several_that_fit_need_a_choice_without_naming_uids(self, tree: Any) -> None:
        with pytest.raises(SeriesChoiceNeeded, match=r"(?s)2 series fit.*number.*SMOOTH") as info:
            open_ct_series(tree)
        assert not any(summary.key in str(info.value) for summary in find_series(tree))

    def test_named_by_number_uid_or_its_end(self, tree: Any) -> None:
        key = find_series(tree)[2].key
        for name in ("3", key, key[-9:]):
            assert open_ct_series(tree, series=name).acquisition.kernel == "SHARP"

    @pytest.mark.parametrize("name", ["9", "1.2.3.4", ""])
    def test_a_name_that_fits_none_lists_them(self, tree: Any, name: Any) -> None:
        with pytest.raises(SeriesChoiceNeeded, match=r"(?s)no series has.*SHARP"):
            open_ct_series(tree, series=name)

    def test_a_named_series_that_does_not_fit_is_refused_for_its_reason(self, tree: Any) -> None:
        with pytest.raises(UnsuitableScan, match="localizer"):
            open_ct_series(tree, series="1")

    def test_the_only_one_that_fits_is_taken(self, tree: Any) -> None:
        shutil.rmtree(tree / "1")
        assert open_ct_series(tree).acquisition.kernel == "SMOOTH"

    def test_none_that_fits_says_why_for_each(self, tree: Any) -> None:
        shutil.rmtree(tree / "1")
        for path in (tree / "2").iterdir():
            data = path.read_bytes()
            path.write_bytes(data.replace(b"MONOCHROME2 ", b"RGB         "))
        with pytest.raises(UnsuitableScan, match=r"(?s)none of the 2 series.*scout.*RGB"):
            open_ct_series(tree)


@pytest.mark.parametrize("signed", [True, False])
@settings(max_examples=40)
@given(
    bits=st.sampled_from([(8, 8), (8, 5), (16, 10), (16, 12), (16, 13), (16, 16), (32, 20)]),
    shift=st.integers(0, 6),
    seed=st.integers(0, 2**16),
    rubbish=st.booleans(),
)
def test_stored_values_survive_every_sign_bit_depth_and_place(
    signed: Any, bits: Any, shift: Any, seed: Any, rubbish: Any
) -> None:
    bits_allocated, bits_stored = bits
    shift = min(shift, bits_allocated - bits_stored)
    pixel_format = PixelFormat(
        rows=4,
        columns=6,
        num_frames=1,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 + shift,
        signed=signed,
        transfer_syntax=ExplicitVRLittleEndian,
    )
    low, high = pixel_format.stored_range
    rng = np.random.default_rng(seed)
    values = rng.integers(low, high, (4, 6), endpoint=True)
    values[0, :2] = low, high
    words = (values & ((1 << bits_stored) - 1)) << shift
    if rubbish:  # bits outside of the stored ones, such as old overlays, mean nothing
        unused = ~(((1 << bits_stored) - 1) << shift) & ((1 << bits_allocated) - 1)
        words |= rng.integers(0, 1 << bits_allocated, (4, 6)) & unused
    got = pixel_format.to_stored(words.astype(f"u{bits_allocated // 8}"))
    np.testing.assert_array_equal(got, values)
    assert got.dtype.kind == ("i" if signed else "u")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    slope=st.floats(1e-4, 100).map(lambda value: float(f"{value:.6g}")),
    intercept=st.floats(-4000, 4000).map(lambda value: float(f"{value:.6g}")),
    signed=st.booleans(),
    bits=st.sampled_from([(8, 8), (16, 12), (16, 16), (32, 24)]),
    enhanced=st.booleans(),
)
def test_hounsfield_units_are_exactly_the_rescaled_stored_values(
    write_classic_ct: Any,
    write_enhanced_ct: Any,
    slope: Any,
    intercept: Any,
    signed: Any,
    bits: Any,
    enhanced: Any,
) -> None:
    low, high = (-(2 ** (bits[1] - 1)), 2 ** (bits[1] - 1)) if signed else (0, 2 ** bits[1])
    stored = np.random.default_rng(7).integers(low, high, (2, 8, 6))
    scan = (write_enhanced_ct if enhanced else write_classic_ct)(
        stored=stored,
        slope=slope,
        intercept=intercept,
        signed=signed,
        bits_allocated=bits[0],
        bits_stored=bits[1],
    )
    assert_reads_as(scan, open_ct_series(scan.folder))


@pytest.mark.real_data
def test_real_scans_decode_as_pydicom_decodes_them(data_folder: Any) -> None:
    folders = sorted({path.parent for path in (data_folder / "ct" / "train").rglob("*.dcm")})
    folders += [data_folder / "formats" / "ct_jpeglossless_ricord"]
    folders += sorted((data_folder / "ct" / "petct").glob("CT_*"))
    opened = 0
    for folder in folders:
        first = sorted(folder.glob("*.dcm"))[0]
        series = open_ct_series(first)
        np.testing.assert_array_equal(series.stored(0), dcmread(first).pixel_array)
        assert series.valid(0).mean() > 0.6
        assert -3100 < series.values(0).min() <= series.values(0).max() < 20_000
        opened += 1
    assert opened > 30


@pytest.mark.real_data
def test_real_runs_are_even_and_what_is_not_ct_is_refused(data_folder: Any) -> None:
    series = open_ct_series(data_folder / "ct" / "train" / "lidc_0001_run0")
    assert len(series) == 19
    assert series.geometry.spacing_mm[0] == pytest.approx(2.5)
    petct = find_series(data_folder / "ct" / "petct")
    assert [summary.modality for summary in petct if summary.fits] == ["CT"]
    assert not any(
        summary.fits
        for name in ("cr", "us", "mg_cbis_ddsm")
        for summary in find_series(data_folder / "formats" / name)
    )


@pytest.mark.real_data
def test_malformed_jpeg_2000_is_refused_in_words(data_folder: Any) -> None:
    for path in sorted((data_folder / "formats" / "ct_j2k_malformed_fda_phantom").glob("*.dcm")):
        series = open_ct_series(path)
        with pytest.raises(InputRefused, match="cannot be decoded"):
            series.stored(0)
