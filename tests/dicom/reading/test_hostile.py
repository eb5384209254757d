"""Damaged and hostile files end in a valid read or an error in words: no traceback, hang or crash.

Mutations come from seeds, so a failure names the variant that makes it again.
"""

from __future__ import annotations

import io
import os
import signal
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    RTStructureSetStorage,
)

from isocenter.core.errors import IsocenterError, UnreadableInput, UnsuitableScan
from isocenter.core.inflating import InflatedStream
from isocenter.core.limits import Limits
from isocenter.dicom.decoding import decode as decoding
from isocenter.dicom.decoding.decode import FrameDecoder
from isocenter.dicom.decoding.parsing import open_stream
from isocenter.dicom.reading.open import find_series, open_ct_series

NUM_VARIANTS = 200
DATASET_START = 132
OPEN_SEQUENCE = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
OPEN_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One way of damage, drawn at random."""
    kinds = (_flip, _flip_header, _truncate, _absurd_length, _nest, _remove, _repeat, _zero)
    return kinds[rng.integers(len(kinds))](bytearray(data), rng)


def _flip(data: bytearray, rng: np.random.Generator) -> bytes:
    for place in rng.integers(DATASET_START, len(data), rng.integers(1, 40)):
        data[place] = rng.integers(256)
    return bytes(data)


def _flip_header(data: bytearray, rng: np.random.Generator) -> bytes:
    end = min(len(data), 2500)
    for place in rng.integers(DATASET_START, end, rng.integers(1, 8)):
        data[place] ^= 1 << rng.integers(8)
    return bytes(data)


def _truncate(data: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(data[: rng.integers(len(data))])


def _absurd_length(data: bytearray, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(DATASET_START, min(len(data), 2500) - 4))
    absurd = (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0xFFFF, 0)
    data[place : place + 4] = struct.pack("<L", absurd[rng.integers(len(absurd))])
    return bytes(data)


def _nest(data: bytearray, rng: np.random.Generator) -> bytes:
    place = _elements_start(bytes(data))
    depth = int(rng.integers(100, 5000))
    return bytes(data[:place] + (OPEN_SEQUENCE + OPEN_ITEM) * depth + data[place:])


def _remove(data: bytearray, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(DATASET_START, len(data)))
    return bytes(data[:place] + data[place + int(rng.integers(1, 400)) :])


def _repeat(data: bytearray, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(DATASET_START, len(data)))
    end = place + int(rng.integers(1, 400))
    return bytes(data[:end] + data[place:])


def _zero(data: bytearray, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(DATASET_START, len(data)))
    count = min(int(rng.integers(1, 2000)), len(data) - place)
    data[place : place + count] = bytes(count)
    return bytes(data)


def _elements_start(data: bytes) -> int:
    """Where the data set starts after the file meta."""
    (length,) = struct.unpack("<L", data[140:144])
    return 144 + length


def read_fully(path: Path) -> str:
    """Use everything that the rest of the project uses; tells how it ended."""
    started = time.process_time()  # waiting for a busy machine is no hang
    try:
        find_series(path)
        series = open_ct_series(path)
        for index in {0, len(series) - 1}:
            series.values(index)
            series.valid(index)
            list(series.header(index).iterall())
        series.source_digest()
        outcome, message = "read", "the file was read to its end"
    except IsocenterError as error:
        outcome, message = type(error).__name__, str(error)
    assert len(message) > 20
    assert time.process_time() - started < 60
    return outcome


def outcomes_of(sources: list[bytes], path: Path, *, count: int) -> Iterator[str]:
    for variant in range(count):
        rng = np.random.default_rng(variant)
        path.write_bytes(mutated(sources[variant % len(sources)], rng))
        yield read_fully(path)


def test_200_variants_of_all_transfer_syntaxes(
    write_classic_ct: Any, write_enhanced_ct: Any, transfer_syntaxes: Any, tmp_path: Any
) -> None:
    sources = []
    for syntax in transfer_syntaxes:
        for seed, write in ((1, write_classic_ct), (2, write_enhanced_ct)):
            scan = write(seed=seed, shape=(1 if seed == 1 else 2, 40, 36), transfer_syntax=syntax)
            sources.append(scan.files[0].read_bytes())
    outcomes = list(outcomes_of(sources, tmp_path / "variant.dcm", count=NUM_VARIANTS))
    assert outcomes.count("read") > 20
    assert len(outcomes) - outcomes.count("read") > 60


@pytest.mark.real_data
def test_200_variants_of_a_real_file(data_folder: Any, tmp_path: Any) -> None:
    folder = data_folder / "ct" / "train" / "lidc_0001_run0"
    source = sorted(folder.glob("*.dcm"))[0].read_bytes()
    outcomes = list(outcomes_of([source], tmp_path / "variant.dcm", count=NUM_VARIANTS))
    assert outcomes.count("read") > 10
    assert len(outcomes) - outcomes.count("read") > 60


def test_random_bytes_behind_a_dicom_start(tmp_path: Any) -> None:
    for variant in range(40):
        rng = np.random.default_rng(variant)
        path = tmp_path / "random.dcm"
        path.write_bytes(b"\0" * 128 + b"DICM" + rng.bytes(int(rng.integers(0, 5000))))
        assert read_fully(path) != "read"


@pytest.mark.parametrize("depth", [50, 900, 20_000])
def test_deep_sequences(write_classic_ct: Any, depth: Any) -> None:
    scan = write_classic_ct(shape=(1, 8, 8))
    data = scan.files[0].read_bytes()
    start = _elements_start(data)
    nested = (OPEN_SEQUENCE + OPEN_ITEM) * depth
    closing = (
        struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    ) * depth
    scan.files[0].write_bytes(data[:start] + nested + closing + data[start:])
    assert read_fully(scan.files[0]) in ("read", "UnreadableInput")


def test_deflated_bomb_is_inflated_no_further_than_its_header(
    write_classic_ct: Any, monkeypatch: Any
) -> None:
    inflated = []
    reached = InflatedStream.inflate_to

    def watched(stream: InflatedStream, place: int) -> int:
        inflated.append(reached(stream, place))
        return inflated[-1]

    monkeypatch.setattr(InflatedStream, "inflate_to", watched)
    scan = write_classic_ct(shape=(1, 8, 8), transfer_syntax=DeflatedExplicitVRLittleEndian)
    data = scan.files[0].read_bytes()
    start = _elements_start(data)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(bytes(2**26)) + deflater.flush()
    scan.files[0].write_bytes(data[:start] + bomb)
    with pytest.raises(UnreadableInput, match="more than 100000 elements"):
        open_ct_series(scan.folder)
    assert 0 < max(inflated) < 2**22


def test_deflated_pixels_are_inflated_as_far_as_the_header_declares_them(
    write_classic_ct: Any,
) -> None:
    scan = write_classic_ct(shape=(1, 8, 8), transfer_syntax=DeflatedExplicitVRLittleEndian)
    data = scan.files[0].read_bytes()
    start = _elements_start(data)
    header = zlib.decompress(data[start:], -zlib.MAX_WBITS)[: -8 * 8 * 2]
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = struct.pack("<L", 2**26)
    bomb = deflater.compress(header[:-4] + length + bytes(2**26)) + deflater.flush()
    scan.files[0].write_bytes(data[:start] + bomb)
    series = open_ct_series(scan.folder)
    assert (series.stored(0) == 0).all()
    stream, _ = open_stream(scan.files[0])
    with stream:
        assert stream.seek(0, io.SEEK_END) > 2**26
    with pytest.raises(UnreadableInput, match="limit inflated_bytes"):
        open_ct_series(scan.folder, limits=Limits(inflated_bytes=1000))


def test_endless_header_is_refused(write_classic_ct: Any) -> None:
    scan = write_classic_ct(shape=(1, 8, 8))
    data = scan.files[0].read_bytes()
    start = _elements_start(data)
    empty = struct.pack("<HH2sH", 0x0008, 0x0050, b"SH", 0)
    scan.files[0].write_bytes(data[:start] + empty * 2000 + data[start:])
    with pytest.raises(UnreadableInput, match="more than 1000 elements"):
        open_ct_series(scan.folder, limits=Limits(elements=1000))


def codestream(write_classic_ct: Any, syntax: Any) -> bytes:
    """The compressed bytes of one small frame."""
    scan = write_classic_ct(shape=(1, 40, 36), transfer_syntax=syntax)
    return open_ct_series(scan.folder)._raw(0)


FRAME: dict[str, Any] = {
    "rows": 40,
    "columns": 36,
    "bits_allocated": 16,
    "bits_stored": 16,
    "signed": True,
}


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1])
def test_codestream_of_another_size_never_reaches_a_codec(
    write_classic_ct: Any, syntax: Any, monkeypatch: Any
) -> None:
    frame = codestream(write_classic_ct, syntax)
    decoder = FrameDecoder()
    monkeypatch.setattr(decoder, "_ask", lambda *_: pytest.fail("reached the codec"))
    with pytest.raises(UnreadableInput, match="cannot be decoded"):
        decoder.decode(frame, transfer_syntax=syntax, **FRAME | {"rows": 4000})
    marker, distance = {
        JPEG2000Lossless: (b"\xff\x4f\xff\x51", 41),
        JPEGLSLossless: (b"\xff\xf7", 9),
        JPEGLosslessSV1: (b"\xff\xc3", 9),
    }[syntax]
    color = bytearray(frame)
    color[color.index(marker) + distance] = 3  # components
    with pytest.raises(UnreadableInput, match="cannot be decoded"):
        decoder.decode(bytes(color), transfer_syntax=syntax, **FRAME)
    with pytest.raises(UnreadableInput, match="cannot be decoded"):
        decoder.decode(b"", transfer_syntax=syntax, **FRAME)


def test_worker_that_hangs_or_dies_is_replaced(write_classic_ct: Any, monkeypatch: Any) -> None:
    frame = codestream(write_classic_ct, JPEG2000Lossless)
    decoder = FrameDecoder()
    try:
        whole = decoder.decode(frame, transfer_syntax=JPEG2000Lossless, **FRAME)
        process = decoder._process
        assert process is not None
        process.kill()
        process.wait()
        again = decoder.decode(frame, transfer_syntax=JPEG2000Lossless, **FRAME)
        np.testing.assert_array_equal(again, whole)
        assert decoder._process is not None
        os.kill(decoder._process.pid, signal.SIGSTOP)  # it hangs
        short = Limits(decoding_seconds=0.1)
        with pytest.raises(UnreadableInput, match="cannot be decoded"):
            decoder.decode(frame, transfer_syntax=JPEG2000Lossless, limits=short, **FRAME)
        again = decoder.decode(frame, transfer_syntax=JPEG2000Lossless, **FRAME)
        np.testing.assert_array_equal(again, whole)
    finally:
        decoder.close()


def test_limits_work_without_the_resource_module(monkeypatch: Any) -> None:
    import sys

    from isocenter.dicom.decoding import worker as decoding_worker

    monkeypatch.setitem(sys.modules, "resource", None)
    decoding_worker.limit_memory(2**30)
    decoding_worker.limit_processor(1.0)


def test_the_worker_gets_the_limits_of_each_call(write_classic_ct: Any) -> None:
    resource = pytest.importorskip("resource")
    frame = codestream(write_classic_ct, RLELossless)
    decoder = FrameDecoder()
    try:
        for memory, seconds in ((2**31, 7.0), (2**31 + 2**20, 9.0)):
            limits = Limits(decoding_memory_bytes=memory, decoding_seconds=seconds)
            decoder.decode(frame, transfer_syntax=RLELossless, limits=limits, **FRAME)
            assert decoder._process is not None
            pid = decoder._process.pid
            assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == memory
            assert seconds <= resource.prlimit(pid, resource.RLIMIT_CPU)[0] < 60
        too_little = Limits(decoding_memory_bytes=2**20)
        with pytest.raises(UnreadableInput, match="cannot be decoded"):
            decoder.decode(frame, transfer_syntax=RLELossless, limits=too_little, **FRAME)
    finally:
        decoder.close()


def test_a_frame_shorter_than_its_size_allows_is_refused_before_decoding(
    write_classic_ct: Any, monkeypatch: Any
) -> None:
    decoded = []
    monkeypatch.setattr(FrameDecoder, "decode", lambda *_, **__: decoded.append(1))

    def larger(dataset: Any, _: int) -> None:
        dataset.Rows = dataset.Columns = 4000

    scan = write_classic_ct(shape=(1, 40, 36), transfer_syntax=RLELossless, edit=larger)
    with pytest.raises(UnreadableInput, match="has at least 500064"):
        open_ct_series(scan.folder)
    assert not decoded


@pytest.mark.parametrize("wrong", [{"Rows": 8192, "Columns": 8192}, {"Rows": 65535}, {"Rows": 1}])
def test_a_matrix_that_is_no_image_is_refused_by_the_header(
    write_classic_ct: Any, monkeypatch: Any, wrong: Any
) -> None:
    decoded = []
    monkeypatch.setattr(FrameDecoder, "decode", lambda *_, **__: decoded.append(1))

    def edit(dataset: Any, _: int) -> None:
        for keyword, value in wrong.items():
            setattr(dataset, keyword, value)

    scan = write_classic_ct(shape=(1, 40, 300), transfer_syntax=RLELossless, edit=edit)
    with pytest.raises(UnreadableInput, match="limits frames and frame_pixels"):
        open_ct_series(scan.folder)
    assert not decoded


def test_files_of_other_kinds_are_not_walked_behind_what_is_read_of_them(
    write_classic_ct: Any,
) -> None:
    """A structure set may hold 100,000 items; beside a CT it must not count as damaged."""
    scan = write_classic_ct(shape=(3, 40, 36))
    other = write_classic_ct(folder=scan.folder / "other", seed=9, shape=(1, 8, 8))
    dataset = dcmread(other.files[0])
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    dataset.Modality = "RTSTRUCT"
    del dataset.PixelData
    dataset.ROIContourSequence = [Dataset() for _ in range(30)]
    dataset.save_as(scan.folder / "structures.dcm")
    limits = Limits(items=10)
    other.files[0].unlink()
    assert len(open_ct_series(scan.folder, limits=limits)) == 3
    with pytest.raises(UnsuitableScan, match="not a CT"):
        open_ct_series(scan.folder / "structures.dcm", limits=limits)


def test_more_files_than_allowed_are_refused(write_classic_ct: Any) -> None:
    scan = write_classic_ct(shape=(3, 8, 8))
    with pytest.raises(UnreadableInput, match="limit files"):
        open_ct_series(scan.folder, limits=Limits(files=2))
    with pytest.raises(UnreadableInput, match="limit file_bytes"):
        open_ct_series(scan.files[0], limits=Limits(file_bytes=200))
    with pytest.raises(UnreadableInput, match="limit volume_voxels"):
        open_ct_series(scan.folder, limits=Limits(volume_voxels=100)).to_volume()


def test_answers_of_the_worker_are_not_trusted(monkeypatch: Any, write_classic_ct: Any) -> None:
    frame = codestream(write_classic_ct, JPEG2000Lossless)
    decoder = FrameDecoder()
    monkeypatch.setattr(decoder, "_ask", lambda *_: (np.dtype("<i2"), b"12"))
    with pytest.raises(UnreadableInput, match="cannot be decoded"):
        decoder.decode(frame, transfer_syntax=JPEG2000Lossless, **FRAME)
    assert JPEG2000Lossless in decoding.COMPRESSED_SYNTAXES
