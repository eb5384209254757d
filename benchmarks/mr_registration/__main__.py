"""Plant motions in real heads, find them again, and see whether the check tells right from wrong.

    python -m benchmarks.mr_registration --data FOLDER [--output FOLDER] [--heads TEXT]
        [--motions NUMBER] [--kinds planted unmoved pushed stranger]

FOLDER is the ``mri`` folder of the real scans. Each trial is one line of trials.jsonl, written as
soon as it is done; trials that stand there are not made again, so a run may be cut and continued.
mr_registration.md holds the tables of all trials so far.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.mr_registration.heads import Head, read_heads
from benchmarks.mr_registration.tables import tables
from benchmarks.mr_registration.trials import (
    PUSHES_MM,
    Trial,
    is_same_outline,
    planted,
    pushed,
    stranger,
    unmoved,
)

KINDS = ("planted", "unmoved", "pushed", "stranger")


def main() -> None:
    """Make the trials that are not there yet, and the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/mr_registration"))
    parser.add_argument("--heads", default="", help="a part of their names")
    parser.add_argument("--motions", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output / "trials.jsonl"
    done = _read(log)
    heads = list(read_heads(options.data, options.heads))
    known = {one["key"] for one in done}
    for key, make in _work(heads, options.motions, options.kinds):
        if key in known:
            continue
        trial = {**make(), "key": key}
        done.append(trial)
        with log.open("a") as stream:
            stream.write(json.dumps(trial) + "\n")
        print(key, f"{trial['mean_mm']:.2f} mm", trial["problems"] or "passed", flush=True)
    text = tables(done)
    (options.output / "mr_registration.md").write_text(text)
    print(text)


def _read(log: Path) -> list[Trial]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _work(
    heads: list[Head], motions: int, kinds: list[str]
) -> Iterator[tuple[str, Callable[[], Trial]]]:
    """The trials to be made, each with its name."""
    for number, head in itertools.product(range(motions), heads):
        for name in list(head.images)[1:]:
            if "planted" in kinds:
                yield f"planted {number} {head.name} {name}", partial(planted, head, name, number)
    for head in heads:
        for name in list(head.images)[1:]:
            if "unmoved" in kinds:
                yield f"unmoved {head.name} {name}", partial(unmoved, head, name)
            for push_mm in PUSHES_MM if "pushed" in kinds else ():
                key = f"pushed {head.name} {name} {push_mm:g}"
                yield key, partial(pushed, head, name, push_mm)
    for first, second in itertools.permutations(heads, 2):
        are_two = first.person != second.person
        if "stranger" in kinds and are_two and is_same_outline(first, second):
            yield f"stranger {first.name} {second.name}", partial(stranger, first, second)


if __name__ == "__main__":
    main()
