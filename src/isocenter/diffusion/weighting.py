"""What an error at each time weighs in a loss.

A squared error of a prediction is one of the image that follows from it, times a factor of the
time. With min-SNR every prediction has the loss of one and the same thing, the image, weighed by
the signal-to-noise ratio up to a largest weight gamma: times of little noise, where the image is
nearly known, would otherwise take most of the training.

    epsilon min(SNR, gamma) / SNR     sample min(SNR, gamma)     v min(SNR, gamma) / (SNR + 1)

and for the velocity of a flow min(SNR, gamma) t^2, since there x_0 = x_t - t velocity.

Source: Hang et al., ICCV 2023. The flow's follows in the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isocenter.core.checks import check_positive
from isocenter.diffusion.process import EPSILON, SAMPLE, Process, V


def image_error(process: Process, time_B: Tensor) -> Tensor:
    """Error of the image that follows from an error of one in the prediction, (batch,)."""
    signal_B, noise_B = process.scales(time_B)
    if process.prediction_type == SAMPLE:
        return torch.ones_like(signal_B)
    if process.prediction_type == EPSILON:
        return noise_B / signal_B
    if process.prediction_type == V:
        return noise_B / (signal_B.square() + noise_B.square())
    return noise_B / (signal_B + noise_B)


def min_snr_weight(process: Process, time_B: Tensor, *, gamma: float = 5.0) -> Tensor:
    """Factor for each image's mean squared error of the process's prediction, (batch,).

    Where noise is pure it is 0, so nothing is learned of time 1 itself: add a floor, or draw times
    below it.

    Args:
        gamma: largest weight of a squared error of the image.
    """
    check_positive("gamma", gamma)
    return process.snr(time_B).clamp(max=gamma) * image_error(process, time_B).square()
