"""CT enhancement, declared: what it reads, its settings and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isocenter.core.errors import InputRefused
from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput, SeriesOutput
from isocenter.tasks.settings import Settings, setting
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, Reads, Task, Work

if TYPE_CHECKING:
    from isocenter.modelpack.ct_enhance.contract import Enhancer

STRENGTHS = {"low": 0.25, "medium": 0.5, "high": 1.0}

ENHANCED = SeriesOutput(
    name="enhanced",
    label="Enhanced series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLNR", "99ISOCENTER", "Deep learning noise reduction"),
    image_type="AI_ENHANCED",
    flag="AI ENHANCED",
)
UNCERTAINTY = MapOutput(
    name="uncertainty",
    label="Uncertainty map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation"),
    content_label="UNCERTAINTY_90",
    meaning=(
        "Half-width in HU of the 90 % interval of the standard-dose value, around the model's mean "
        "estimate; 0 where the scanner measured nothing."
    ),
    quantity=Code("PIHW90", "99ISOCENTER", "Half-width of 90 % prediction interval"),
)


def parse_strength(strength: float | str) -> float:
    """A strength from a number, a number in text, or "low", "medium" or "high".

    Raises:
        InputRefused: it is none of these.
    """
    if isinstance(strength, str) and strength.lower() in STRENGTHS:
        return STRENGTHS[strength.lower()]
    try:
        return float(strength)
    except (TypeError, ValueError):
        names = ", ".join(f"{name} ({value:g})" for name, value in STRENGTHS.items())
        raise InputRefused(
            f"strength must be a number from 0 to 1 or one of {names}, got {strength!r}"
        ) from None


@dataclass(frozen=True, kw_only=True)
class EnhanceSettings(Settings):
    """Everything that the user can set and that changes a pixel.

    Attributes:
        strength: 0 gives the model's mean, 1 a sample with the texture of a standard-dose scan.
        samples: how many samples are averaged before blending; more are smoother.
        steps: steps of the bridge for each sample.
        seed: decides the samples.
        dose_fraction: dose of the scan over that of a standard one, in (0, 1]; None lets the model
            guess it from the noise, and the guess takes its place.

    Raises:
        InputRefused: a value is outside its range.
    """

    strength: float = setting(
        0.0,
        help="0 writes the most likely image, 1 the texture of a standard-dose scan; low is "
        "0.25, medium 0.5, high 1.",
        metavar="0..1|low|medium|high",
        at_least=0,
        at_most=1,
        parse=parse_strength,
    )
    samples: int = setting(1, help="Posterior samples to average at strength > 0.", at_least=1)
    steps: int = setting(4, help="Bridge steps of each sample.", at_least=1, at_most=8)
    seed: int = setting(0, help="Same seed, same pixels.", at_least=0)
    dose_fraction: float | None = setting(
        None,
        help="Dose of the scan over a standard one, if known; else guessed from the noise.",
        metavar="0..1",
        above=0,
        at_most=1,
        advice="leave it out where the dose is not known",
    )


def _load_model(folder: Path | None, device: str) -> Enhancer:
    from isocenter.modelpack.folder import load_folder

    enhancer: Enhancer = load_folder(folder, kind="CtEnhancer", device=device)
    return enhancer


def _judge(case: Case[EnhanceSettings, Enhancer]) -> Suitability:
    from isocenter.tasks.ct_enhance.rules import judge_scan

    return judge_scan(case.scan, case.model.accepted)


def _start(
    case: Case[EnhanceSettings, Enhancer], suitability: Suitability
) -> Work[EnhanceSettings]:
    from isocenter.tasks.ct_enhance.stream import start

    return start(case, suitability)


TASK: Task[EnhanceSettings, Any] = Task(
    name="ct_enhance",
    command="enhance",
    summary="Enhance a low-dose CT: derived series, uncertainty map and report.",
    settings=EnhanceSettings,
    reads=(Reads(name="input", what="a low-dose CT series", modality="CT", unit="HU"),),
    outputs=(ENHANCED, UNCERTAINTY),
    judge=_judge,
    start=_start,
    load_model=_load_model,
)
