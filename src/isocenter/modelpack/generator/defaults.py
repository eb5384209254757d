"""How a generator draws where nobody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

OWN_SAMPLER = "own"
"""The sampler that the model itself names."""
MOST_STEPS, MOST_GUIDANCE = 1000, 20.0
"""What any model takes at the most."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a model takes where a setting is left out.

    Attributes:
        steps: of the sampler.
        guidance: strength of classifier-free guidance; 1 is none.
        guidance_rescale: how far guided predictions keep the deviation of unguided ones.
        guidance_interval: times between which guidance acts.
    """

    steps: int = 20
    guidance: float = 2.0
    guidance_rescale: float = 0.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)
