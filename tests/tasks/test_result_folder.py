"""A result appears whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path

import pytest

from isocenter.core.errors import OutputRefused
from isocenter.core.files import writing_to
from isocenter.tasks.result_folder import (
    OLD_S,
    appearing_at_once,
    earlier_result,
    only_run_for,
    write_record,
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


def leave(folder: Path, name: str, *, age_s: float = 0.0) -> None:
    """What a run to ``name`` leaves when it is killed."""
    partial = folder / f".{name}.partial-0123abcd"
    (partial / "enhanced").mkdir(parents=True)
    (partial / "enhanced" / "IM0001.dcm").write_bytes(b"half")
    locks = [folder / f".{name}.isocenter-lock", folder / f"{partial.name}.isocenter-lock"]
    for lock in locks:
        lock.write_bytes(b"")
    then = time.time() - age_s
    for path in (*locks, partial / "enhanced" / "IM0001.dcm", partial / "enhanced", partial):
        os.utime(path, (then, then))


def test_left_overs_go_when_the_next_run_starts(tmp_path: Path) -> None:
    leave(tmp_path, "result")
    bystanders = [".result.partial-mine", ".results.partial-0123abcd", ".b.lock", "result2"]
    for name in bystanders:
        (tmp_path / name).mkdir()
    make_result(tmp_path / "result")
    assert names_beside(tmp_path / "result") == sorted([*bystanders, "result"])


def test_a_run_clears_away_what_others_left_long_ago(tmp_path: Path) -> None:
    leave(tmp_path, "old", age_s=OLD_S + 60)
    leave(tmp_path, "recent", age_s=60)
    make_result(tmp_path / "result")
    names = names_beside(tmp_path / "result")
    assert not [name for name in names if name.startswith(".old")]
    assert len([name for name in names if name.startswith(".recent")]) == 3


def test_a_run_that_goes_on_is_left_alone_however_old_it_looks(tmp_path: Path) -> None:
    with appearing_at_once(tmp_path / "slow") as partial:
        for path in tmp_path.iterdir():
            os.utime(path, (0, 0))
        make_result(tmp_path / "result")
        assert partial.is_dir()


def test_a_private_result_is_for_its_owner_alone(tmp_path: Path) -> None:
    final = tmp_path / "result"
    with appearing_at_once(final, private=True) as partial:
        assert stat.S_IMODE(partial.stat().st_mode) == 0o700
        (partial / "enhanced").mkdir()
        (partial / "enhanced" / "IM0001.dcm").write_bytes(b"pixels")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (final, *final.rglob("*"))}
    assert modes == {"result": 0o700, "enhanced": 0o700, "IM0001.dcm": 0o600}


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
        (errno.EFBIG, "files this large"),
        (errno.EROFS, "is read-only"),
        (errno.EIO, "reports a fault"),
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
