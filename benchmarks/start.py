"""What a user waits for: ``python -m benchmarks.start [--against SRC] [--output FILE]``.

Writes phantom scans, then runs whole processes in turn: ``import torch`` alone, the help, one slice
from command to finished folder, and a longer scan at strength 0 and 1, whose slices beyond the
first give the time of a slice for mean and sample (the sample includes its mean). Prints medians,
each over the median of ``import torch`` in the same run, and the time of the processor, so that a
busy machine spoils less, and the peak memory. With ``--against``, the ``src`` folder of another
checkout is run in turn with this one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import isocenter
from benchmarks.processes import Cost, cost_of

HERE = Path(isocenter.__file__).parents[1]
IMPORT, HELP, ONE, ONE_MEAN, MEAN, SAMPLE = (
    "import torch",
    "--help",
    "one slice",
    "one slice, strength 0",
    "a scan, strength 0",
    "a scan, strength 1",
)


def main() -> None:
    """Parse the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="SRC", help="src of another checkout")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each process")
    parser.add_argument("--slices", type=int, default=6, help="of the longer scan")
    parser.add_argument("--threads", type=int, default=2, help="for every process")
    parser.add_argument("--output", type=Path, help="file for the figures, JSON")
    arguments = parser.parse_args()
    if arguments.slices < 2 or arguments.repeats < 1:
        parser.error("the longer scan needs 2 slices or more, and each process one run")
    sources = {"this": HERE}
    if arguments.against is not None:
        if not (arguments.against / "isocenter" / "__init__.py").is_file():
            parser.error(f"{arguments.against} holds no isocenter; name a checkout's src folder")
        sources["other"] = arguments.against.resolve()
    with tempfile.TemporaryDirectory() as place:
        costs = run(
            sources,
            Path(place),
            repeats=arguments.repeats,
            num_slices=arguments.slices,
            threads=arguments.threads,
        )
    figures = {name: figures_of(found, arguments.slices) for name, found in costs.items()}
    print(table(figures))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")


def run(
    sources: dict[str, Path], place: Path, *, repeats: int, num_slices: int, threads: int
) -> dict[str, dict[str, list[Cost]]]:
    """Costs of each process of each checkout; all take turns, so that load falls on all alike."""
    cost_of(["-m", "benchmarks.phantom_scans", str(place), "1", str(num_slices)], threads=threads)
    one, longer = place / "1", place / str(num_slices)
    commands = {
        IMPORT: ["-c", "import torch"],
        HELP: ["-m", "isocenter", "--help"],
        ONE: _enhance(one),
        ONE_MEAN: _enhance(one, "--strength", "0"),
        MEAN: _enhance(longer, "--strength", "0"),
        SAMPLE: _enhance(longer, "--strength", "1"),
    }
    costs: dict[str, dict[str, list[Cost]]] = {
        name: {what: [] for what in commands} for name in sources
    }
    for turn in range(repeats):
        for what, command in commands.items():
            for name, source in sources.items():
                costs[name][what].append(cost_of(command, threads=threads, source=source))
                shutil.rmtree(place / "out", ignore_errors=True)
                print(f"{turn + 1}/{repeats} {name}: {what}", file=sys.stderr, flush=True)
    return costs


def _enhance(scan: Path, *options: str) -> list[str]:
    return ["-m", "isocenter", "enhance", str(scan), *options, "--output", str(scan.parent / "out")]


def figures_of(costs: dict[str, list[Cost]], num_slices: int) -> dict[str, dict[str, Any]]:
    """Medians; the time of a slice is what the slices beyond the first one added."""
    middle = {what: median(cost.seconds for cost in found) for what, found in costs.items()}
    figures: dict[str, dict[str, Any]] = {
        what: {
            "seconds": round(seconds, 3),
            "cpu_seconds": round(median(c.cpu_seconds for c in costs[what]), 3),
            "over_import_torch": round(seconds / middle[IMPORT], 2),
            "peak_memory_gb": round(median(c.peak_memory_gb for c in costs[what]), 3),
        }
        for what, seconds in middle.items()
    }
    # The default strength takes a sample, as strength 1 does.
    for name, what, first in (("a slice, mean", MEAN, ONE_MEAN), ("a slice, sample", SAMPLE, ONE)):
        seconds = (middle[what] - middle[first]) / (num_slices - 1)
        figures[name] = {"seconds": round(seconds, 3)}
    return figures


def table(figures: dict[str, dict[str, dict[str, Any]]]) -> str:
    """One line a process; with two checkouts, this one over the other in the last column."""
    names = list(figures)
    head = [
        f"{name} {cell}"
        for name in names
        for cell in ("s", "CPU s", "over import torch", "peak GB")
    ]
    lines = ["| process | " + " | ".join([*head, *(["this / other"] if len(names) > 1 else [])])]
    lines[0] += " |"
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for what in figures[names[0]]:
        found = [figures[name][what] for name in names]
        cells = [
            str(each.get(key, ""))
            for each in found
            for key in ("seconds", "cpu_seconds", "over_import_torch", "peak_memory_gb")
        ]
        if len(names) > 1:
            cells.append(f"{found[0]['seconds'] / found[1]['seconds']:.2f}")
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
