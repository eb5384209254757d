"""What may be set when images are drawn, besides what they shall show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from isocenter.modelpack.generator.defaults import MOST_GUIDANCE, MOST_STEPS, OWN_SAMPLER, Defaults
from isocenter.tasks.settings import Settings, setting

FORMATS = ("dicom", "png", "nifti")
CAPTURE, OF_MODALITY = "capture", "modality"
MOST_IMAGES = 100_000
MOST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class DrawSettings(Settings):
    """What every task that draws can be told.

    Attributes:
        seed, steps, guidance: see their help; they decide the pixels.
        written_as: class of DICOM objects.
    """

    seed: int = setting(
        0, help="Same seed, same pixels; 0 by default.", at_least=0, at_most=MOST_SEED
    )
    steps: int | None = setting(
        None,
        help="Steps from noise to image; more are slower. The model's own number by default.",
        at_least=1,
        at_most=MOST_STEPS,
    )
    guidance: float | None = setting(
        None,
        help="How strictly what is drawn keeps to what was asked: 0 ignores it, 1 as learned, more "
        "exaggerates it. The model's own by default.",
        at_least=0,
        at_most=MOST_GUIDANCE,
    )
    written_as: str = setting(
        CAPTURE,
        help="Class of DICOM objects: capture (Secondary Capture) or modality (the modality's "
        "own, where all that it demands is known).",
        choices=(CAPTURE, OF_MODALITY),
    )


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(DrawSettings):
    """How images are drawn and written.

    Attributes:
        sampler: see its help; it decides the pixels.
        format: of the files.
        attention: whether maps of the words are written.
    """

    sampler: str = setting(OWN_SAMPLER, help="How a step is taken; the model names those it has.")
    format: str = setting(
        "dicom", help="Of the files: dicom, png or nifti.", choices=FORMATS, metavar="FORMAT"
    )
    attention: bool = setting(
        False, help="Write maps of where in the image each word of the text acted."
    )


S = TypeVar("S", bound=DrawSettings)


def completed(settings: S, defaults: Defaults) -> S:
    """Settings with the model's own numbers where none were given."""
    missing = {
        name: getattr(defaults, name)
        for name in ("steps", "guidance")
        if getattr(settings, name) is None
    }
    return replace(settings, **missing)
