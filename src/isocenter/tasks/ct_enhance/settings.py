"""What can be set of CT enhancement."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.core.errors import SettingRefused
from isocenter.modelpack.ct_enhance.contract import LESION_CONTRAST
from isocenter.tasks.settings import Settings, setting

STRENGTHS = {"low": 0.25, "medium": 0.5, "high": 1.0}


def parse_strength(strength: float | str) -> float:
    """A strength from a number, a number in text, or "low", "medium" or "high".

    Raises:
        SettingRefused: it is none of these.
    """
    if isinstance(strength, str) and strength.lower() in STRENGTHS:
        return STRENGTHS[strength.lower()]
    try:
        return float(strength)
    except (TypeError, ValueError):
        names = ", ".join(f"{name} ({value:g})" for name, value in STRENGTHS.items())
        raise SettingRefused(f"strength must be a number from 0 to 1 or one of {names}") from None


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
        lesion_contrast: share of the input that is given back below 0.12 cycles per mm, where faint
            lesions of 6 mm and more have their contrast: 0 leaves least error, 1 all of their
            contrast and the coarse noise of the input.

    Raises:
        SettingRefused: a value is outside its range.
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
    lesion_contrast: float = setting(
        LESION_CONTRAST,
        help="Share of the input given back where faint lesions have their contrast: 0 leaves "
        "least error, 1 keeps all of the contrast, and coarse noise.",
        metavar="0..1",
        at_least=0,
        at_most=1,
    )
