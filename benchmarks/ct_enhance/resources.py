"""Time and memory of whole runs: ``python -m benchmarks.ct_enhance.resources --output FOLDER``.

Writes a phantom series of each length, enhances it in a process of its own on two threads, and
asks the operating system what that took. Writes ``resources.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.processes import cost_of

THREADS = 2
LENGTHS = (20, 300)
STRENGTHS = (0.0, 1.0)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--slices", type=int, nargs="*", default=LENGTHS)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lengths = [str(count) for count in arguments.slices]
        cost_of(["-m", "benchmarks.phantom_scans", folder, *lengths], threads=THREADS)
        for count in arguments.slices:
            for strength in STRENGTHS:
                rows.append(_run(place / str(count), place / "out", count, strength))
                print(rows[-1], flush=True)
    (arguments.output / "resources.json").write_text(json.dumps(rows, indent=1))


def _run(scan: Path, output: Path, count: int, strength: float) -> dict[str, float]:
    command = ["-m", "isocenter", "enhance", str(scan)]
    command += ["--output", str(output), "--strength", str(strength)]
    cost = cost_of(command, threads=THREADS)
    shutil.rmtree(output)
    return {
        "slices": count,
        "strength": strength,
        "seconds": round(cost.seconds, 1),
        "seconds_a_slice": round(cost.seconds / count, 2),
        "peak_memory_gb": round(cost.peak_memory_gb, 2),
    }


if __name__ == "__main__":
    main()
