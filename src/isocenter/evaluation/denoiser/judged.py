"""What was found of a denoiser, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.evaluation.comparison import Comparison
from isocenter.evaluation.lesions.detectability import DetectabilityTable


@dataclass(frozen=True, kw_only=True)
class JudgedCase:
    """One scan before and after the denoiser, both against the reference.

    Attributes:
        name: of the case.
        low: the low-dose scan as test.
        denoised: what the denoiser made of it as test.
        seconds_a_slice: of one call for the whole scan, here and now.
    """

    name: str
    low: Comparison
    denoised: Comparison
    seconds_a_slice: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A denoiser judged on every case.

    Attributes:
        name: of the denoiser, as tables and pictures show it.
        cases: in the order given.
        detectability: known lesions in the references, seen at full dose, at low dose, after the
            denoiser and after plain blurs; None where left out.
        left_out: in words, what was not measured and why.
        seed: of all randomness.
    """

    name: str
    cases: tuple[JudgedCase, ...]
    detectability: DetectabilityTable | None
    left_out: tuple[str, ...]
    seed: int
