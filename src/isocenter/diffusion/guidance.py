"""Guidance: more of what sets a good prediction apart from a worse one.

    guided = worse + scale (good - worse)

Classifier-free guidance takes the same network with and without its conditions, autoguidance any
other denoiser that fails in the same way but more. Both are wrappers: what comes out is a denoiser
again. At one time all predictions follow from one another by maps that are linear with shares that
add up to one, so guidance is the same in each of them; its rescaling is not.

Sources: Ho & Salimans, arXiv 2207.12598. Rescaling: Lin et al., WACV 2024, section 3.4. Interval:
Kynkäänniemi et al., NeurIPS 2024. Autoguidance: Karras et al., NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from isocenter.core.checks import check_least, check_share
from isocenter.core.errors import SettingRefused
from isocenter.diffusion.process import Denoiser

ConditionalDenoiser = Callable[..., Tensor]
"""Called with states (batch, ...), times (batch,) and conditions by name, each (batch, ...)."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How strongly and when to guide.

    Attributes:
        scale: 1 is the good prediction itself, and no other is asked for then.
        rescale: share of the way from the guided prediction to the same with the deviation that
            the good one has within each image; counters contrast that grows with the scale.
        interval: times from and up to which it acts; elsewhere the good prediction stands, and no
            other is asked for.

    Raises:
        ValueError: the scale is negative or no number.
        SettingRefused: the interval does not lie within 0 .. 1.
    """

    scale: float = 1.0
    rescale: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_least("guidance", self.scale, 0)
        check_share("rescale", self.rescale)
        begin, end = self.interval
        if not 0 <= begin <= end <= 1:
            raise SettingRefused(
                f"the interval of guidance rises within 0 .. 1, got {begin:g}, {end:g}"
            )

    def acts(self, time_B: Tensor) -> Tensor:
        """Whether it acts at times, (batch,) bool."""
        begin, end = self.interval
        return (time_B >= begin) & (time_B <= end) & (self.scale != 1)

    def combine(self, good: Tensor, worse: Tensor) -> Tensor:
        """The guided prediction out of two, (batch, ...)."""
        guided = worse + self.scale * (good - worse)
        if not self.rescale:
            return guided
        within = tuple(range(1, good.ndim))
        deviation = good.std(within, keepdim=True, correction=0)
        grown = guided.std(within, keepdim=True, correction=0)
        ratio = torch.where(grown > 0, deviation / grown, torch.ones_like(grown))
        return (self.rescale * ratio + 1 - self.rescale) * guided


def guided(
    denoise: ConditionalDenoiser,
    *,
    given: Mapping[str, Tensor],
    without: Mapping[str, Tensor],
    guidance: Guidance,
) -> Denoiser:
    """Classifier-free guidance, with one call of the network for both predictions.

    Args:
        denoise: of states, times and conditions.
        given: conditions of the images, each (batch, ...).
        without: the same where nothing is asked for, as the network was trained.

    Raises:
        ValueError: the two name different conditions.
    """
    if given.keys() != without.keys():
        raise ValueError(
            "conditions with and without must have the same names, got "
            f"{', '.join(given)} and {', '.join(without)}"
        )

    def denoise_guided(state: Tensor, time_B: Tensor) -> Tensor:
        acts = guidance.acts(time_B)
        if not acts.any():
            return denoise(state, time_B, **given)
        both = {name: torch.cat([value, without[name][acts]]) for name, value in given.items()}
        output = denoise(torch.cat([state, state[acts]]), torch.cat([time_B, time_B[acts]]), **both)
        return _replaced(output[: len(state)], output[len(state) :], acts, guidance)

    return denoise_guided


def guided_by(good: Denoiser, worse: Denoiser, *, guidance: Guidance) -> Denoiser:
    """Guidance of one denoiser by another that is worse; each is a callable of its own."""

    def denoise_guided(state: Tensor, time_B: Tensor) -> Tensor:
        output, acts = good(state, time_B), guidance.acts(time_B)
        if not acts.any():
            return output
        return _replaced(output, worse(state[acts], time_B[acts]), acts, guidance)

    return denoise_guided


def _replaced(output: Tensor, worse: Tensor, acts: Tensor, guidance: Guidance) -> Tensor:
    """The good prediction, guided for those images where guidance acts."""
    if acts.all():
        return guidance.combine(output, worse)
    mixed = output.clone()
    mixed[acts] = guidance.combine(output[acts], worse)
    return mixed
