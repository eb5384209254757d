"""The learner of a denoiser of latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.checks import check_least, check_positive
from isocenter.core.seeds import derived_seed
from isocenter.diffusion.process import LOGIT_NORMAL, UNIFORM, Process
from isocenter.diffusion.weighting import min_snr_weight
from isocenter.networks.latent_unet import Conditions
from isocenter.training.generator.focal import focal_weights, region_weights
from isocenter.training.generator.latent_cases import SentenceBank, conditions_of, part_of, sizes_of
from isocenter.training.generator.physics import Predicted
from isocenter.training.learner import Batch, Learner
from isocenter.training.processes import drawn_for_share

Predict = Callable[[nn.Module, Tensor, Tensor, Conditions, Batch], Tensor]
"""From network, state, times, conditions and what else the cases of a size hold to a prediction."""


@dataclass(frozen=True, kw_only=True)
class NoiseSettings:
    """Which noise a denoiser is trained at.

    Attributes:
        logit_normal: draw times from a logit-normal distribution, else evenly.
        mean, deviation: of its normal variable; above 0 there is more noise.
    """

    logit_normal: bool = True
    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """Which images and places count how much in the loss; what judges weighs all alike.

    Attributes:
        lesion: weight of latents in a lesion over those outside; 1 weighs all alike.
        focal_gamma: more weight for images that are still wrong; 0 weighs all alike.
        snr_limit: of :func:`isocenter.diffusion.weighting.min_snr_weight`; None for no such weight.
    """

    lesion: float = 1.0
    focal_gamma: float = 0.0
    snr_limit: float | None = None

    def __post_init__(self) -> None:
        check_positive("lesion", self.lesion)
        check_least("focal_gamma", self.focal_gamma, 0)
        if self.snr_limit is not None:
            check_positive("snr_limit", self.snr_limit)


def _own_prediction(
    model: nn.Module, state: Tensor, time_B: Tensor, conditions: Conditions, part: Batch
) -> Tensor:
    found: Tensor = model(state, time_B, conditions)
    return found


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """What is added to the loss for images that cannot be.

    Attributes:
        judge: from what was predicted to one number for each image that it looks at, maybe none.
        weight: of their mean.
        every: steps from one look to the next.
    """

    judge: Callable[[Predicted], Tensor]
    weight: float
    every: int = 1

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)
        check_positive("every", self.every)


def denoiser_learner(
    network: nn.Module,
    *,
    process: Process,
    bank: SentenceBank,
    noise: NoiseSettings,
    seed: int,
    channel_weights: Sequence[float] | None = None,
    weighing: Weighing | None = None,
    penalty: Penalty | None = None,
    picture: Callable[[nn.Module], NDArray] | None = None,
    predict: Predict | None = None,
    name: str = "denoiser",
) -> Learner:
    """Squared error of the process's prediction, at times drawn anew for each image.

    Args:
        network: what is fitted.
        process: from latents to noise.
        bank: of the sentences that the cases name.
        noise: which times are drawn.
        seed: of the noise and times that judge.
        channel_weights: of the latent's channels in the error, with a mean of 1; None for all
            alike.
        weighing: what counts more than other things; all counts alike where None.
        penalty: on images that cannot be, if any.
        picture: draws what the averaged network makes.
        predict: how a prediction comes about, where it is not the network's own.
        name: of the learner.
    """
    weighing = weighing or Weighing()

    def times(count: int, generator: torch.Generator | None) -> Tensor:
        def draw(shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
            return process.draw_times(
                shape[0],
                generator=generator or torch.default_generator,
                distribution=LOGIT_NORMAL if noise.logit_normal else UNIFORM,
                stratified=True,
                mean=noise.mean,
                deviation=noise.deviation,
            )

        return drawn_for_share(draw, (count,), generator)

    def predictions(
        model: nn.Module, batch: Batch, generator: torch.Generator | None
    ) -> dict[str, Predicted]:
        """By size."""
        found = {}
        for size in sizes_of(batch):
            clean = batch[f"{size}.latent"]
            conditions: Conditions = conditions_of(batch, size, bank)
            drawn = drawn_for_share(torch.randn, clean.shape, generator).to(clean)
            time_B = times(len(clean), generator).to(clean)
            state = process.add_noise(clean, drawn, time_B)
            found[size] = Predicted(
                clean=clean,
                state=state,
                time_B=time_B,
                wanted=process.target(clean, drawn, time_B),
                found=(predict or _own_prediction)(
                    model, state, time_B, conditions, part_of(batch, size)
                ),
                conditions=conditions,
            )
        return found

    def errors(
        predicted: dict[str, Predicted], batch: Batch, weighing: Weighing
    ) -> dict[str, Tensor]:
        """For each size, the mean squared error of each image."""
        found = {}
        for size, one in predicted.items():
            error = (one.found.float() - one.wanted).square()
            if channel_weights is not None:
                error = error * torch.tensor(channel_weights).to(error)[:, None, None]
            if weighing.lesion != 1:
                error = error * region_weights(batch[f"{size}.lesion"], inside=weighing.lesion)
            each = error.mean(dim=(1, 2, 3))
            if weighing.snr_limit is not None:
                each = each * min_snr_weight(process, one.time_B, gamma=weighing.snr_limit)
            found[size] = each
        return found

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        predicted = predictions(model, batch, None)
        each = errors(predicted, batch, weighing)
        every = torch.cat(list(each.values()))
        if weighing.focal_gamma:
            every = every * focal_weights(every, focus=weighing.focal_gamma)
        total = every.mean()
        logs = {f"error {size}": one.mean().item() for size, one in each.items()}
        if penalty is not None and learner.step % penalty.every == 0:
            judged = torch.cat([penalty.judge(one) for one in predicted.values()])
            broken = judged.sum() / max(1, len(judged))
            total = total + penalty.weight * broken
            logs["penalty"] = broken.item()
        return total, logs

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(seed, "denoiser merit"))
        each = errors(predictions(model, batch, generator), batch, Weighing())
        return -torch.cat(list(each.values()))

    learner = Learner(
        name=name,
        network=network,
        loss=loss,
        merit=merit,
        picture=None if picture is None else lambda model, _: picture(model),
    )
    return learner
