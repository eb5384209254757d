"""One page that shows what a run did to a scan: pictures, numbers, settings and limits.

The page stands alone (no script, no other file) and names no patient: it is made from pixels,
geometry and the record only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry
from isocenter.tasks.ct_enhance.observations import Observations, TissueChange
from isocenter.tasks.report.pictures import (
    SlicePanels,
    detail_panels,
    noise_plot,
    shape_plot,
    slice_panels,
    spectrum_plot,
)
from isocenter.tasks.suitability import Suitability

TEMPLATE = "report.html.j2"
LARGEST_HU_CHANGE = 2.0
# Single voxels of metal or bright bone often lie at the end of the range before any change.
LARGEST_CLIPPED_SHARE = 1e-5
# Bone is left out: its range holds edges and contrast medium, whose mean follows sharpness.
JUDGED_TISSUES = ("lung", "fat", "muscle", "liver", "blood")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the page is made from.

    Attributes:
        record: settings, versions and digests.
        card: what the model's maker says of it.
        suitability: what the guard measured.
        observations: what the run saw of its result.
        geometry, acquisition: of the scan.
        notes: what was left out while reading, in words.
    """

    record: RunRecord
    card: Mapping[str, Any]
    suitability: Suitability
    observations: Observations
    geometry: Geometry
    acquisition: CtAcquisition
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was checked on this result.

    Attributes:
        question: what was asked.
        answer: what was found, in words.
        passed: None where it could not be judged.
    """

    question: str
    answer: str
    passed: bool | None


def write_report(report: Report, path: Path) -> None:
    """Render the page into a file."""
    path.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=number, signed=signed, count=_count, words=_words, kind=_kind_of, title=_title
    )
    template = (
        resources.files("isocenter.tasks.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )
    checks = checks_of(report)
    return environment.from_string(template).render(
        report=report,
        record=report.record,
        card=report.card,
        seen=report.observations,
        measures=report.suitability.measures,
        checks=checks,
        headline=headline(report),
        conclusion=conclusion(checks),
        tissues=report.observations.tissues,
        slices=list(slice_panels(report.observations, report.geometry)),
        detail=detail_panels(report.observations, report.geometry),
        slice_view=_slice_view,
        noise_plot=noise_plot(report.observations),
        spectrum_plot=spectrum_plot(report.observations),
        shape_plot=shape_plot(report.observations),
        strength_words=strength_words(report.record.settings),
        command=_command(report.record),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _slice_view(panels: SlicePanels) -> str:
    """Width to height of one picture, for the style sheet."""
    return f"{panels.aspect:.4f}"


def headline(report: Report) -> str:
    """What happened, in one or two plain sentences."""
    seen = report.observations
    before, after = seen.noise_before_hu, seen.noise_after_hu
    parts = [_noise_sentence(before, after)]
    worst = largest_change(seen.tissues)
    if worst is not None:
        parts.append(
            f"Mean HU moved by at most {abs(worst.change_hu):.1f} HU in any soft-tissue or lung "
            f"range ({worst.tissue})."
        )
    return " ".join(parts)


def _noise_sentence(before: float, after: float) -> str:
    if math.isnan(before) or math.isnan(after):
        return "Noise could not be measured, since no even soft tissue was found."
    percent = 100 * (after / before - 1) if before > 0 else 0.0
    if abs(percent) < 0.5:
        return f"Noise in even soft tissue stayed at {before:.1f} HU."
    verb = "fell" if percent < 0 else "rose"
    change = f"{before:.1f} to {after:.1f} HU ({signed(percent, 0)} %)"
    return f"Noise in even soft tissue {verb} from {change}."


def largest_change(tissues: Sequence[TissueChange]) -> TissueChange | None:
    """The judged tissue whose mean moved most."""
    judged = [each for each in tissues if each.tissue in JUDGED_TISSUES]
    return max(judged, key=lambda each: abs(each.change_hu), default=None)


def checks_of(report: Report) -> tuple[Check, ...]:
    """What was checked on this one result, against its own input."""
    return (
        _check_range(report.suitability),
        _check_numbers(report.observations.tissues),
        _check_noise(report.observations),
        _check_clipping(report.observations),
    )


def _check_range(suitability: Suitability) -> Check:
    broken = suitability.broken
    names = ", ".join(finding.label.lower() for finding in broken)
    return Check(
        question="Is the scan one that the model was made for?",
        answer=f"No: {names}. The run was forced."
        if broken
        else "Yes, by every rule of section 4.",
        passed=not broken,
    )


def _check_numbers(tissues: Sequence[TissueChange]) -> Check:
    question = f"Were mean HU kept within {LARGEST_HU_CHANGE:g} HU (lung and soft tissue)?"
    worst = largest_change(tissues)
    if worst is None:
        return Check(question=question, answer="No range held enough voxels.", passed=None)
    return Check(
        question=question,
        answer=f"Largest change {signed(worst.change_hu, 1)} HU, in {worst.tissue}.",
        passed=abs(worst.change_hu) <= LARGEST_HU_CHANGE,
    )


def _check_noise(seen: Observations) -> Check:
    question = "Is there no more noise than before?"
    before, after = seen.noise_before_hu, seen.noise_after_hu
    if math.isnan(before) or math.isnan(after):
        return Check(question=question, answer="Could not be measured.", passed=None)
    return Check(
        question=question,
        answer=f"{before:.1f} HU before, {after:.1f} HU after.",
        passed=after <= before * 1.005,
    )


def _check_clipping(seen: Observations) -> Check:
    share = seen.num_clipped / seen.num_voxels if seen.num_voxels else 0.0
    clipped = (
        f"{_count(seen.num_clipped)} of {_count(seen.num_voxels)} voxels were clipped to it"
        if seen.num_clipped
        else "none was clipped"
    )
    return Check(
        question="Did the new values fit the range that the series can store?",
        answer=f"{clipped[:1].upper()}{clipped[1:]}.",
        passed=share <= LARGEST_CLIPPED_SHARE,
    )


def conclusion(checks: Sequence[Check]) -> str:
    """How many checks need a look, in words."""
    doubtful = sum(check.passed is not True for check in checks)
    if doubtful == 0:
        return f"All {len(checks)} checks of this result passed."
    verb = "needs" if doubtful == 1 else "need"
    return f"{doubtful} of {len(checks)} checks of this result {verb} a look."


def strength_words(settings: Mapping[str, Any]) -> str:
    """What the strength means."""
    strength, samples = float(settings["strength"]), int(settings["samples"])
    if strength == 0:
        return "the model's mean, without restored texture"
    source = "one sample" if samples == 1 else f"the average of {samples} samples"
    if strength == 1:
        return f"{source}, with restored texture"
    return f"{100 - 100 * strength:.0f} % the model's mean, {100 * strength:.0f} % {source}"


def _command(record: RunRecord) -> str:
    values = record.settings
    return (
        f"isocenter enhance INPUT --output FOLDER --strength {values['strength']:g} "
        f"--samples {values['samples']} --steps {values['steps']} --seed {values['seed']} "
        f"--dose-fraction {values['dose_fraction']:g} --device {values['device']}"
        + (" --force" if record.warnings else "")
    )


def number(value: float | None, digits: int = 1) -> str:
    """A number for people; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign; zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _count(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _title(text: str) -> str:
    words = str(text).replace("_", " ")
    return words[:1].upper() + words[1:]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    return "–" if value is None else str(value)


def _kind_of(value: Any) -> str:
    """ "table", "list" or "text": how the page shows a value of the card."""
    if isinstance(value, Mapping):
        return "table"
    return "list" if isinstance(value, list | tuple) else "text"
