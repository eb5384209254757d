"""Compare simulated noise with real quarter-dose scans.

    python -m benchmarks.ct_dose --data FOLDER [--output FOLDER] [--fit]

FOLDER holds SERIES/full/*.dcm and SERIES/quarter/*.dcm. It writes ct_dose.json, ct_dose.md and
ct_dose.png. With ``--fit`` kernel and photon number are fitted again: on the first two slices of a
series where it has more, and otherwise (one slice) on the left half of the image.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ct_dose.figure import draw
from benchmarks.ct_dose.pairs import DosePair, read_pairs
from benchmarks.ct_dose.result import Result
from benchmarks.ct_dose.simulation import Calibration, fit, mean_spectrum, simulate
from benchmarks.ct_dose.spectra import measure_spectrum
from isocenter.physics.ct_kernels import KERNELS

PHOTONS_PER_MAS = {"D45f_3mm": 2850.0, "B30f_1mm": 560.0}
NUM_FITTED = 2


def main() -> None:
    """Read, fit if asked, simulate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/ct_dose"))
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    results, calibrations = [], {}
    pairs = read_pairs(options.data)
    for series in sorted({pair.series for pair in pairs}):
        group = [pair for pair in pairs if pair.series == series]
        calibrations[series] = _calibration(group, refit=options.fit)
        print(f"{series}: {calibrations[series]}", flush=True)
        results += [_compare(pair, calibrations[series], len(group)) for pair in group]
    slices = [result.figures() for result in results]
    report = {
        "calibrations": {name: asdict(each) for name, each in calibrations.items()},
        "slices": slices,
        "seconds": time.perf_counter() - started,
    }
    (options.output / "ct_dose.json").write_text(json.dumps(report, indent=2))
    table = _table(slices)
    (options.output / "ct_dose.md").write_text(table)
    draw(results, options.output / "ct_dose.png")
    print(table)


def _calibration(group: list[DosePair], *, refit: bool) -> Calibration:
    first = group[0]
    if first.kernel not in KERNELS or first.series not in PHOTONS_PER_MAS:
        refit = True
    start = Calibration(
        kernel=KERNELS.get(first.kernel, KERNELS["B40f"]),
        photons_per_mas=PHOTONS_PER_MAS.get(first.series, 1000.0),
    )
    if not refit:
        return start
    if len(group) > NUM_FITTED:
        return fit(group[:NUM_FITTED], [pair.body for pair in group[:NUM_FITTED]], start)
    return fit(group[:1], [_half(first.body, left=True)], start)


def _compare(pair: DosePair, calibration: Calibration, num_slices: int) -> Result:
    """A lone slice is fitted on its left half and compared on its right one."""
    alone = num_slices <= NUM_FITTED
    mask = _half(pair.body, left=False) if alone else pair.body
    noise = simulate(pair, calibration)
    return Result(
        pair=pair,
        fitted=pair.index < NUM_FITTED and not alone,
        mask=mask,
        simulated_hu=noise,
        real=measure_spectrum(pair.noise_hu, mask, pair.pixel_mm),
        simulated=mean_spectrum(noise, mask, pair.pixel_mm),
    )


def _half(mask: NDArray, *, left: bool) -> NDArray:
    middle = mask.shape[1] // 2
    side = np.arange(mask.shape[1]) < middle
    return mask & (side if left else ~side)


def _table(rows: list[dict]) -> str:
    lines = [
        "| slice | mAs | used to fit | real HU | simulated / real | mean frequency, 1/mm "
        "| simulated / real | radial misfit | streak ratio, real | simulated | direction misfit |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['slice']} | {row['mas']:.0f} | {'yes' if row['fitted'] else 'no'} "
        f"| {row['real_hu']:.1f} | {row['level_ratio']:.2f} "
        f"| {row['mean_frequency_real_per_mm']:.3f} | {row['mean_frequency_ratio']:.2f} "
        f"| {row['radial_misfit']:.1%} | {row['streaks_real']:.2f} "
        f"| {row['streaks_simulated']:.2f} | {row['direction_misfit']:.1%} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
