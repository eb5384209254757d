"""The error of a Stable Diffusion at removing noise, for what its schedule says it predicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isocenter.modelpack.stable_diffusion.parts import StableParts
from isocenter.modelpack.stable_diffusion.text import TextCondition, conditions, embed
from isocenter.training.learner import Batch

VELOCITY = "v_prediction"


@dataclass(frozen=True, kw_only=True)
class NoiseSchedule:
    """How much noise there is at each time.

    Attributes:
        kept: (time,) share of the variance that is still the image, called alpha bar in papers.
        predicts_velocity: whether velocity is predicted instead of noise.
    """

    kept: Tensor
    predicts_velocity: bool

    @classmethod
    def of(cls, parts: StableParts) -> NoiseSchedule:
        """The one that a model was fitted with."""
        kind = parts.scheduler.config.get("prediction_type", "epsilon")
        return cls(kept=parts.scheduler.alphas_cumprod.float(), predicts_velocity=kind == VELOCITY)

    @property
    def num_times(self) -> int:
        """How many times there are."""
        return len(self.kept)

    def noisy(self, latent: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The latent at a time: variance preserving."""
        kept = self._at(time, latent)
        return kept.sqrt() * latent + (1 - kept).sqrt() * noise

    def target(self, latent: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What the network is to predict.

        Source: Salimans & Ho, ICLR 2022 (velocity).
        """
        if not self.predicts_velocity:
            return noise
        kept = self._at(time, latent)
        return kept.sqrt() * noise - (1 - kept).sqrt() * latent

    def weight(self, time: Tensor, snr_limit: float | None) -> Tensor:
        """(sample,): what an error counts, so that times of little noise do not rule.

        Args:
            time: (sample,).
            snr_limit: ratio of signal to noise beyond which an error of the image itself counts no
                more; None lets all count alike.

        Source: Hang et al., ICCV 2023, equations for predicted noise and velocity.
        """
        kept = self.kept.to(time.device)[time]
        if snr_limit is None:
            return torch.ones_like(kept)
        ratio = kept / (1 - kept)
        if self.predicts_velocity:
            return ratio.clamp(max=snr_limit) / (ratio + 1)
        return (snr_limit / ratio.clamp(min=1e-12)).clamp(max=1)

    def _at(self, time: Tensor, like: Tensor) -> Tensor:
        kept = self.kept.to(like.device)[time]
        return kept.view(-1, *[1] * (like.ndim - 1))


def denoising_errors(
    parts: StableParts, batch: Batch, schedule: NoiseSchedule, *, snr_limit: float | None = None
) -> Tensor:
    """(sample,) weighted mean squared error of what is predicted.

    Args:
        parts: the model, with the LoRA that is judged on it.
        batch: as :class:`isocenter.training.lora.samples.LoraSamples` gives it, stacked.
        schedule: of the model.
        snr_limit: see :meth:`NoiseSchedule.weight`.
    """
    latent, noise, time = batch["latent"], batch["noise"], batch["time"]
    told = conditions(condition_of(parts, batch), batch["sizes"])
    noisy = schedule.noisy(latent, noise, time).to(parts.unet.dtype)
    predicted = parts.unet(noisy, time, return_dict=False, **told)[0]
    error = (predicted.float() - schedule.target(latent, noise, time)).square().flatten(1).mean(1)
    return error * schedule.weight(time, snr_limit)


def condition_of(parts: StableParts, batch: Batch) -> TextCondition:
    """The texts of a batch, embedded; those that are left out as the model knows no text."""
    ids = [batch[f"ids_{number}"] for number in range(len(parts.tokenizers))]
    condition = embed(parts, ids)
    return condition.kept(batch["keep"]) if parts.zeros_for_no_text else condition
