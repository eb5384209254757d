"""Time and memory of whole runs: ``python -m benchmarks.ct_enhance.resources --output FOLDER``.

Writes a phantom series of each length, enhances it in a process of its own on two threads, and
asks the operating system what that took. Writes ``resources.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from isocenter.core.volume import Volume
from isocenter.dicom.writing.phantom_scan import write_phantom_scan
from isocenter.physics.ct_phantom import low_dose_phantom

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
    seed_volume, _ = low_dose_phantom(num_slices=10)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for count in arguments.slices:
            scan = Path(place) / f"scan{count}"
            scan.mkdir()
            write_phantom_scan(_longer(seed_volume, count), scan)
            for strength in STRENGTHS:
                rows.append(_run(scan, Path(place) / "out", count, strength))
                print(rows[-1], flush=True)
    (arguments.output / "resources.json").write_text(json.dumps(rows, indent=1))


def _longer(volume: Volume, count: int) -> Volume:
    """Repeat the slices back and forth until there are enough."""
    there = np.arange(len(volume.array))
    order = np.concatenate([there, there[-2:0:-1]])
    chosen = np.resize(order, count)
    geometry = replace(volume.geometry, shape=(count, *volume.geometry.shape[1:]))
    return replace(volume, array=volume.array[chosen], geometry=geometry, valid=None)


def _run(scan: Path, output: Path, count: int, strength: float) -> dict[str, float]:
    command = [sys.executable, "-m", "isocenter", "enhance", str(scan)]
    command += ["--output", str(output), "--strength", str(strength)]
    threads = {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, command, os.environ | threads)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit("enhancing failed; see above")
    shutil.rmtree(output)
    return {
        "slices": count,
        "strength": strength,
        "seconds": round(seconds, 1),
        "seconds_a_slice": round(seconds / count, 2),
        "peak_memory_gb": round(usage.ru_maxrss / 1e6, 2),
    }


if __name__ == "__main__":
    main()
