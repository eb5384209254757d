"""A file is whole or absent, and what stood there before survives a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isocenter.core.files import appearing_whole, digests_below, write_json, write_text


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
