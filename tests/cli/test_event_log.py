"""The log has whole lines, and nothing in them that names anybody."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import Result

from isocenter.cli.event_log import EventLog
from isocenter.core.errors import OutputRefused, UnreadableInput

Invoke = Callable[..., Result]
Stand = Callable[..., Any]


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_run_leaves_its_beginning_and_its_end(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, tmp_path: Path
) -> None:
    enhanced.notes = ("1 file was damaged",)
    stand("isocenter.tasks.run", "run", enhanced)
    log = tmp_path / "log.jsonl"
    document = json.loads(
        invoke("enhance", "scan", "-o", "out", "--json", "--log", str(log)).stdout
    )
    began, ended = lines_of(log)
    assert (began["event"], began["level"]) == ("started", "info")
    assert (ended["event"], ended["outcome"], ended["reason"]) == ("ended", "done", "done")
    assert ended["command"] == "enhance"
    assert (ended["num_notes"], ended["num_warnings"]) == (1, 0)
    assert ended["counts"] == document["counts"]
    assert began["run"] == ended["run"] == document["run"]


def test_the_log_names_nobody(invoke: Invoke, stand: Stand, tmp_path: Path) -> None:
    stand("isocenter.tasks.run", "run", UnreadableInput("see DOE_JANE/1.2.840.1"))
    log = tmp_path / "log.jsonl"
    scan = "DOE_JANE/1.2.840.1"
    invoke("enhance", scan, "-o", f"{scan}/out", "--series", "1.2.840.2", "--log", str(log))
    invoke("DOE_JANE", "--log", str(log))
    invoke("enhance", scan, "DOE_JANE", f"--log={log}")
    stand("isocenter.tasks.run", "run", ValueError("DOE_JANE 1.2.840.1"))
    invoke("enhance", scan, "-o", "out", "--log", str(log))
    ends = [line for line in lines_of(log) if line["event"] == "ended"]
    assert [line["reason"] for line in ends] == ["unreadable", "usage", "usage", "unexpected"]
    assert [line["level"] for line in ends] == ["warning", "warning", "warning", "error"]
    assert ends[-1]["error"].startswith("ValueError at conftest.py:")
    for word in ("DOE", "1.2.840", str(tmp_path)):
        assert word not in log.read_text()


def test_the_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    EventLog(log, run="a").close()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_line_that_broke_off_spoils_no_other(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"event": "ended"}\n{"eve')
    events = EventLog(log, run="a")
    events.write("started")
    events.close()
    assert [line["run"] for line in lines_of_whole(log)] == ["a"]


def lines_of_whole(log: Path) -> list[dict[str, Any]]:
    last = log.read_text().splitlines()[-1]
    return [json.loads(last)]


def _append(path: Path, name: str, count: int) -> None:
    log = EventLog(path, run=name)
    for number in range(count):
        log.write("step", counts={"slices": number}, filling="x" * 500)
    log.close()


def test_several_runs_share_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    context = get_context("fork")
    runs = [context.Process(target=_append, args=(log, name, 200)) for name in "abc"]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    lines = lines_of(log)
    for name in "abc":
        numbers = [line["counts"]["slices"] for line in lines if line["run"] == name]
        assert numbers == list(range(200))


@pytest.mark.parametrize("place", ["no/such/folder/log", "."])
def test_a_log_that_cannot_be_opened_is_refused_before_any_work(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, tmp_path: Path, place: str
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", "scan", "-o", "out", "--json", "--log", str(tmp_path / place))
    document = json.loads(result.stdout)
    assert (document["reason"], result.exit_code) == ("log_not_writable", 2)
    assert not call.calls


def test_a_log_without_a_name_of_a_file_is_refused() -> None:
    with pytest.raises(OutputRefused, match="not a name"):
        EventLog(Path("a\0b"), run="a")


def test_a_log_on_a_full_disk_does_not_stop_the_work(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", "scan", "-o", "out", "--log", "/dev/full")
    assert result.exit_code == 0
    assert "could not be written to its end" in result.stderr
