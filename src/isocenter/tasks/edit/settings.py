"""What may be set when images are altered."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.tasks.generate.settings import CAPTURE, MOST_SEED, OF_MODALITY
from isocenter.tasks.settings import Settings, setting

MOST_BETWEEN = 100
IN_A_REGION, OF_THE_WHOLE = 1.0, 0.5
"""Strength where none is given."""


@dataclass(frozen=True, kw_only=True)
class EditSettings(Settings):
    """How an image is altered and written.

    Attributes:
        strength, seed, steps, guidance: see their help; they decide the pixels.
        resize: whether an image of another size is resampled.
        written_as: class of DICOM objects.
    """

    strength: float = setting(
        OF_THE_WHOLE,
        help="How much is drawn anew: near 0 little, 1 all; by default 0.5, and 1 in a region.",
        above=0,
        at_most=1,
    )
    seed: int = setting(
        0, help="Same seed, same change; 0 by default.", at_least=0, at_most=MOST_SEED
    )
    steps: int | None = setting(
        None,
        help="Steps from noise to image; more are slower. The model's own number by default.",
        at_least=1,
        at_most=1000,
    )
    guidance: float | None = setting(
        None,
        help="How strictly the change keeps to what was asked: 0 ignores it, 1 as learned, more "
        "exaggerates it. The model's own by default.",
        at_least=0,
        at_most=20,
    )
    resize: bool = setting(
        False, help="Resample an image, and a mask, that is not of the model's size."
    )
    written_as: str = setting(
        CAPTURE,
        help="Class of DICOM objects: capture (Secondary Capture) or modality (the modality's "
        "own, where all that it demands is known).",
        choices=(CAPTURE, OF_MODALITY),
    )
