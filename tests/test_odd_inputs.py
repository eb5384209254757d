"""Damaged and odd inputs end as they must: a sample of ``benchmarks.odd_inputs``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="inputs run in forked processes with limits")
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # benchmarks are no part of the package
    sys.path.insert(0, str(ROOT))

from benchmarks.odd_inputs.case import Expect, OddInput  # noqa: E402
from benchmarks.odd_inputs.collection import all_inputs, sample_of  # noqa: E402
from benchmarks.odd_inputs.judge import judge_all, totals  # noqa: E402
from benchmarks.odd_inputs.program import prepared  # noqa: E402
from benchmarks.odd_inputs.scans import PLANTED, write_scan  # noqa: E402

EVERY, SEED = 60, 8


@pytest.fixture(scope="module", autouse=True)
def program() -> Iterator[None]:
    with prepared():
        yield


def test_there_are_enough_and_every_kind_is_in_the_sample() -> None:
    cases = all_inputs()
    assert len(cases) >= 589
    sample = sample_of(cases, every=EVERY)
    assert {case.kind for case in sample} == {case.kind for case in cases}
    assert sample == sample_of(cases, every=EVERY)
    assert sample != sample_of(cases, every=EVERY, seed=1)


def test_a_sample_is_handled(tmp_path: Path) -> None:
    verdicts = list(judge_all(sample_of(all_inputs(), every=EVERY, seed=SEED), tmp_path, jobs=2))
    assert not [(one.kind, one.name, one.faults) for one in verdicts if not one.handled]
    assert sum(row["inputs"] for row in totals(verdicts)) == len(verdicts)


def good(expect: Expect, **options: object) -> OddInput:
    given: dict[str, object] = {"build": write_scan, "slices": 4} | options
    return OddInput(kind="good", name=expect, expect=expect, **given)  # type: ignore[arg-type]


def crash(folder: Path) -> Path:
    os.kill(os.getpid(), signal.SIGKILL)
    return folder


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (good(Expect.ACCEPTED), ""),
        (good(Expect.EITHER), ""),
        (good(Expect.REFUSED), "it was accepted"),
        (good(Expect.NOTED), "nothing was noted"),
        (good(Expect.ACCEPTED, slices=5), "4 slices came of 5"),
        (good(Expect.ACCEPTED, arguments=("--seed", "x")), "it was refused"),
        (good(Expect.ACCEPTED, seconds=0.0), "s are more than 0"),
        (good(Expect.ACCEPTED, memory_gb=0.001), "GB are more than"),
        (good(Expect.ACCEPTED, build=crash), "ended by signal 9"),
        (
            good(
                Expect.REFUSED, build=lambda _: PLANTED["input path"], arguments=(PLANTED["name"],)
            ),
            "",
        ),
    ],
    ids=range(10),
)
def test_the_judge_sees_what_is_wrong(case: OddInput, fault: str, tmp_path: Path) -> None:
    (verdict,) = judge_all([case], tmp_path)
    if fault:
        assert any(fault in one for one in verdict.faults)
    else:
        assert verdict.handled
