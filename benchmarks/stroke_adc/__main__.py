"""ADC by the fit: against maps of scanners, and against simulated infarcts.

    python -m benchmarks.stroke_adc [--data FOLDER] [--output FOLDER]

FOLDER holds ``*.npz`` with the arrays b0, dwi, adc (slice, row, column), their scales
``scale_b0`` and ``scale_dwi``, ``bvalue`` in s/mm² and ``spacing_mm``; without it only the
simulated part runs. It writes stroke_adc.json and stroke_adc.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stroke_adc.simulated import cases
from benchmarks.stroke_adc.volunteers import measure, read_scans


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/stroke_adc"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    real = [measure(scan) for scan in read_scans(options.data)] if options.data else []
    made = list(cases())
    report = {"scans": real, "simulated": made}
    (options.output / "stroke_adc.json").write_text(json.dumps(report, indent=2))
    tables = "\n".join([*_real_table(real), "", *_made_table(made)]) + "\n"
    (options.output / "stroke_adc.md").write_text(tables)
    print(tables)


def _real_table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield (
        "| scan | b, s/mm² | slices | median ADC | MAE | bias | 99 % below | R² | marked, mL "
        "| places | s a slice | s a volume |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        against = " | ".join(
            f"{row[name]:.{digits}f}" if name in row else "–"
            for name, digits in (
                ("mae_um2_per_s", 2),
                ("bias_um2_per_s", 2),
                ("p99_um2_per_s", 1),
                ("r2", 4),
            )
        )
        yield (
            f"| {row['scan']} | {row['b_s_per_mm2']:.0f} | {row['slices']} "
            f"| {row['median_adc_um2_per_s']:.0f} | {against} | {row['marked_ml']:.2f} "
            f"| {row['marked_places']} | {row['seconds_a_slice']:.3f} | {row['seconds']:.2f} |"
        )


def _made_table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield (
        "| SNR at b = 0 | radius, mm | true, mL | marked, mL | beside it, mL | Dice "
        "| MAE brain | MAE lesion | R² | within 2 SD | s a slice |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for key in sorted({(row["signal_to_noise"], row["radius_mm"]) for row in rows}):
        group = [row for row in rows if (row["signal_to_noise"], row["radius_mm"]) == key]
        cells = [
            _mean(group, name, digits)
            for name, digits in (
                ("true_ml", 2),
                ("marked_ml", 2),
                ("beside_ml", 2),
                ("dice", 2),
                ("mae_brain_um2_per_s", 0),
                ("mae_lesion_um2_per_s", 0),
                ("r2", 3),
                ("within_two_sd", 2),
                ("seconds_a_slice", 3),
            )
        ]
        yield f"| {key[0]:g} | {key[1]:g} | " + " | ".join(cells) + " |"


def _mean(rows: Sequence[dict[str, Any]], name: str, digits: int) -> str:
    known = [row[name] for row in rows if row[name] is not None]
    return f"{np.mean(known):.{digits}f}" if known else "–"


if __name__ == "__main__":
    main()
