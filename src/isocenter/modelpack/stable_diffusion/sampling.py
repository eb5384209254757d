"""From noise to latents, with the schedule that the model came with."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isocenter.core.errors import ModelRefused, SettingRefused
from isocenter.modelpack.generator.defaults import MOST_GUIDANCE, MOST_STEPS, OWN_SAMPLER
from isocenter.modelpack.stable_diffusion.libraries import library
from isocenter.modelpack.stable_diffusion.parts import StableParts
from isocenter.modelpack.stable_diffusion.text import conditions, embed_texts, size_ids

# Deterministic samplers beside the model's own; each takes over its schedule and what it predicts.
SAMPLERS = {
    "ddim": "DDIMScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
}


@dataclass(frozen=True, kw_only=True)
class Course:
    """How noise is taken away.

    Attributes:
        steps: evaluations of the network, about.
        guidance: 1 follows the text as learned, more exaggerates it.
        sampler: "own" takes the model's; or "ddim", "dpm", "euler".
    """

    steps: int
    guidance: float
    sampler: str = OWN_SAMPLER

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_STEPS:
            raise SettingRefused(f"steps is from 1 to {MOST_STEPS}, got {self.steps}")
        if not 0 <= self.guidance <= MOST_GUIDANCE:
            raise SettingRefused(f"guidance is from 0 to {MOST_GUIDANCE:g}, got {self.guidance:g}")
        if self.sampler not in (OWN_SAMPLER, *SAMPLERS):
            raise SettingRefused(
                f"sampler is {OWN_SAMPLER} (the model's own), {', '.join(SAMPLERS)} for Stable "
                f"Diffusion, got {self.sampler!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A latent to begin from, and where it is to stay.

    Attributes:
        latent: (picture, channel, row, column).
        strength: above 0, where nothing changes, up to 1, where only the kept places stay.
        change: (1, 1, row, column), 1 where it may change; None where it may everywhere.
    """

    latent: Tensor
    strength: float
    change: Tensor | None = None


def noise_of(parts: StableParts, generator: torch.Generator, rows: int, columns: int) -> Tensor:
    """(1, channel, row, column) of standard normal numbers for a picture of rows and columns.

    Drawn on the processor in single precision, so that a seed means the same noise everywhere.
    """
    step = parts.pixels_a_latent
    shape = (1, parts.unet.config.in_channels, rows // step, columns // step)
    return torch.randn(shape, generator=generator)


@torch.no_grad()
def sample(
    parts: StableParts,
    texts: Sequence[str],
    noise: Tensor,
    course: Course,
    generators: Sequence[torch.Generator],
    *,
    kept: Kept | None = None,
) -> Tensor:
    """Take the noise away.

    Args:
        parts: the model.
        texts: what each picture is to show; "" for nothing in particular.
        noise: (picture, channel, row, column), each as :func:`noise_of` gives it.
        course: how.
        generators: one a picture, for schedules that draw noise on the way.
        kept: what to begin from, and what to keep of it.

    Returns:
        (picture, channel, row, column) float32, as :func:`decode` takes it.

    Raises:
        SettingRefused: so few steps that a small strength leaves none.
        ModelRefused: the network gave numbers that are not finite.

    Sources: Ho & Salimans, arXiv:2207.12598, 2022 (guidance); Meng et al., ICLR 2022 (beginning
    from an image); Lugmayr et al., CVPR 2022 (keeping what is known at every step).
    """
    scheduler = _scheduler(parts, course)
    device = parts.unet.device
    noise = noise.to(device)
    times = _times(scheduler, course, kept)
    latent = noise * scheduler.init_noise_sigma
    if kept is not None and kept.strength < 1:
        latent = scheduler.add_noise(kept.latent.to(device), noise, times[:1])
    predict = _predictor(parts, texts, course, rows_columns=_picture_size(parts, noise))
    drawn = _takes_generators(scheduler, generators)
    for number, time in enumerate(times):
        predicted = predict(scheduler.scale_model_input(latent, time), time)
        latent = scheduler.step(predicted, time, latent, return_dict=False, **drawn)[0]
        if kept is not None and kept.change is not None:
            latent = _put_back(scheduler, latent, noise, kept, times[number + 1 : number + 2])
    if not bool(torch.isfinite(latent).all()):
        raise ModelRefused(
            "the network gave numbers that are not finite; with half precision try float32"
        )
    return latent


@torch.no_grad()
def encode(parts: StableParts, picture: Tensor) -> Tensor:
    """(1, 3, row, column) in [-1, 1] as its mean latent, scaled as the network knows it."""
    mean = parts.vae.encode(picture.to(parts.vae.device)).latent_dist.mode()
    return scaled_latent(parts, mean)


@torch.no_grad()
def decode(parts: StableParts, latent: Tensor) -> Tensor:
    """(picture, channel, row, column) as (picture, 3, row, column), about in [-1, 1]."""
    picture: Tensor = parts.vae.decode(_unscaled_latent(parts, latent), return_dict=False)[0]
    if not bool(torch.isfinite(picture).all()):
        raise ModelRefused("the autoencoder gave numbers that are not finite; get the model again")
    return picture


def scaled_latent(parts: StableParts, latent: Tensor) -> Tensor:
    """What the autoencoder gives, as the network was fitted to it."""
    config = parts.vae.config
    mean, deviation = _statistics(parts, latent)
    return (latent - mean) / deviation * config.scaling_factor


def _unscaled_latent(parts: StableParts, latent: Tensor) -> Tensor:
    mean, deviation = _statistics(parts, latent)
    return latent / parts.vae.config.scaling_factor * deviation + mean


def _statistics(parts: StableParts, latent: Tensor) -> tuple[Tensor | float, Tensor | float]:
    """Mean and deviation by channel, which some XL models state."""
    found = [parts.vae.config.get(name) for name in ("latents_mean", "latents_std")]
    if any(one is None for one in found):
        return 0.0, 1.0
    mean, deviation = (torch.tensor(one).view(1, -1, 1, 1).to(latent) for one in found)
    return mean, deviation


def _scheduler(parts: StableParts, course: Course) -> Any:
    """A fresh one, as they count their steps."""
    own = parts.scheduler
    kind = type(own)
    if course.sampler != OWN_SAMPLER:
        kind = getattr(library("diffusers"), SAMPLERS[course.sampler])
    scheduler = kind.from_config(own.config)
    with warnings.catch_warnings():
        # diffusers hands tensors to NumPy 2 in a way that it will not take for ever.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        scheduler.set_timesteps(course.steps, device=parts.unet.device)
    return scheduler


def _times(scheduler: Any, course: Course, kept: Kept | None) -> Tensor:
    """The times to go through; with something to begin from, those at the end."""
    times: Tensor = scheduler.timesteps
    if kept is None:
        return times
    begin = course.steps - min(int(course.steps * kept.strength), course.steps)
    if begin == course.steps:
        raise SettingRefused(
            f"a strength of {kept.strength:g} of {course.steps} steps is less than one step; raise "
            "the strength or the steps"
        )
    skipped = begin * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    return times[skipped:]


def _picture_size(parts: StableParts, latent: Tensor) -> tuple[int, int]:
    rows, columns = (size * parts.pixels_a_latent for size in latent.shape[-2:])
    return rows, columns


def _predictor(
    parts: StableParts, texts: Sequence[str], course: Course, *, rows_columns: tuple[int, int]
) -> Callable[[Tensor, Tensor], Tensor]:
    """The network as a function of latents and the time, told the texts and guided."""
    condition = embed_texts(parts, texts)
    is_guided = course.guidance != 1
    if is_guided:
        condition = condition.after(embed_texts(parts, [""] * len(texts)))
    told = conditions(condition, size_ids(parts, *rows_columns))
    kind = parts.unet.dtype

    def predict(latent: Tensor, time: Tensor) -> Tensor:
        given = torch.cat([latent] * 2) if is_guided else latent
        predicted: Tensor = parts.unet(given.to(kind), time, return_dict=False, **told)[0].float()
        if not is_guided:
            return predicted
        without, with_text = predicted.chunk(2)
        return without + course.guidance * (with_text - without)

    return predict


def _takes_generators(scheduler: Any, generators: Sequence[torch.Generator]) -> dict[str, Any]:
    takes = "generator" in inspect.signature(scheduler.step).parameters
    return {"generator": list(generators)} if takes else {}


def _put_back(
    scheduler: Any, latent: Tensor, noise: Tensor, kept: Kept, next_time: Tensor
) -> Tensor:
    """What is to stay, as noisy as the rest is now."""
    assert kept.change is not None
    change, stays = kept.change.to(latent), kept.latent.to(latent)
    if len(next_time):
        stays = scheduler.add_noise(stays, noise, next_time)
    return (1 - change) * stays + change * latent
