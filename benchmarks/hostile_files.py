"""What hostile files cost: ``python -m benchmarks.hostile_files [--against SRC] [--output FILE]``.

Writes small files that declare or decode to much, gives each to ``isocenter enhance`` in a process
of its own and prints the seconds of its processor and by the clock and its peak memory, the process
that decodes included, beside those of ``isocenter --help`` and of a small sound scan, refused after
its header and the model were read. All of the bombs must be refused.
With ``--against``, the ``src`` folder of another checkout is run on the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import isocenter
from benchmarks.odd_inputs.pixels import deflated_bomb, item_bomb, nested_bomb, rle_bomb
from benchmarks.odd_inputs.volumes import declared_large, gzip_bomb, nifti

HERE = Path(isocenter.__file__).parents[1]
LONGEST_S = 900
REFUSED = 2
Make = Callable[[], bytes]

# In a sequence that tells whether a model made the image.
_ITEMS = partial(item_bomb, keyword="ContributingEquipmentSequence")
BOMBS: dict[str, tuple[str, int, Make]] = {
    "RLE of 8192 x 8192": ("bomb.dcm", 1, rle_bomb),
    "300,000 empty items": ("bomb.dcm", 1, _ITEMS),
    "300,000 empty items, 20 files": ("bomb.dcm", 20, _ITEMS),
    "four deflated bombs of 400 MB, empty elements": ("bomb.dcm", 4, deflated_bomb),
    "four deflated bombs of 400 MB, one element": (
        "bomb.dcm",
        4,
        partial(deflated_bomb, where="one element"),
    ),
    "50,000 nested sequences": ("bomb.dcm", 1, nested_bomb),
    "NIfTI, gzip bomb of 2 GB": ("bomb.nii.gz", 1, partial(gzip_bomb, 2**31)),
    "NIfTI, a header that declares 1 GB": (
        "bomb.nii",
        1,
        partial(declared_large, 1000, 1000, 1000),
    ),
    "NIfTI, gzip, a header that declares 1.3 GB": (
        "bomb.nii.gz",
        1,
        partial(gzip_bomb, 2**22, declared_large(1200, 1200, 900)),
    ),
}
_MEASURE = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "code": code,
    "seconds": round(time.perf_counter() - started, 2),
    "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
    "peak_memory_gb": round(used.ru_maxrss / 1e6, 3),
}))
"""


def main() -> None:
    """Parse the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="SRC", help="src of another checkout")
    parser.add_argument("--only", default="", help="inputs whose name holds this")
    parser.add_argument("--output", type=Path, help="file for the figures, JSON")
    arguments = parser.parse_args()
    sources = {"this": HERE}
    if arguments.against is not None:
        sources["other"] = arguments.against.resolve()
    with tempfile.TemporaryDirectory() as place:
        figures = {
            name: {source: cost_of(command, path) for source, path in sources.items()}
            for name, command in commands(Path(place), only=arguments.only)
        }
    print(table(figures, list(sources)))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
    codes = [cost["this"]["code"] for name, cost in figures.items() if name in BOMBS]
    sys.exit(any(code != REFUSED for code in codes))


def commands(place: Path, *, only: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each input and what runs on it; files are written when their turn comes."""
    yield "isocenter --help", ["--help"]
    good = place / "good.nii"
    good.write_bytes(nifti())
    yield "a scan of coarse pixels", ["enhance", str(good), "--output", str(place / "good")]
    chosen = {name: bomb for name, bomb in BOMBS.items() if only in name}
    for number, (name, (file, count, make)) in enumerate(chosen.items()):
        folder = place / str(number)
        folder.mkdir()
        content = make()
        for copy in range(count):
            (folder / f"{copy}{file}").write_bytes(content)
        given = folder if file.endswith(".dcm") else folder / f"0{file}"
        yield name, ["enhance", str(given), "--output", str(place / "out")]


def cost_of(command: list[str], source: Path) -> dict[str, float]:
    """Of one process and all that it starts; a process in between counts its children alone."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "isocenter", *command]
    started = time.perf_counter()
    try:
        measured = subprocess.run(
            [sys.executable, "-c", _MEASURE, *program],
            env=environment,
            capture_output=True,
            timeout=LONGEST_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = time.perf_counter() - started
        return {
            "code": -1,
            "seconds": spent,
            "cpu_seconds": spent,
            "peak_memory_gb": used.ru_maxrss,
        }
    cost: dict[str, float] = json.loads(measured.stdout)
    return cost


def table(figures: dict[str, dict[str, dict[str, float]]], sources: list[str]) -> str:
    """A line an input."""
    cells = [f"{name} {what}" for name in sources for what in ("code", "CPU s", "s", "peak GB")]
    lines = ["| input | " + " | ".join(cells) + " |", "|---" * (len(cells) + 1) + "|"]
    for name, costs in figures.items():
        row = [
            str(costs[source][key])
            for source in sources
            for key in ("code", "cpu_seconds", "seconds", "peak_memory_gb")
        ]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
