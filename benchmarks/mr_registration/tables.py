"""The trials as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.mr_registration.trials import Trial

RIGHT_MM = 2.0
WRONG_MM = 3.5


def tables(trials: Sequence[Trial]) -> str:
    """Errors by pair of contrasts, and the verdicts."""
    still = [one["mean_mm"] for one in trials if one["kind"] == "unmoved"]
    floor = (
        f"Not moved, {len(still)} images are laid {np.median(still):.2f} mm (median; at most "
        f"{max(still):.2f} mm) from where the data sets have them."
        if still
        else ""
    )
    return "\n".join([*_errors(trials), "", floor, "", *_verdicts(trials)]) + "\n"


def _errors(trials: Sequence[Trial]) -> list[str]:
    lines = [
        "| moving to fixed | trials | planted, mean mm (most) | error, median of means "
        "| worst mean | worst point | above 2 mm | seconds of one core |",
        "|---|---|---|---|---|---|---|---|",
    ]
    made = [one for one in trials if one["kind"] == "planted"]
    pairs = sorted({(one["moving"], one["fixed"]) for one in made})
    for name, group in [
        *(
            (f"{a} to {b}", [o for o in made if (o["moving"], o["fixed"]) == (a, b)])
            for a, b in pairs
        ),
        ("all", made),
    ]:
        if not group:
            continue
        means = np.array([one["mean_mm"] for one in group])
        moved = np.array([one["planted_mm"] for one in group])
        lines.append(
            f"| {name} | {len(group)} | {moved.mean():.1f} ({moved.max():.1f}) "
            f"| {np.median(means):.2f} mm | {means.max():.2f} mm "
            f"| {max(one['max_mm'] for one in group):.2f} mm | {int((means > RIGHT_MM).sum())} "
            f"| {np.median([one['cpu_seconds'] for one in group]):.1f} |"
        )
    return lines


def _verdicts(trials: Sequence[Trial]) -> list[str]:
    lines = ["| registrations | number | passed | failed |", "|---|---|---|---|"]
    groups = {
        f"planted motions found within {RIGHT_MM:g} mm": [
            one for one in trials if one["kind"] == "planted" and one["mean_mm"] <= RIGHT_MM
        ],
        f"planted motions missed by more than {RIGHT_MM:g} mm": [
            one for one in trials if one["kind"] == "planted" and one["mean_mm"] > RIGHT_MM
        ],
        "as the data sets have them, not moved": [
            one for one in trials if one["kind"] == "pushed" and one["mean_mm"] == 0
        ],
        **{
            f"pushed off by {size:g} mm": [
                one
                for one in trials
                if one["kind"] == "pushed" and abs(one["mean_mm"] - size) < 0.1
            ]
            for size in sorted(
                {round(o["mean_mm"], 1) for o in trials if o["kind"] == "pushed"} - {0.0}
            )
        },
        "as the data sets have them, registered": [
            one for one in trials if one["kind"] == "unmoved"
        ],
        "another person's head": [one for one in trials if one["kind"] == "stranger"],
    }
    for name, group in groups.items():
        passed = sum(one["passed"] for one in group)
        lines.append(f"| {name} | {len(group)} | {passed} | {len(group) - passed} |")
    return lines
