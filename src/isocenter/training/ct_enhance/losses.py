"""Losses of CT enhancement, in units of the input's noise, so that every dose counts alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from isocenter.core.checks import check_least, check_positive
from isocenter.modelpack.ct_enhance.mean import MeanAndSpread
from isocenter.training.processes import mean_over_processes


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What counts how much.

    Attributes:
        quantile: of the interval's lower end; the upper end's is one minus it.
        ends_weight: of the interval's ends beside the mean.
        outside_weight: of the air around the patient.
        lesion_weight: of an error of the mean where a lesion is. Small lesions fill few voxels and
            are why the scan was made.
        channel_weight, channel_window: of what is left of that error after a mean over a square of
            so many pixels a side, an odd number. Whoever looks for a lesion averages over it as a
            model observer's channel does, so it is there that contrast must not be lost.
        linear_beyond: noise units from which an error counts linearly: metal must not drive the
            fit.
        body_above_hu, body_window: where the mean over a square of so many pixels a side, an odd
            number, is above, the patient is.
        least_noise_hu: the unit of errors is never smaller.
        largest_fraction: an estimated dose fraction that stage two is fitted to is never larger.
        largest_residual: nor is what it restores, in units of its spread.
    """

    quantile: float = 0.05
    ends_weight: float = 0.3
    outside_weight: float = 0.05
    lesion_weight: float = 3.0
    channel_weight: float = 0.0
    channel_window: int = 7
    linear_beyond: float = 8.0
    body_above_hu: float = -950.0
    body_window: int = 15
    least_noise_hu: float = 3.0
    largest_fraction: float = 0.9
    largest_residual: float = 8.0

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 0.5:
            raise ValueError(f"quantile is above 0 and below 0.5, got {self.quantile:g}")
        if not 0 <= self.outside_weight < 1:
            raise ValueError(f"outside_weight is from 0 to below 1, got {self.outside_weight:g}")
        for name in ("ends_weight", "lesion_weight", "channel_weight"):
            check_least(name, getattr(self, name), 0)
        for name in ("linear_beyond", "least_noise_hu", "largest_residual"):
            check_positive(name, getattr(self, name))
        for name in ("body_window", "channel_window"):
            side = getattr(self, name)
            if side < 1 or side % 2 == 0:
                raise ValueError(f"{name} is odd and at least 1, got {side}")
        if not 0 < self.largest_fraction < 1:
            raise ValueError(
                f"largest_fraction is above 0 and below 1, got {self.largest_fraction:g}"
            )


SHIPPED = LossSettings()


def body_weight(target: Tensor, settings: LossSettings = SHIPPED) -> Tensor:
    """1 inside the patient, less in the air around, (B, 1, H, W)."""
    side = settings.body_window
    smooth = functional.avg_pool2d(target, side, 1, side // 2, count_include_pad=False)
    return torch.where(smooth > settings.body_above_hu, 1.0, settings.outside_weight)


def noise_unit(level: Tensor, weight: Tensor, settings: LossSettings = SHIPPED) -> Tensor:
    """One noise level an image, (B, 1, 1, 1) HU."""
    mean = (level * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))
    return mean.clamp_min(settings.least_noise_hu).view(-1, 1, 1, 1)


def pinball(error: Tensor, quantile: float) -> Tensor:
    """Loss whose least expectation is at the quantile; ``error`` is truth minus prediction.

    Source: Koenker & Bassett, Econometrica 46:33, 1978.
    """
    return torch.maximum(quantile * error, (quantile - 1) * error)


def batch_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over a batch that several processes may share.

    What each gets is such that the mean over the processes is the mean over the batch.
    """
    return (weight * values).sum() / mean_over_processes(weight.sum())


def mean_loss(
    estimate: MeanAndSpread,
    target: Tensor,
    *,
    anatomy: Tensor,
    lesion: Tensor,
    is_clean: Tensor,
    settings: LossSettings = SHIPPED,
) -> tuple[Tensor, Tensor]:
    """Loss of the mean (squared error) and of the interval's two ends (pinball).

    Where the anatomy is known free of noise (``is_clean``, (B,)), the network learns from it, which
    holds the same expectation and less chance; elsewhere from the standard-dose target. An error of
    the mean counts more where ``lesion``, (B, 1, H, W), is 1.
    """
    weight = body_weight(target, settings)
    unit = noise_unit(estimate.level, weight, settings)
    clean = is_clean.view(-1, 1, 1, 1) > 0
    error = torch.where(clean, anatomy - estimate.anatomy, target - estimate.mean) / unit
    squared = 2 * functional.huber_loss(
        error, torch.zeros_like(error), reduction="none", delta=settings.linear_beyond
    )
    away = (target - estimate.mean.detach()) / unit
    ends = pinball(away + estimate.below / unit, settings.quantile)
    ends = ends + pinball(away - estimate.above / unit, 1 - settings.quantile)
    heavy = weight * (1 + (settings.lesion_weight - 1) * lesion)
    if settings.channel_weight:
        side = settings.channel_window
        seen = functional.avg_pool2d(error, side, 1, side // 2, count_include_pad=False)
        squared = squared + settings.channel_weight * (weight / heavy) * lesion * seen.square()
    return batch_mean(squared, heavy), batch_mean(ends, weight)


def gain_db(
    prediction: Tensor, noisy: Tensor, target: Tensor, settings: LossSettings = SHIPPED
) -> Tensor:
    """How far the squared error inside the body fell below the input's, dB, one an image."""
    weight = (body_weight(target, settings) == 1).to(target.dtype)
    after = (weight * (prediction - target).square()).sum(dim=(1, 2, 3))
    before = (weight * (noisy - target).square()).sum(dim=(1, 2, 3))
    return -10 / math.log(10) * (after.clamp_min(1e-9) / before.clamp_min(1e-9)).log()
