"""Measure the simulated cohort: slices a minute, and contrast beside real heads.

    python -m benchmarks.simulate_brain --data FOLDER [--output FOLDER] [--heads N]

It writes simulate_brain.json and simulate_brain.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.simulate_brain.contrast import Head, peak, ratios, real_adc, real_heads
from isocenter.datasets.label_maps import label_maps
from isocenter.datasets.mr_cohort import CohortHead, CohortSettings, MrCohort

SETTINGS = CohortSettings(slice_mm=(3.0, 3.0), pixel_mm=(1.0, 1.0), most_slices=48)


def main() -> None:
    """Simulate, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/simulate_brain"))
    parser.add_argument("--heads", type=int, default=6)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        cohort = MrCohort(label_maps(options.data), SETTINGS, cache)
        cohort[0]  # libraries are loaded and files are warm
        heads, speed = _simulated(cohort, options.heads)
        figures = {
            "speed": speed,
            "simulated": {head.name: ratios(head) for head in heads},
            "real": {head.name: ratios(head) for head in real_heads(options.data)},
            "adc_um2_s": {
                "simulated": {head.name: peak(head.images["ADC"][head.brain]) for head in heads},
                "real": real_adc(options.data),
            },
        }
    (options.output / "simulate_brain.json").write_text(json.dumps(figures, indent=2))
    table = _table(figures)
    (options.output / "simulate_brain.md").write_text(table)
    print(table)


def _simulated(cohort: MrCohort, count: int) -> tuple[list[Head], dict[str, float]]:
    """Heads, and how long they took, by the clock and by the processor."""
    heads = []
    wall, cpu, num_slices = 0.0, 0.0, 0
    for number in range(1, count + 1):
        started, cpu_started = time.perf_counter(), time.process_time()
        one = cohort[number]
        wall += time.perf_counter() - started
        cpu += time.process_time() - cpu_started
        num_slices += len(one)
        heads.append(_plain(one))
    return heads, {
        "slices": num_slices,
        "contrasts": len(cohort.settings.contrasts),
        "slices_a_minute": 60 * num_slices / wall,
        "slices_a_minute_of_processor": 60 * num_slices / cpu,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _plain(one: CohortHead) -> Head:
    images = {name: one.values(name) for name in ("T1", "T2", "FLAIR", "ADC")}
    name = f"{one.number} {one.facts['head']['lesion']}, {one.facts['sequences']['T1']['sequence']}"
    return Head(name=name, images=images, brain=one.brain(), lesion=one.lesions() > 0)


def _table(figures: dict) -> str:
    speed = figures["speed"]
    lines = [
        f"{speed['slices']} slices of {speed['contrasts']} contrasts: "
        f"{speed['slices_a_minute']:.0f} a minute by the clock, "
        f"{speed['slices_a_minute_of_processor']:.0f} a minute of processor time; "
        f"{speed['peak_memory_gb']:.1f} GB at most.",
        "",
        "| Ratio | Real heads | Simulated heads, mean (range) |",
        "|---|---|---|",
    ]
    names = dict.fromkeys(name for one in figures["real"].values() for name in one)
    for name in names:
        real = [one[name] for one in figures["real"].values() if name in one]
        made = [one[name] for one in figures["simulated"].values() if name in one]
        lines.append(f"| {name} | {_listed(real)} | {_spread(made)} |")
    adc = figures["adc_um2_s"]
    lines.append(
        f"| ADC, most frequent in the brain (µm²/s) | {_spread(list(adc['real'].values()), 0)} | "
        f"{_spread(list(adc['simulated'].values()), 0)} |"
    )
    return "\n".join(lines) + "\n"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _spread(values: list[float], digits: int = 2) -> str:
    mean, low, high = (f"{f(values):.{digits}f}" for f in (np.mean, np.min, np.max))
    return f"{mean} ({low}-{high})"


if __name__ == "__main__":
    main()
