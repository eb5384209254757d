"""What the CT enhancement model says of itself, to people and to programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isocenter.datasets.ct_pairs import TrainingScan

NAME = "isocenter-ct-enhance"
INTENDED_USE = (
    "Research on low-dose CT: an estimate of how a standard-dose scan of the body, from lung apex "
    "to pelvis, would have looked, from a scan at about a tenth to a half of that dose."
)
NOT_FOR = (
    "Diagnosis or treatment decisions; it has no regulatory clearance.",
    "Head and extremities, children, photon-counting or dual-energy images, cone-beam CT.",
    "Measurements that a standard-dose scan is required for, such as follow-up of nodule volume.",
)
LIMITS = (
    "Adds no information: what the low-dose scan does not hold, the model can only guess.",
    "Strength above 0 draws the texture of a standard-dose scan; single voxels and specks of it "
    "are invented and change with the seed.",
    "Faint lesions of a few millimetres may lose contrast; see the detectability table.",
    "Fitted to adults of public collections and to simulated noise; measured quarter-dose pairs "
    "of two scans were looked at only as a check.",
    "Streaks of photon starvation and of metal are only partly removed, and the HU shift that "
    "starvation brings is not undone.",
    "The interval is for single voxels of a standard-dose scan, its noise included; it does not "
    "hold for averages over a region.",
)


def facts(
    *, version: str, training: Sequence[TrainingScan], patients: dict[str, int]
) -> dict[str, Any]:
    """The card for programs and for the report, ready for JSON.

    Args:
        version: of the model.
        training: the scans it was fitted to.
        patients: how many are in each part of the split.
    """
    return {
        "name": NAME,
        "version": version,
        "intended_use": INTENDED_USE,
        "not_for": list(NOT_FOR),
        "limits": list(LIMITS),
        "method": (
            "Pixel space, three neighbouring slices. Stage one, a residual U-Net in units of the "
            "noise measured in the image, estimates the anatomy without noise, and from it and "
            "the dose the posterior mean of the standard-dose scan and two quantiles. Stage two, "
            "a bridge of 1 to 8 steps from that mean, restores texture; strength blends."
        ),
        "coverage": (
            "The interval is calibrated to hold the standard-dose value of 90 % of the voxels of "
            f"each tissue, on {patients['calibration']} patients who were not trained on."
        ),
        "patients": patients,
        "training_slices": sum(len(scan.array) for scan in training),
        "licence": "Apache-2.0",
    }


def citations(data: Path, scans: Sequence[TrainingScan]) -> list[str]:
    """Source, licence and citation of each collection that the scans come from."""
    names = {scan.name for scan in scans}
    patients = {scan.patient for scan in scans}
    lines = set()
    for entry in json.loads((data / "ct" / "index.json").read_text()):
        singles = {one["patient"] for one in entry.get("per_slice", ())}
        if entry["id"] in names or singles & patients:
            lines.add(f"{entry['citation']} ({entry['licence']})")
    return sorted(lines)


def readme(card: dict[str, Any], *, seed: int, sources: Sequence[str]) -> str:
    """The card for people, in Markdown; measured figures are put between its markers."""
    lines = [
        "---",
        "license: apache-2.0",
        "tags: [medical-imaging, ct, denoising, research-only]",
        "---",
        "",
        f"# {card['name']} {card['version']}",
        "",
        card["intended_use"],
        "",
        card["method"],
        "",
        "**Not for:**",
        "",
        *(f"- {one}" for one in card["not_for"]),
        "",
        "**Known limits:**",
        "",
        *(f"- {one}" for one in card["limits"]),
        "",
        "## Figures",
        "",
        "<!-- ct_enhance table: begin -->",
        "<!-- ct_enhance table: end -->",
        "",
        "## Data",
        "",
        "Split by patient: "
        + ", ".join(f"{count} {part}" for part, count in card["patients"].items())
        + f"; {card['training_slices']} slices to train on. Noise was added to them; no scan of a "
        "second dose was used. Collections, all free for any use with citation:",
        "",
        *(f"- {one}" for one in sources),
        "",
        "## Recipe",
        "",
        f"`isocenter train ct_enhance --data FOLDER --output FOLDER`, seed {seed}; the resolved "
        "configuration and the split are in `training.json`. Weights: " + card["licence"] + ".",
        "",
    ]
    return "\n".join(lines)
