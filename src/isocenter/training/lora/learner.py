"""The learner of a LoRA."""

from __future__ import annotations

from torch import Tensor, nn

from isocenter.modelpack.stable_diffusion.parts import StableParts
from isocenter.training.learner import Batch, Learner
from isocenter.training.lora.losses import NoiseSchedule, denoising_errors
from isocenter.training.lora.network import LoraNetwork

NAME = "lora"


def lora_learner(
    parts: StableParts, *, rank: int, with_text: bool, snr_limit: float | None
) -> Learner:
    """A LoRA on a model; its merit is the error at fixed noise, less being better, times -1.

    Args:
        parts: gets matrices of its own, drawn from torch's random state.
        rank, with_text: see :class:`LoraNetwork`.
        snr_limit: see :meth:`isocenter.training.lora.losses.NoiseSchedule.weight`; it counts for
            what is learned, not for what is judged.
    """
    schedule = NoiseSchedule.of(parts)

    def loss(_: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        error = denoising_errors(parts, batch, schedule, snr_limit=snr_limit).mean()
        return error, {"error": error.item()}

    def merit(average: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(average, LoraNetwork)
        with average.put_on() as changed:
            return -denoising_errors(changed, batch, schedule)

    network = LoraNetwork(parts, rank=rank, with_text=with_text)
    return Learner(name=NAME, network=network, loss=loss, merit=merit)
