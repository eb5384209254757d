"""A result appears whole or not at all."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from isocenter.core.errors import OutputRefused
from isocenter.tasks.result_folder import (
    appearing_at_once,
    earlier_result,
    only_run_for,
    write_record,
    writing_to,
)


def make_result(final: Path, digest: str = "d1") -> None:
    with only_run_for(final), appearing_at_once(final) as partial:
        (partial / "image.bin").write_bytes(b"pixels")
        write_record(partial, {"record": {"digest": digest}})


def names_beside(final: Path) -> list[str]:
    return sorted(path.name for path in final.parent.iterdir())


def test_nothing_has_the_final_name_before_the_end(tmp_path: Path) -> None:
    final = tmp_path / "result"
    with only_run_for(final), appearing_at_once(final) as partial:
        (partial / "image.bin").write_bytes(b"pixels")
        assert not final.exists()
    assert names_beside(final) == ["result"]


def fail_halfway(final: Path) -> None:
    with only_run_for(final), appearing_at_once(final) as partial:
        (partial / "image.bin").write_bytes(b"pixels")
        raise KeyboardInterrupt


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_halfway(tmp_path / "result")
    assert names_beside(tmp_path / "result") == []


def test_an_empty_folder_may_be_there_already(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "result"
    final.mkdir(parents=True)
    assert earlier_result(final, "d1") is None
    make_result(final)
    assert (final / "image.bin").exists()


def test_the_same_result_is_recognized(tmp_path: Path) -> None:
    make_result(tmp_path / "result")
    content = earlier_result(tmp_path / "result", "d1")
    assert content is not None
    assert content["record"] == {"digest": "d1"}


def test_another_result_is_never_overwritten(tmp_path: Path) -> None:
    make_result(tmp_path / "result")
    with pytest.raises(OutputRefused, match="another scan, model or setting"):
        earlier_result(tmp_path / "result", "d2")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"record": 1, "files": []}'])
def test_foreign_folders_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(OutputRefused, match="holds no result of ours"):
        earlier_result(tmp_path, "d1")


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("mine")
    with pytest.raises(OutputRefused, match="is a file"):
        earlier_result(tmp_path / "result", "d1")


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_an_altered_result_is_not_passed_off_as_ours(tmp_path: Path, damage: str) -> None:
    make_result(tmp_path / "result")
    image = tmp_path / "result" / "image.bin"
    image.unlink() if damage == "remove" else image.write_bytes(b"pixelz")
    with pytest.raises(OutputRefused, match=r"changed or removed \(such as image\.bin\)"):
        earlier_result(tmp_path / "result", "d1")


def test_left_overs_go_when_the_next_run_starts(tmp_path: Path) -> None:
    left_over = tmp_path / ".result.partial-0123abcd"
    left_over.mkdir()
    (left_over / "IM0001.dcm").write_bytes(b"half")
    (tmp_path / ".result.lock").write_bytes(b"")
    bystanders = [".result.partial-mine", ".results.partial-0123abcd", "result2"]
    for name in bystanders:
        (tmp_path / name).mkdir()
    make_result(tmp_path / "result")
    assert names_beside(tmp_path / "result") == sorted([*bystanders, "result"])


def test_a_second_run_waits_outside(tmp_path: Path) -> None:
    final = tmp_path / "result"
    with only_run_for(final):
        with pytest.raises(OutputRefused, match="Another run is writing"), only_run_for(final):
            pass
        with only_run_for(tmp_path / "other"):
            pass


def test_the_record_lists_every_file(tmp_path: Path) -> None:
    make_result(tmp_path / "result")
    content = json.loads((tmp_path / "result" / "record.json").read_text())
    assert list(content["files"]) == ["image.bin"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "that you may write to"),
    ],
)
def test_the_system_saying_no_becomes_a_sentence(tmp_path: Path, code: int, words: str) -> None:
    with pytest.raises(OutputRefused, match=words), writing_to(tmp_path):
        raise OSError(code, "no")


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputRefused, match="Cannot write"), only_run_for(tmp_path / "file" / "x"):
        pass


def test_the_root_of_a_file_system_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.path.ismount", lambda path: path == tmp_path)
    with pytest.raises(OutputRefused, match="inside it"), only_run_for(tmp_path):
        pass
