"""Run the program on one odd input in a process of its own, and judge what came of it."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.odd_inputs.case import Expect, OddInput
from benchmarks.odd_inputs.scans import INPUT_FOLDER, PLANTED

HANG_S = 600
LEAST_MESSAGE = 20
ALL_WELL = re.compile(
    r"\d+ files? (?:was|were) seen: \d+ used, \d+ other, 0 damaged, 0 unreadable\."
)
NEVER_SHOWN = ("Traceback", "Unexpected", "Segmentation fault", "Exception")
SURPRISES = (1, 139, 134)
SIGNALED = 128


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one input.

    Attributes:
        faults: what was not as it must be; none where it was handled.
        codes: exit codes by command.
        said: what the program wrote to standard error.
        seconds: processor time of the slowest command.
        peak_memory_gb: of the process, what it had before included.
    """

    kind: str
    name: str
    expect: str
    faults: tuple[str, ...]
    codes: dict[str, int]
    said: str
    seconds: float
    peak_memory_gb: float

    @property
    def handled(self) -> bool:
        return not self.faults


def judge_all(
    cases: Sequence[OddInput], place: Path, *, jobs: int = 2, keep: bool = False
) -> Iterator[Verdict]:
    """Verdicts in the order in which they come; children are forked, so nothing is imported twice.

    Args:
        place: an empty folder for all that is written.
        jobs: how many run at a time.
        keep: leave inputs and results there.
    """
    waiting, running = list(enumerate(cases)), dict[int, tuple[OddInput, Path]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            number, case = waiting.pop(0)
            folder = place / f"{number:04d}"
            folder.mkdir(parents=True)
            sys.stdout.flush()
            sys.stderr.flush()
            child = os.fork()
            if child == 0:
                _run_and_leave(case, folder)
            running[child] = case, folder
        child, status = os.wait()
        if child not in running:
            continue
        case, folder = running.pop(child)
        yield _verdict(case, folder, os.waitstatus_to_exitcode(status))
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _verdict(case: OddInput, folder: Path, code: int) -> Verdict:
    told = folder / "verdict.json"
    if code == 0 and told.is_file():
        content = json.loads(told.read_text())
        return Verdict(**content | {"faults": tuple(content["faults"])})
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Verdict(
        kind=case.kind,
        name=case.name,
        expect=case.expect,
        faults=(f"the process ended by {how}",),
        codes={},
        said=_text(folder / "stderr"),
        seconds=float(HANG_S),
        peak_memory_gb=0.0,
    )


def _run_and_leave(case: OddInput, folder: Path) -> None:
    """In the child: never returns."""
    code = 1
    try:
        signal.alarm(HANG_S)
        verdict = _judged(case, folder)
        (folder / "verdict.json").write_text(json.dumps(asdict(verdict)))
        code = 0
    except BaseException:
        (folder / "stderr").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def _judged(case: OddInput, folder: Path) -> Verdict:
    source = folder / INPUT_FOLDER
    source.mkdir()
    given = str(case.build(source))
    out = folder / "out"
    out.mkdir()
    codes, times = {}, {}
    with _captured(folder):
        for command in case.commands:
            started = _processor_seconds()
            codes[command] = _exit_code(_arguments(case, command, given, out))
            times[command] = _processor_seconds() - started
    said = _text(folder / "stdout") + _text(folder / "stderr")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    peak = max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6)
    seconds = max(times.values())
    faults = [*_faults_in(case, codes, said, out), *_shown(case, said, out)]
    if seconds > case.seconds:
        faults.append(f"{seconds:.1f} s are more than {case.seconds:g}")
    if peak > case.memory_gb:
        faults.append(f"{peak:.2f} GB are more than {case.memory_gb:g}")
    return Verdict(
        kind=case.kind,
        name=case.name,
        expect=case.expect,
        faults=tuple(faults),
        codes=codes,
        said=_text(folder / "stderr")[-2000:],
        seconds=seconds,
        peak_memory_gb=peak,
    )


def _processor_seconds() -> float:
    """Of this process and of what it started and ended, so that a busy machine spoils nothing."""
    from isocenter.dicom.decoding.decode import frame_decoder

    frame_decoder.close()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _arguments(case: OddInput, command: str, given: str, out: Path) -> list[str]:
    separator = ["--"] if given.startswith("-") else []
    if command == "enhance":
        named = ["--output", str(out / case.output) if case.output else ""]
        # The dose is named, as the note that it was guessed would hide that no other note stands.
        return ["enhance", *named, "--dose-fraction", "0.5", *case.arguments, *separator, given]
    if command == "evaluate":
        return ["evaluate", *separator, given, given]
    return [command, *separator, given]


class _captured:
    """Everything that this process and its libraries write, in two files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, number)
            os.close(file)
            setattr(sys, name, os.fdopen(number, "w", closefd=False))

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()


def _exit_code(arguments: list[str]) -> int:
    from isocenter.cli import main

    try:
        main(arguments)
    except SystemExit as leaving:
        code = leaving.code
        return code if isinstance(code, int) else int(bool(code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _notes_something(said: str) -> bool:
    """Whether there is a note of another kind than every good run has."""
    notes = [line.split("note:", 1)[1].strip() for line in said.splitlines() if "note:" in line]
    return not all(
        note.startswith("The dose was not given") or ALL_WELL.fullmatch(note) for note in notes
    )


def _faults_in(case: OddInput, codes: dict[str, int], said: str, out: Path) -> Iterator[str]:
    """Wrong outcome, lost slices, left-overs."""
    for command, code in codes.items():
        if code in SURPRISES or code >= SIGNALED or code < 0:
            yield f"{command} ended with {code}"
    for word in NEVER_SHOWN:
        if word in said:
            yield f"{word!r} was printed"
    code = codes[case.commands[-1]]
    noted = _notes_something(said)
    if case.expect is Expect.REFUSED and code == 0:
        yield "it was accepted"
    if case.expect in (Expect.ACCEPTED, Expect.NOTED) and code != 0:
        yield "it was refused"
    if case.expect is Expect.NOTED and code == 0 and not noted:
        yield "nothing was noted"
    if code != 0 and len(said.strip()) < LEAST_MESSAGE:
        yield "no reason was given"
    if "enhance" not in codes:
        return
    result = out / case.output
    left = sorted(path.name for path in out.iterdir())
    if left != ([result.name] if code == 0 else []):
        yield f"beside the result lie {len(left)} names"
    if code == 0:
        yield from _faults_of_result(case, result, noted)


def _faults_of_result(case: OddInput, result: Path, noted: bool) -> Iterator[str]:
    import pydicom

    if not (result / "record.json").is_file() or not (result / "report.html").is_file():
        yield "the result has no record or report"
        return
    if case.slices is None or noted:
        return
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in result.glob("enhanced/*")]
    count = sum(int(file.get("NumberOfFrames") or 1) for file in files)
    if count != case.slices:
        yield f"{count} slices came of {case.slices}, and no note says why"


def _shown(case: OddInput, said: str, out: Path) -> Iterator[str]:
    """Identifiers in what was printed, or in record and report."""
    for name, text in {
        "output": said,
        "record": _text(out / case.output / "record.json"),
        "report": _text(out / case.output / "report.html"),
    }.items():
        for what, word in PLANTED.items():
            if word in text:
                yield f"the {what} of the patient stands in the {name}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def totals(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """A row a kind, in order of appearance."""
    rows: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        row = rows.setdefault(
            verdict.kind,
            {
                "kind": verdict.kind,
                "inputs": 0,
                "handled": 0,
                "refused": 0,
                "seconds": 0.0,
                "gb": 0.0,
            },
        )
        row["inputs"] += 1
        row["handled"] += verdict.handled
        row["refused"] += verdict.codes.get("enhance", 2) != 0
        row["seconds"] = max(row["seconds"], verdict.seconds)
        row["gb"] = max(row["gb"], verdict.peak_memory_gb)
    return list(rows.values())
