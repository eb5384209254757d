"""Put measured figures where people read: ``python -m benchmarks.ct_enhance.publish RESULTS``.

RESULTS is the output folder of the benchmark; ``contrast.json``, ``samples.json``, ``lesions.md``
and ``resources.json`` in it are taken along. Fills the marked places of README.md,
docs/ct_enhance.md and the shipped model's card, and writes ``measured.json`` into the model's
folder, from which reports tell what the interval held and how much contrast is kept.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

from benchmarks.ct_enhance.contrast import markdown as contrast_table
from benchmarks.ct_enhance.samples import markdown as samples_table
from isocenter.core.files import write_text
from isocenter.modelpack.ct_enhance.measured import MEASURED
from isocenter.modelpack.folder import shipped_folder, write_checksums

TABLE, CONTRAST, SAMPLES = "ct_enhance table", "contrast table", "samples table"
CURVE = "contrast.png"
ROOT = Path(__file__).parents[2]
HU = "HU range"


def main() -> None:
    """Parse the command line and fill the places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="output folder of the benchmark")
    results: Path = parser.parse_args().results
    figures = json.loads((results / "figures.json").read_text())
    compact = f"{stated_weights(figures)}\n\n{overview(figures)}"
    table = (results / "table.md").read_text()
    detail = "\n".join([stated_weights(figures), "", table, *_extras(results), _commands(results)])
    contrast = _of_these_weights(figures, results / "contrast.json")
    samples = _of_these_weights(figures, results / "samples.json")
    page, card = ROOT / "docs" / "ct_enhance.md", shipped_folder() / "README.md"
    fill(ROOT / "README.md", compact)
    fill(page, detail)
    fill(page, contrast_table(contrast), CONTRAST)
    fill(page, samples_table(samples), SAMPLES)
    fill(card, f"{compact}\n{_coverage(figures)}\n\n{contrast_table(contrast)}")
    shutil.copyfile(results / CURVE, ROOT / "docs" / "images" / "ct_enhance_contrast.png")
    write_text(shipped_folder() / f"{MEASURED}.json", _json(measured(figures, contrast)))
    write_checksums(shipped_folder())


def _json(table: dict[str, Any]) -> str:
    return json.dumps(table, indent=1) + "\n"


def _of_these_weights(figures: dict[str, Any], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    if found["weights_sha256"] != figures["weights_sha256"]:
        raise SystemExit(f"{path.name} was measured with other weights than figures.json")
    return found


def measured(figures: dict[str, Any], contrast: dict[str, Any]) -> dict[str, Any]:
    """What the model's folder says was measured of it; see ``modelpack.ct_enhance.measured``."""
    sets = []
    for dose, rows in figures["doses"].items():
        (row,) = (row for row in rows.values() if "coverage" in row)
        shares = {name: round(one["fraction"], 4) for name, one in row["coverage"].items()}
        pooled = shares.pop("all")
        sets.append(
            {"name": dose, "patients": row["patients"], "pooled": pooled, "tissues": shares}
        )
    by_noise = contrast["by_noise"]
    return {
        "version": 1,
        "weights_sha256": figures["weights_sha256"],
        "coverage": {"promised": 0.9, "sets": sets},
        "contrast": {
            "contrast_hu": contrast["contrast_hu"],
            "diameter_mm": contrast["diameter_mm"],
            "noise_hu": by_noise["noise_hu"],
            "strength": 0.0,
            "kept": [[round(one, 3) for one in row] for row in by_noise["kept"]],
        },
    }


def stated_weights(figures: dict[str, Any]) -> str:
    """Which weights the figures are of, so that no table stands beside others."""
    return f"Measured with weights {figures['version']}, SHA-256 {figures['weights_sha256'][:16]}."


def fill(page: Path, content: str, name: str = TABLE) -> None:
    """Replace what stands between the two markers of a name in a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.read_text().split(begin, 1)
    _, after = rest.split(end, 1)
    write_text(page, f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}")


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


def _commands(results: Path) -> str:
    """What measured the figures that are there."""
    parts = {"lesions.md": "`.lesions`", "resources.json": "`.resources`"}
    found = [name for file, name in parts.items() if (results / file).exists()]
    named = ", ".join(["`python -m benchmarks.ct_enhance`", "`.contrast`", "`.samples`", *found])
    return f"Measured by {named} (`make bench`)."


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
