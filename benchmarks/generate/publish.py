"""Put measured figures where people read: ``python -m benchmarks.generate.publish RESULTS MODEL``.

RESULTS is the output folder of the benchmark, MODEL the model folder that was measured. Fills the
marked places of docs/generate_figures.md and of the model's card, and writes ``measured.json`` into
the model folder. Figures of other weights than the folder's are refused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.ct_enhance.publish import fill
from benchmarks.generate.autoencoder import OURS
from benchmarks.generate.likeness import GENERATED
from benchmarks.generate.obedience import REAL
from benchmarks.generate.parts import PARTS
from benchmarks.generate.tables import number, percent, table
from isocenter.core.files import write_json
from isocenter.modelpack.folder import verify, write_checksums

TABLE = "generate table"
PAGE = Path(__file__).parents[2] / "docs" / "generate_figures.md"
MEASURED = "measured.json"
VERSION = 1

Results = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Parse the command line and fill the places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="output folder of the benchmark")
    parser.add_argument("model", type=Path, help="model folder")
    arguments = parser.parse_args()
    publish(arguments.results, arguments.model)


def publish(results: Path, model: Path, *, page: Path = PAGE) -> None:
    """Fill page and card, and write the summary for programs."""
    found = read_results(results, weights_sha256=verify(model))
    fill(page, detail(found), TABLE)
    fill(model / "README.md", f"{stated(found)}\n\n{overview(found)}", TABLE)
    write_json(model / MEASURED, summary(found), indent=1)
    write_checksums(model)


def read_results(results: Path, *, weights_sha256: str) -> dict[str, dict[str, Any]]:
    """What each part measured, of these weights.

    Raises:
        SystemExit: there is nothing, or it was measured with other weights.
    """
    paths = {name: results / f"{name}.json" for name in PARTS}
    found = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }
    if not found:
        raise SystemExit("no part of the benchmark was run into this folder")
    if others := [name for name, one in found.items() if one["weights_sha256"] != weights_sha256]:
        raise SystemExit(f"measured with other weights than the model's: {', '.join(others)}")
    return found


def stated(results: Results) -> str:
    """Which weights the figures are of, so that no table stands beside others."""
    one = next(iter(results.values()))
    return f"Measured with weights {one['version']}, SHA-256 {one['weights_sha256'][:16]}."


def detail(results: Results) -> str:
    """Every table of every part."""
    parts = [stated(results)]
    for name, one in results.items():
        effort = (
            f"`python -m benchmarks.generate --only {name}`, {one['effort']['number']} images a "
            f"family, {one['steps']} steps, guidance {one['guidance']:g}, seed {one['seed']}."
        )
        parts += [f"## {PARTS[name].title}", effort, PARTS[name].markdown(one["figures"])]
    return "\n\n".join(parts)


def overview(results: Results) -> str:
    """A line a family: what most readers want to know."""
    rows = [
        (
            name,
            number(one["psnr_db"], "{:.1f}"),
            number(one["frechet"], "{:.1f}"),
            number(one["frechet_floor"], "{:.1f}"),
            ", ".join(f"{kind} {percent(share)}" for kind, share in one["found"].items()),
            ", ".join(f"{kind} {percent(share)}" for kind, share in one["judge"].items()),
            "" if one["copies"] is None else f"{one['copies']} of {one['generated']}",
            number(one["loss_attack_auc"], "{:.2f}"),
        )
        for name, one in summary(results)["families"].items()
    ]
    heads = (
        "family", "autoencoder PSNR dB", "Fréchet distance", "real against real",
        "found as asked", "judge on real", "copies", "loss attack AUC",
    )  # fmt: skip
    note = (
        "Distances are of our own feature network and compare with no other's. What each column "
        "means and all intervals: docs/generate_figures.md."
    )
    return f"{table(heads, rows)}\n\n{note}"


def summary(results: Results) -> dict[str, Any]:
    """The figures that programs may tell, by family; None for what was not measured."""
    one = next(iter(results.values()))
    figures = {name: part["figures"] for name, part in results.items()}
    names = dict.fromkeys(
        family
        for part in figures.values()
        for key in ("families", "fidelity")
        for family in part.get(key, {})
    )
    return {
        "version": VERSION,
        "weights_sha256": one["weights_sha256"],
        "families": {name: _of_family(figures, name) for name in names},
        "usefulness": {
            name: {arm["name"]: arm["auc"] for arm in task.get("arms", [])}
            for name, task in figures.get("usefulness", {}).get("tasks", {}).items()
        },
    }


def _of_family(figures: Mapping[str, Any], name: str) -> dict[str, Any]:
    def of(part: str, key: str = "families") -> Mapping[str, Any]:
        found: Mapping[str, Any] = figures.get(part, {}).get(key, {}).get(name, {})
        return found

    ways = of("autoencoder", "fidelity").get("ways", {})
    like = of("likeness").get("arms", {}).get(GENERATED, {}).get("frechet", {})
    obeyed, privacy = of("obedience"), of("privacy")
    arms = list(obeyed.get("arms", {}).values())
    copies = privacy.get("copies", {})
    attack = privacy.get("attacks", {}).get("loss", {}).get("image", {})
    return {
        "psnr_db": ways[OURS]["psnr_db"]["mean"] if ways else None,
        "ssim": ways[OURS]["ssim"]["mean"] if ways else None,
        "frechet": like.get("at_same_size"),
        "frechet_floor": like.get("floor"),
        "found": _known(arms[0]["found"] if arms else {}),
        "judge": _known(obeyed.get(REAL, {})),
        "copies": copies.get("found"),
        "generated": copies.get("generated"),
        "loss_attack_auc": attack.get("auc"),
        "loss_attack_true_rate": attack.get("true_rate"),
        "seconds": of("speed").get("seconds", {}),
    }


def _known(shares: Mapping[str, Any]) -> dict[str, Any]:
    """Those that there were images for."""
    return {name: one for name, one in shares.items() if one and one["mean"] is not None}


if __name__ == "__main__":
    main()
