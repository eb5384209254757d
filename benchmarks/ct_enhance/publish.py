"""Put measured figures where people read: ``python -m benchmarks.ct_enhance.publish RESULTS``.

RESULTS is the output folder of the benchmark; ``lesions.md`` and ``resources.json`` in it are
taken along. Fills the marked places of README.md, docs/ct_enhance.md and the shipped model's card.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from isocenter.core.files import write_text
from isocenter.modelpack.folder import shipped_folder, write_checksums

BEGIN = "<!-- ct_enhance table: begin -->"
END = "<!-- ct_enhance table: end -->"
ROOT = Path(__file__).parents[2]
HU = "HU range"
COMMANDS = (
    "Measured by `python -m benchmarks.ct_enhance`, `.lesions` and `.resources` (`make bench`)."
)


def main() -> None:
    """Parse the command line and fill the places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="output folder of the benchmark")
    results: Path = parser.parse_args().results
    figures = json.loads((results / "figures.json").read_text())
    compact = f"{stated_weights(figures)}\n\n{overview(figures)}"
    table = (results / "table.md").read_text()
    detail = "\n".join([stated_weights(figures), "", table, *_extras(results), COMMANDS])
    fill(ROOT / "README.md", compact)
    fill(ROOT / "docs" / "ct_enhance.md", detail)
    card = shipped_folder() / "README.md"
    fill(card, f"{compact}\n{_coverage(figures)}")
    write_checksums(shipped_folder())


def stated_weights(figures: dict[str, Any]) -> str:
    """Which weights the figures are of, so that no table stands beside others."""
    return f"Measured with weights {figures['version']}, SHA-256 {figures['weights_sha256'][:16]}."


def fill(page: Path, content: str) -> None:
    """Replace what stands between the two markers of a page."""
    before, rest = page.read_text().split(BEGIN, 1)
    _, after = rest.split(END, 1)
    write_text(page, f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}")


def overview(figures: dict[str, Any]) -> str:
    """PSNR and SSIM of every method at every dose, in one table."""
    doses = figures["doses"]
    methods = [name for name in next(iter(doses.values())) if name != "full dose"]
    head = [
        f"{dose} ({next(iter(rows.values()))['slices']} slices)" for dose, rows in doses.items()
    ]
    lines = [
        "PSNR in dB / SSIM against the full dose, HU range -1000 to 1000, inside the body, mean "
        "over patients:",
        "",
        "| method | " + " | ".join(head) + " | s a slice |",
        "|---|" + "---|" * (len(head) + 1),
    ]
    for name in methods:
        cells = [_psnr_ssim(rows[name]) for rows in doses.values()]
        seconds = max(rows[name]["seconds"] for rows in doses.values())
        lines.append(
            f"| {name} | " + " | ".join(cells) + f" | {f'{seconds:.2f}' if seconds else ''} |"
        )
    limits = [
        f"{doses[dose]['low dose'][HU]['psnr_db'] - 10 * math.log10(fraction):.2f}"
        for dose, fraction in figures["dose_fractions"].items()
    ]
    lines.append("| limit, set by the target's own noise | " + " | ".join(limits) + " | |")
    return "\n".join(lines)


def _psnr_ssim(row: dict[str, Any]) -> str:
    return f"{row[HU]['psnr_db']:.2f} / {row[HU]['ssim']:.3f}"


def _coverage(figures: dict[str, Any]) -> str:
    lines = [
        f"| {dose} | {name} | {100 * one['fraction']:.1f} | {one['width_hu']:.0f} "
        f"| {one['patients']} |"
        for dose, rows in figures["doses"].items()
        for row in rows.values()
        for name, one in row.get("coverage", {}).items()
    ]
    head = ["", "| dose | tissue | 90 % interval covers, % | mean width HU | patients |"]
    return "\n".join([*head, "|---|---|---|---|---|", *lines])


def _extras(results: Path) -> list[str]:
    parts = []
    if (results / "lesions.md").exists():
        parts += [
            "Lesion detectability d' at a quarter of the dose (see [the method](detectability.md))"
            ":\n",
            (results / "lesions.md").read_text(),
        ]
    if (results / "resources.json").exists():
        rows = json.loads((results / "resources.json").read_text())
        parts += [
            "Whole runs of `isocenter enhance` on two threads, reading, writing and report "
            "included:\n",
            "| slices | strength | s a slice | peak memory GB |\n|---|---|---|---|",
            *(
                f"| {row['slices']} | {row['strength']:g} | {row['seconds_a_slice']} "
                f"| {row['peak_memory_gb']} |"
                for row in rows
            ),
            "",
        ]
    return parts


if __name__ == "__main__":
    main()
