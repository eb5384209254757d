"""Data of which everything is known: mixtures of Gaussians, and what a perfect network says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from isocenter.diffusion.process import SAMPLE, Denoiser, Process, V
from isocenter.diffusion.samplers import draw_noise

FLOWS = (Process(), Process(shift=2.5))
VARIANCE_PRESERVING = tuple(
    Process(schedule=schedule, prediction_type=V, rescale_betas_zero_snr=zero)
    for schedule, zero in product(("linear", "scaled_linear", "cosine"), (False, True))
)
PROCESSES = (*FLOWS, *VARIANCE_PRESERVING)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Round Gaussians: weights and deviations (component,), means (component, axis)."""

    weight_K: Tensor
    mean_KC: Tensor
    deviation_K: Tensor

    @property
    def mean(self) -> Tensor:
        return self.weight_K @ self.mean_KC

    @property
    def covariance(self) -> Tensor:
        away = self.mean_KC - self.mean
        within = (self.weight_K @ self.deviation_K.square()) * torch.eye(len(self.mean))
        return within + torch.einsum("k,kc,kd->cd", self.weight_K, away, away)

    def draw(self, count: int, *, seed: int = 0) -> Tensor:
        """(count, axis, 1, 1)."""
        generator = torch.Generator().manual_seed(seed)
        component = torch.multinomial(self.weight_K, count, replacement=True, generator=generator)
        noise = torch.randn(
            count, self.mean_KC.shape[1], generator=generator, dtype=self.mean_KC.dtype
        )
        drawn = self.mean_KC[component] + self.deviation_K[component, None] * noise
        return drawn[:, :, None, None]

    def expected_image(self, process: Process, state: Tensor, time_B: Tensor) -> Tensor:
        """E[x_0 | x_t] of states (batch, axis, 1, 1)."""
        signal, noise = (scale.view(-1, 1, 1) for scale in process.scales(time_B))
        variance = (signal * self.deviation_K[:, None]).square() + noise.square()
        residual = state[:, None, :, 0, 0] - signal * self.mean_KC
        axes = self.mean_KC.shape[1]
        likelihood = self.weight_K.log()[:, None] - axes / 2 * variance.log()
        likelihood = likelihood - residual.square().sum(2, keepdim=True) / variance / 2
        shrunk = signal * self.deviation_K[:, None].square() / variance * residual
        expected = (likelihood.softmax(1) * (self.mean_KC + shrunk)).sum(1)
        return expected[:, :, None, None]

    def denoiser(self, process: Process) -> Denoiser:
        """What a perfect network predicts."""

        def denoise(state: Tensor, time_B: Tensor) -> Tensor:
            expected = self.expected_image(process, state, time_B)
            return process.convert(
                expected, state, time_B, to=process.prediction_type, given=SAMPLE
            )

        return denoise


def exact(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


TWO_HILLS = Mixture(
    weight_K=exact(0.3, 0.7),
    mean_KC=torch.stack([exact(-1.0, 0.6), exact(0.8, -0.2)]),
    deviation_K=exact(0.25, 0.35),
)


def hill(mean: float, deviation: float) -> Mixture:
    """One Gaussian of one axis."""
    return Mixture(
        weight_K=exact(1.0), mean_KC=exact(mean).view(1, 1), deviation_K=exact(deviation)
    )


def end_of_flow(begin: Tensor, process: Process, *, mean: float, deviation: float) -> Tensor:
    """Where exact integration takes states of time 1 if the data are one Gaussian."""
    signal, noise = (float(scale) for scale in process.scales(exact(1.0)))
    return mean + deviation / math.hypot(signal * deviation, noise) * (begin - signal * mean)


def generators(count: int, *, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(1000 * seed + image) for image in range(count)]


def noise(count: int, *shape: int, seed: int = 0) -> Tensor:
    return draw_noise(shape or (1, 1, 1), generators(count, seed=seed), dtype=torch.float64)
