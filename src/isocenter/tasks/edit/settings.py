"""What may be set when images are altered."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.tasks.generate.settings import DrawSettings
from isocenter.tasks.settings import setting

MOST_BETWEEN = 100
IN_A_REGION, OF_THE_WHOLE = 1.0, 0.5
"""Strength where none is given."""


@dataclass(frozen=True, kw_only=True)
class EditSettings(DrawSettings):
    """How an image is altered and written.

    Attributes:
        strength: see its help; it decides the pixels.
        resize: whether an image of another size is resampled.
    """

    strength: float = setting(
        OF_THE_WHOLE,
        help="How much is drawn anew: near 0 little, 1 all; by default 0.5, and 1 in a region.",
        above=0,
        at_most=1,
    )
    resize: bool = setting(
        False, help="Resample an image, and a mask, that is not of the model's size."
    )
