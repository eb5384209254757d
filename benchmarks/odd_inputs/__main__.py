"""Hundreds of damaged and odd inputs: ``python -m benchmarks.odd_inputs --output FOLDER``.

Builds each input, gives it to ``isocenter series`` and ``isocenter enhance`` in a process of its
own, and judges: the exit code is as its kind asks for, no traceback, no slice lost without a word,
nothing left beside the output, no planted identifier or input path in what is printed, in the
record or in the report, within bounded seconds and memory. Prints a table by kind, writes
``odd_inputs.json``, and ends with 1 where one is not handled. A stand-in takes the model's place.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.odd_inputs.case import OddInput
from benchmarks.odd_inputs.collection import all_inputs, sample_of
from benchmarks.odd_inputs.judge import Verdict, judge_all, totals
from benchmarks.odd_inputs.program import prepared


def main() -> None:
    """Parse the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for odd_inputs.json")
    parser.add_argument("--kinds", nargs="*", help="only these kinds")
    parser.add_argument("--names", help="only inputs whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="one in so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--keep", action="store_true", help="leave inputs and results in --output")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    arguments = parser.parse_args()
    cases = sample_of(all_inputs(), every=arguments.every, seed=arguments.seed)
    cases = [case for case in cases if not arguments.kinds or case.kind in arguments.kinds]
    cases = [case for case in cases if not arguments.names or arguments.names in case.name]
    if arguments.list:
        print("\n".join(f"{case.kind}: {case.name}: {case.expect}" for case in cases))
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    kept = arguments.output / "inputs"
    with tempfile.TemporaryDirectory() as temporary, prepared():
        place = kept if arguments.keep else Path(temporary)
        verdicts = judged(cases, place, jobs=arguments.jobs, keep=arguments.keep)
    content = {"kinds": totals(verdicts), "inputs": [asdict(verdict) for verdict in verdicts]}
    (arguments.output / "odd_inputs.json").write_text(json.dumps(content, indent=1) + "\n")
    print(table(verdicts))
    sys.exit(0 if all(verdict.handled for verdict in verdicts) else 1)


def judged(cases: Sequence[OddInput], place: Path, *, jobs: int, keep: bool) -> list[Verdict]:
    """All verdicts in the order of the cases; faults are told as they come."""
    verdicts = []
    for done, verdict in enumerate(judge_all(cases, place, jobs=jobs, keep=keep), start=1):
        verdicts.append(verdict)
        if not verdict.handled:
            print(f"{verdict.kind}: {verdict.name}: {'; '.join(verdict.faults)}", flush=True)
        if done % 50 == 0:
            print(f"{done} of {len(cases)}", file=sys.stderr, flush=True)
    order = {(case.kind, case.name): place for place, case in enumerate(cases)}
    return sorted(verdicts, key=lambda verdict: order[verdict.kind, verdict.name])


def table(verdicts: Sequence[Verdict]) -> str:
    """A line a kind, and the sum."""
    lines = [
        "| kind | inputs | handled | refused | slowest, s | largest, GB |",
        "|---|---|---|---|---|---|",
    ]
    for row in totals(verdicts):
        lines.append(
            f"| {row['kind']} | {row['inputs']} | {row['handled']} | {row['refused']} "
            f"| {row['seconds']:.1f} | {row['gb']:.2f} |"
        )
    handled = sum(verdict.handled for verdict in verdicts)
    refused = sum(row["refused"] for row in totals(verdicts))
    lines.append(f"| all | {len(verdicts)} | {handled} | {refused} | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
