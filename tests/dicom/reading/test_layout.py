"""Evenness of positions, and where the frames of compressed multi-frame files lie."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000Lossless

from isocenter.core.errors import UnreadableInput
from isocenter.dicom.reading.geometry import even_runs, is_sheared, plane_directions
from isocenter.dicom.reading.open import open_ct_series


@given(
    step=st.floats(0.5, 10),
    count=st.integers(1, 200),
    start=st.floats(-1000, 1000),
)
def test_even_positions_rounded_to_a_tenth_are_one_run(step: Any, count: Any, start: Any) -> None:
    positions = np.round(start + step * np.arange(count), 1)
    assert even_runs(positions) == [range(count)]


@given(
    step=st.floats(0.5, 10),
    lengths=st.lists(st.integers(3, 30), min_size=2, max_size=5),
)
def test_missing_slices_split_runs_where_they_are_missing(step: Any, lengths: Any) -> None:
    gaps = np.ones(sum(lengths))
    breaks = np.cumsum(lengths)[:-1]
    gaps[breaks] = 2
    gaps[0] = 0
    runs = even_runs(np.cumsum(gaps) * step)
    starts = [0, *breaks]
    assert [run for run in runs if len(run) > 2] == [
        range(start, start + length) for start, length in zip(starts, lengths, strict=True)
    ]


def test_shear_is_told_from_rounding() -> None:
    normal = np.array([0.0, 0.0, 1.0])
    straight = np.array([[0.04 * (i % 2), 0, i] for i in range(100)])
    tilted = np.array([[0.02 * i, 0, i] for i in range(100)])
    assert not is_sheared(straight, normal)
    assert is_sheared(tilted, normal)


def test_directions_are_unit_and_right_handed() -> None:
    normal, row, column = plane_directions((0.8, 0.6001, 0, 0, 0, -1))
    np.testing.assert_allclose([np.linalg.norm(v) for v in (normal, row, column)], 1)
    np.testing.assert_allclose(np.cross(column, row), normal)


@pytest.fixture
def frames_and_header(write_enhanced_ct: Any) -> Any:
    """Three compressed frames, the data set that held them and the values they decode to."""
    scan = write_enhanced_ct(shape=(3, 40, 36), transfer_syntax=JPEG2000Lossless)
    dataset = dcmread(scan.files[0])
    frames = list(generate_frames(dataset.PixelData, number_of_frames=3))
    return scan, dataset, frames


@pytest.mark.parametrize("table", ["basic", "extended"])
def test_frames_in_several_fragments_are_found_by_either_table(
    frames_and_header: Any, table: Any
) -> None:
    scan, dataset, frames = frames_and_header
    if table == "basic":
        dataset.PixelData = encapsulate(frames, fragments_per_frame=3, has_bot=True)
    else:
        single, offsets, lengths = encapsulate_extended(frames)
        dataset.PixelData = single
        dataset.ExtendedOffsetTable = offsets
        dataset.ExtendedOffsetTableLengths = lengths
    dataset.save_as(scan.files[0])
    series = open_ct_series(scan.folder)
    for index in (2, 0, 1):
        np.testing.assert_array_equal(series.stored(index), scan.stored[index])


def test_several_fragments_of_one_frame_need_no_table(write_classic_ct: Any) -> None:
    scan = write_classic_ct(shape=(1, 40, 36), transfer_syntax=JPEG2000Lossless)
    dataset = dcmread(scan.files[0])
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([frame], fragments_per_frame=4, has_bot=False)
    dataset.save_as(scan.files[0])
    np.testing.assert_array_equal(open_ct_series(scan.folder).stored(0), scan.stored[0])


def test_fragments_without_a_table_and_wrong_tables_are_refused(frames_and_header: Any) -> None:
    scan, dataset, frames = frames_and_header
    dataset.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=False)
    dataset.save_as(scan.files[0])
    with pytest.raises(UnreadableInput, match="6 pieces of compressed pixels for 3 frames"):
        open_ct_series(scan.folder)
    data = bytearray(encapsulate(frames, fragments_per_frame=2, has_bot=True))
    struct.pack_into("<L", data, 8 + 4, 12345)
    dataset.PixelData = bytes(data)
    dataset.save_as(scan.files[0])
    with pytest.raises(UnreadableInput, match="table of frames"):
        open_ct_series(scan.folder)


def test_one_of_many_frames_is_read_alone(write_enhanced_ct: Any, monkeypatch: Any) -> Any:
    scan = write_enhanced_ct(shape=(30, 40, 36))
    series = open_ct_series(scan.folder)
    read = []

    class Counting(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(size)
            return super().read(size)

    monkeypatch.setattr(
        "isocenter.dicom.reading.series.open_stream",
        lambda path, _: (Counting(path), "1.2.840.10008.1.2.1"),
    )
    np.testing.assert_array_equal(series.stored(17), scan.stored[17])
    assert read == [40 * 36 * 2]
