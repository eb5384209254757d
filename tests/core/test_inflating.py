"""Compressed bytes as a file: the same as inflated at once, and no further than allowed."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest

from isocenter.core.errors import UnreadableInput
from isocenter.core.inflating import GZIP, MOST_GROWTH, RAW, InflatedStream, size_up_to

CONTENT = np.random.default_rng(0).integers(0, 9, 300_000, np.uint8).tobytes()


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=RAW)
    return deflater.compress(content) + deflater.flush()


def opened(tmp_path: Path, content: bytes, **options: object) -> InflatedStream:
    path = tmp_path / "compressed"
    path.write_bytes(content)
    given = {"form": RAW, "most_bytes": 10**6} | options
    return InflatedStream(path, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "compressed"),
    [
        (RAW, deflated(CONTENT)),
        (RAW, deflated(CONTENT) + b"\0"),
        (GZIP, gzip.compress(CONTENT)),
        (GZIP, gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]) + bytes(9)),
    ],
)
def test_reads_and_seeks_as_a_file_of_the_content(
    tmp_path: Path, form: int, compressed: bytes
) -> None:
    plain, start = io.BytesIO(b"head" + CONTENT), b"head"
    with opened(tmp_path, compressed, form=form, start=start) as stream:
        for place, count in ((0, 10), (5, 0), (299_000, 5000), (20, 70_000), (10**6, 4)):
            assert stream.seek(place) == plain.seek(place)
            assert stream.read(count) == plain.read(count)
        assert stream.seek(-3, io.SEEK_CUR) == plain.seek(-3, io.SEEK_CUR)
        assert stream.seek(0, io.SEEK_END) == len(CONTENT) + 4
        stream.seek(0)
        assert stream.read() == b"head" + CONTENT


def test_without_keeping_what_was_read_is_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path, deflated(CONTENT), keep=False) as stream:
        parts = [stream.read(70_000) for _ in range(5)]
        assert b"".join(parts) == CONTENT
        assert not stream._content


def test_a_bomb_ends_at_its_limit_and_a_look_at_its_start_costs_little(tmp_path: Path) -> None:
    bomb = deflated(bytes(2**25))
    assert MOST_GROWTH * len(bomb) > 2**25
    with opened(tmp_path, bomb, most_bytes=2**22, advice="; stop") as stream:
        stream.read(10)
        assert len(stream._content) <= 2**20
        with pytest.raises(UnreadableInput, match="grows beyond 4 MiB; stop"):
            stream.read()
        assert len(stream._content) == 2**22 + 1


def test_damage_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(CONTENT)
    for damaged in (whole[:-4], whole[: len(whole) // 2], b"no gzip at all", whole[:-8] + bytes(8)):
        with (
            opened(tmp_path, damaged, form=GZIP) as stream,
            pytest.raises(UnreadableInput, match=r"damaged|truncated"),
        ):
            stream.read()


def test_raw_data_that_break_off_end_there(tmp_path: Path) -> None:
    with opened(tmp_path, deflated(CONTENT)[:-2000]) as stream:
        part = stream.read()
    assert 0 < len(part) < len(CONTENT)
    assert CONTENT.startswith(part)


def test_the_size_of_a_stream_is_known_as_far_as_asked(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(bytes(500))
    with (tmp_path / "plain").open("rb") as plain:
        assert size_up_to(cast(BinaryIO, plain), 7) == 500
    with opened(tmp_path, deflated(bytes(2**22)), most_bytes=2**23) as stream:
        assert 7 <= size_up_to(stream, 7) < 2**21
