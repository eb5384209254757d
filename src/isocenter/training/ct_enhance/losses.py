"""Losses of CT enhancement, in units of the input's noise, so that every dose counts alike."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor

from isocenter.modelpack.ct_enhance.mean import MeanAndSpread

QUANTILE = 0.05
_OUTSIDE_WEIGHT = 0.05
# Small lesions fill few voxels and are why the scan was made.
_LESION_WEIGHT = 3.0
_BODY_HU = -950.0
# Beyond this many noise units an error counts linearly: metal must not drive the fit.
_LINEAR_BEYOND = 8.0


def body_weight(target: Tensor) -> Tensor:
    """1 inside the patient, 0.05 in the air around, (B, 1, H, W)."""
    smooth = functional.avg_pool2d(target, 15, 1, 7, count_include_pad=False)
    return torch.where(smooth > _BODY_HU, 1.0, _OUTSIDE_WEIGHT)


def noise_unit(level: Tensor, weight: Tensor) -> Tensor:
    """One noise level an image, (B, 1, 1, 1) HU."""
    mean = (level * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))
    return mean.clamp_min(3.0).view(-1, 1, 1, 1)


def pinball(error: Tensor, quantile: float) -> Tensor:
    """Loss whose least expectation is at the quantile; ``error`` is truth minus prediction.

    Source: Koenker & Bassett, Econometrica 46:33, 1978.
    """
    return torch.maximum(quantile * error, (quantile - 1) * error)


def mean_loss(
    estimate: MeanAndSpread, target: Tensor, *, anatomy: Tensor, lesion: Tensor, is_clean: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss of the mean (squared error) and of the interval's two ends (pinball).

    Where the anatomy is known free of noise (``is_clean``, (B,)), the network learns from it, which
    holds the same expectation and less chance; elsewhere from the standard-dose target. An error of
    the mean counts threefold where ``lesion``, (B, 1, H, W), is 1.
    """
    weight = body_weight(target)
    unit = noise_unit(estimate.level, weight)
    clean = is_clean.view(-1, 1, 1, 1) > 0
    error = torch.where(clean, anatomy - estimate.anatomy, target - estimate.mean) / unit
    squared = 2 * functional.huber_loss(
        error, torch.zeros_like(error), reduction="none", delta=_LINEAR_BEYOND
    )
    away = (target - estimate.mean.detach()) / unit
    ends = pinball(away + estimate.below / unit, QUANTILE)
    ends = ends + pinball(away - estimate.above / unit, 1 - QUANTILE)
    heavy = weight * (1 + (_LESION_WEIGHT - 1) * lesion)
    return (heavy * squared).sum() / heavy.sum(), (weight * ends).sum() / weight.sum()


def gain_db(prediction: Tensor, noisy: Tensor, target: Tensor) -> Tensor:
    """How far the squared error inside the body fell below the input's, dB, one an image."""
    weight = (body_weight(target) == 1).to(target.dtype)
    after = (weight * (prediction - target).square()).sum(dim=(1, 2, 3))
    before = (weight * (noisy - target).square()).sum(dim=(1, 2, 3))
    return -10 / math.log(10) * (after.clamp_min(1e-9) / before.clamp_min(1e-9)).log()
