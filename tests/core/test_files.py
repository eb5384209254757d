"""A file is whole or absent, and what stood there before survives a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isocenter.core.files import (
    appearing_whole,
    digests_below,
    folder_appearing_whole,
    write_json,
    write_text,
)
from isocenter.core.partial_folders import PARTIAL, left_overs


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "a.txt"
    with appearing_whole(final) as part:
        part.write_text("half")
        assert not final.exists()
    assert final.read_text() == "half"
    assert list(tmp_path.iterdir()) == [final]


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    final = write_text(tmp_path / "a.txt", "before")

    def fail() -> None:
        with appearing_whole(final) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert final.read_text() == "before"
    assert list(tmp_path.iterdir()) == [final]


def test_json_refuses_what_no_reader_takes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())
    assert json.loads(write_json(tmp_path / "a.json", {"x": 1}).read_text()) == {"x": 1}


def test_digests_change_with_content_and_name_alone(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_text(tmp_path / "b" / "c.txt", "x")
    write_text(tmp_path / "a.txt", "x")
    found = digests_below(tmp_path)
    assert list(found) == ["a.txt", "b/c.txt"]
    assert found["a.txt"] == found["b/c.txt"]
    write_text(tmp_path / "a.txt", "y")
    assert digests_below(tmp_path)["a.txt"] != found["a.txt"]


def test_a_folder_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "result"
    with folder_appearing_whole(final) as partial:
        (partial / "a").write_text("x")
        assert not final.exists()
        assert PARTIAL.fullmatch(partial.name.removeprefix(".result"))
        (left,) = left_overs(tmp_path)
        assert (left.folder, left.in_use) == (partial, True)
    assert (final / "a").read_text() == "x"
    assert list(tmp_path.iterdir()) == [final]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with folder_appearing_whole(tmp_path / "result") as partial:
            (partial / "a").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_never_replaced(tmp_path: Path) -> None:
    final = tmp_path / "result"
    final.mkdir()
    (final / "kept").write_text("x")

    def replace() -> None:
        with folder_appearing_whole(final):
            pass

    with pytest.raises(OSError, match="not empty"):
        replace()
    assert (final / "kept").read_text() == "x"
