"""Forward processes: how an image turns into noise, and what a network may predict of it.

At time t the state is

    x_t = signal(t) x_0 + noise(t) n,        n normal with deviation one.

Time runs from 0, the image, to 1, noise, in every process. A flow (rectified flow, flow matching)
has signal 1 - t and noise t. The others keep the variance, signal^2 + noise^2 = 1, along T steps as
diffusers has them; there the times are the fractions k / T, k = 0 .. T, any other time is taken as
the nearest of them, and step k is what diffusers calls timestep k - 1.

All predictions are linear in image and noise (alpha and sigma are signal and noise at t):

    epsilon            n
    sample             x_0
    v_prediction       alpha n - sigma x_0
    flow_prediction    n - x_0, the velocity of a flow

so with x_t they are two equations for two unknowns, and any of them gives any other.

Sources: epsilon, linear: Ho et al., NeurIPS 2020. Cosine: Nichol & Dhariwal, ICML 2021.
Scaled linear: Rombach et al., CVPR 2022. v: Salimans & Ho, ICLR 2022. Flow: Liu et al., ICLR 2023;
Lipman et al., ICLR 2023. Zero terminal SNR: Lin et al., WACV 2024, algorithm 1. Shift of times and
logit-normal times: Esser et al., ICML 2024, sections 3.1 and 5.3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from isocenter.core.checks import check_positive
from isocenter.core.errors import SettingRefused

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Maps a state (batch, channel, ...) and times (batch,) to a prediction of the state's shape."""

FLOW, LINEAR, SCALED_LINEAR, COSINE = "flow", "linear", "scaled_linear", "cosine"
SCHEDULES = (FLOW, LINEAR, SCALED_LINEAR, COSINE)

EPSILON, SAMPLE = "epsilon", "sample"
V, VELOCITY = "v_prediction", "flow_prediction"
PREDICTIONS = (EPSILON, SAMPLE, V, VELOCITY)

UNIFORM, LOGIT_NORMAL = "uniform", "logit_normal"

MOST_STEPS = 10_000
LARGEST_BETA = 0.999  # of the cosine schedule, as in its paper
_EDGE = 1e-9  # draws stay this far within 0 .. 1, where logits are finite


@dataclass(frozen=True, kw_only=True)
class Process:
    """A forward process and what the network predicts along it.

    Settings that do not belong to the schedule must be left as they are.

    Attributes:
        schedule: one of :data:`SCHEDULES`.
        prediction_type: one of :data:`PREDICTIONS`, named as in diffusers.
        num_train_timesteps: T. A flow has no steps; only :meth:`timestep` uses it there.
        beta_start, beta_end: of the linear and the scaled linear schedule.
        rescale_betas_zero_snr: whether noise at time 1 is pure; not for a flow, where it always is.
        shift: of a flow's times towards noise; 1 leaves them. See :func:`resolution_shift`.

    Raises:
        ValueError: a setting is unknown, outside its limits or of another schedule, or epsilon is
            to be predicted where the state at time 1 holds nothing of the image.
    """

    schedule: str = FLOW
    prediction_type: str = VELOCITY
    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    rescale_betas_zero_snr: bool = False
    shift: float = 1.0

    def __post_init__(self) -> None:
        _check_one_of("schedule", self.schedule, SCHEDULES)
        _check_one_of("prediction_type", self.prediction_type, PREDICTIONS)
        _check_whole("num_train_timesteps", self.num_train_timesteps, least=2)
        if not isinstance(self.rescale_betas_zero_snr, bool):
            raise ValueError(
                f"rescale_betas_zero_snr is true or false, got {self.rescale_betas_zero_snr!r}"
            )
        for name in ("beta_start", "beta_end", "shift"):
            check_positive(name, getattr(self, name))
        if not self.beta_start <= self.beta_end < 1:
            raise ValueError(
                "beta_start and beta_end rise and stay below 1, got "
                f"{self.beta_start:g}, {self.beta_end:g}"
            )
        for name in ("beta_start", "beta_end", "rescale_betas_zero_snr", "shift"):
            own = name in self._own_settings
            if not own and getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise ValueError(
                    f"{name} does not belong to the schedule {self.schedule}; leave it out"
                )
        if self.prediction_type == EPSILON and self.ends_in_pure_noise:
            raise ValueError(
                "epsilon cannot be predicted along a process that ends in pure noise: at time 1 "
                "the state is the noise, and no image follows from it; predict sample, "
                "v_prediction or flow_prediction"
            )

    @property
    def is_flow(self) -> bool:
        """Whether signal and noise add up to one, not their squares."""
        return self.schedule == FLOW

    @property
    def ends_in_pure_noise(self) -> bool:
        """Whether the signal at time 1 is zero."""
        return self.is_flow or self.rescale_betas_zero_snr

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that make this process again, ready for JSON."""
        own = {"schedule", "prediction_type", "num_train_timesteps", *self._own_settings}
        return {name: value for name, value in asdict(self).items() if name in own}

    @property
    def _own_settings(self) -> tuple[str, ...]:
        if self.is_flow:
            return ("shift",)
        if self.schedule == COSINE:
            return ("rescale_betas_zero_snr",)
        return ("beta_start", "beta_end", "rescale_betas_zero_snr")

    def scales(self, time_B: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise at times within 0 .. 1, float32 or float64 as the times are."""
        if self.is_flow:
            return 1 - time_B, time_B
        steps = self.num_train_timesteps
        step_B = (time_B * steps).round().long()
        signal, noise = _variance_preserving_scales(
            self.schedule, steps, self.beta_start, self.beta_end, self.rescale_betas_zero_snr
        )
        return signal.to(time_B)[step_B], noise.to(time_B)[step_B]

    def snr(self, time_B: Tensor) -> Tensor:
        """Ratio of the variances of signal and noise; infinite at time 0."""
        signal_B, noise_B = self.scales(time_B)
        return (signal_B / noise_B).square()

    def timestep(self, time_B: Tensor) -> Tensor:
        """Times as diffusers counts them for its networks: 0 .. T - 1, for a flow up to T."""
        steps = self.num_train_timesteps
        return time_B * steps if self.is_flow else (time_B * steps).round().long() - 1

    def add_noise(self, clean: Tensor, noise: Tensor, time_B: Tensor) -> Tensor:
        """The state x_t of images (batch, ...) and their noise."""
        signal, noise_scale = self._wide_scales(time_B, clean)
        return signal * clean + noise_scale * noise

    def add_more_noise(
        self, state: Tensor, noise: Tensor, *, time_B: Tensor, later_B: Tensor
    ) -> Tensor:
        """The state at a later time, drawn given the one at ``time_B``, with fresh noise.

        A state of the marginal at one time goes to one of the marginal at the other.
        """
        signal, deviation = self._wide_scales(time_B, state)
        later_signal, later_deviation = self._wide_scales(later_B, state)
        kept = later_signal / signal
        added = (later_deviation.square() - (kept * deviation).square()).clamp(min=0).sqrt()
        return kept * state + added * noise

    def target(self, clean: Tensor, noise: Tensor, time_B: Tensor) -> Tensor:
        """What the network is to predict."""
        of_clean, of_noise = _shares(self.prediction_type, *self._wide_scales(time_B, clean))
        return of_clean * clean + of_noise * noise

    def convert(
        self, output: Tensor, state: Tensor, time_B: Tensor, *, to: str, given: str = ""
    ) -> Tensor:
        """One prediction out of another.

        Args:
            output: of the denoiser for ``state`` at ``time_B``.
            to: one of :data:`PREDICTIONS`.
            given: what ``output`` is; the process's own prediction where left out.

        Raises:
            ValueError: the output does not determine it: the noise where there is no signal, or
                the image where there is no noise.
        """
        given = given or self.prediction_type
        _check_one_of("to", to, PREDICTIONS)
        _check_one_of("given", given, PREDICTIONS)
        if given == to:
            return output
        signal, noise = self._wide_scales(time_B, state)
        of_clean, of_noise = _shares(given, signal, noise)
        to_clean, to_noise = _shares(to, signal, noise)
        determinant = signal * of_noise - noise * of_clean
        if given in (EPSILON, SAMPLE) and bool((determinant == 0).any()):
            lacking, without = ("image", "signal") if given == EPSILON else ("noise", "noise")
            raise ValueError(
                f"no {lacking} follows from a prediction of {given} at a time without {without}; "
                f"predict {V} or {VELOCITY}, or keep away from time {int(given == EPSILON)}"
            )
        share_of_state = (to_clean * of_noise - to_noise * of_clean) / determinant
        share_of_output = (to_noise * signal - to_clean * noise) / determinant
        return share_of_state * state + share_of_output * output

    def times(self, steps: int, *, strength: float = 1.0) -> Tensor:
        """Falling times of a trajectory, float64, the last of them 0.

        Args:
            steps: of the whole way from 1 to 0; a shorter way takes its share of them, at least 1.
            strength: share of the way that is gone, from above 0 to 1.

        Raises:
            SettingRefused: the steps or the strength are outside their limits.
        """
        most = MOST_STEPS if self.is_flow else self.num_train_timesteps
        if not (_is_whole(steps) and 1 <= steps <= most):
            raise SettingRefused(f"steps must be whole and within 1..{most}, got {steps!r}")
        begin = self._begin(strength)
        taken = max(1, math.ceil(steps * strength - _EDGE))
        if self.is_flow:
            return self._shifted(torch.linspace(begin, 0, taken + 1, dtype=torch.float64))
        taken = min(taken, round(begin * most))
        return torch.linspace(begin * most, 0, taken + 1, dtype=torch.float64).round() / most

    def start_time(self, strength: float) -> Tensor:
        """The first of :meth:`times`, whatever the steps; float64, no axes."""
        begin = torch.tensor(self._begin(strength), dtype=torch.float64)
        return self._shifted(begin) if self.is_flow else begin

    def draw_times(
        self,
        count: int,
        *,
        generator: torch.Generator,
        distribution: str = UNIFORM,
        stratified: bool = False,
        mean: float = 0.0,
        deviation: float = 1.0,
    ) -> Tensor:
        """Times to train at, (count,) float32 on the generator's device.

        Args:
            count: images of the batch.
            generator: its state moves on.
            distribution: "uniform", or "logit_normal": the sigmoid of a normal variable.
            stratified: one time out of each of ``count`` equally likely ranges, in random order,
                which makes the batch's mean loss less noisy.
            mean, deviation: of the normal variable.

        A flow's times are shifted as they are when sampling.
        """
        _check_one_of("distribution", distribution, (UNIFORM, LOGIT_NORMAL))
        check_positive("deviation", deviation)
        device = generator.device
        share = torch.rand(count, generator=generator, dtype=torch.float64, device=device)
        if stratified:
            share = (torch.randperm(count, generator=generator, device=device) + share) / count
        share = share.clamp(_EDGE, 1 - _EDGE)
        if distribution == LOGIT_NORMAL:
            share = torch.sigmoid(mean + deviation * torch.special.ndtri(share))
        if self.is_flow:
            return self._shifted(share).float()
        steps = self.num_train_timesteps
        return ((share * steps).floor().clamp(max=steps - 1) + 1).div(steps).float()

    def _begin(self, strength: float) -> float:
        if not 0 < strength <= 1:
            raise SettingRefused(f"strength is a share from above 0 to 1, got {strength!r}")
        if self.is_flow:
            return float(strength)
        steps = self.num_train_timesteps
        return max(1, math.ceil(strength * steps - _EDGE)) / steps

    def _shifted(self, time: Tensor) -> Tensor:
        return self.shift * time / (1 + (self.shift - 1) * time)

    def _wide_scales(self, time_B: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Scales that broadcast along (batch, ...), on the device of ``like``."""
        exact = torch.promote_types(time_B.dtype, torch.float32)
        wide = time_B.to(like.device, exact).view(-1, *[1] * (like.ndim - 1))
        return self.scales(wide)


def resolution_shift(pixels: int, *, base_pixels: int) -> float:
    """The shift that makes as much noise hide as much of an image of another size.

    Noise averages out over more pixels, so a larger image needs more of it.

    Args:
        pixels: of the new image, rows times columns.
        base_pixels: of images where a shift of 1 does well.

    Source: Esser et al., ICML 2024, equation 23.
    """
    check_positive("pixels", pixels)
    check_positive("base_pixels", base_pixels)
    return math.sqrt(pixels / base_pixels)


def _shares(prediction: str, signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """How much of the image and of the noise a prediction holds."""
    one = torch.ones_like(signal)
    if prediction == EPSILON:
        return 0 * one, one
    if prediction == SAMPLE:
        return one, 0 * one
    return (-noise, signal) if prediction == V else (-one, one)


@lru_cache(maxsize=16)
def _variance_preserving_scales(
    schedule: str, steps: int, beta_start: float, beta_end: float, zero_snr: bool
) -> tuple[Tensor, Tensor]:
    """Signal and noise at steps 0 .. T, float64."""
    kept = torch.cumprod(1 - _betas(schedule, steps, beta_start, beta_end), 0)
    if zero_snr:
        first, last = kept[0].sqrt(), kept[-1].sqrt()
        kept = ((kept.sqrt() - last) * first / (first - last)).square()
    kept = torch.cat([torch.ones_like(kept[:1]), kept])
    return kept.sqrt(), (1 - kept).sqrt()


def _betas(schedule: str, steps: int, start: float, end: float) -> Tensor:
    """Share of the variance that each step turns into noise."""
    exact: Any = {"dtype": torch.float64, "device": "cpu"}
    if schedule == LINEAR:
        return torch.linspace(start, end, steps, **exact)
    if schedule == SCALED_LINEAR:
        return torch.linspace(start**0.5, end**0.5, steps, **exact).square()
    time = torch.arange(steps + 1, **exact) / steps
    kept = torch.cos((time + 0.008) / 1.008 * math.pi / 2).square()
    return (1 - kept[1:] / kept[:-1]).clamp(max=LARGEST_BETA)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_whole(name: str, value: object, *, least: int) -> None:
    if not (isinstance(value, int) and _is_whole(value) and least <= value <= MOST_STEPS):
        raise ValueError(f"{name} must be whole and within {least}..{MOST_STEPS}, got {value!r}")


def _check_one_of(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise ValueError(f"{name} is one of {', '.join(accepted)}, got {value!r}")
