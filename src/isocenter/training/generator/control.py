"""The learner of a ControlNet that steers a frozen denoiser."""

from __future__ import annotations

from torch import Tensor, nn

from isocenter.diffusion.process import Process
from isocenter.networks.latent_unet import Conditions, LatentControlNet, LatentUNet
from isocenter.training.generator.denoiser import NoiseSettings, denoiser_learner
from isocenter.training.generator.latent_cases import SentenceBank
from isocenter.training.learner import Batch, Learner


def control_learner(
    network: LatentControlNet,
    steered: LatentUNet,
    *,
    process: Process,
    bank: SentenceBank,
    noise: NoiseSettings,
    seed: int,
) -> Learner:
    """Squared error of what the steered denoiser predicts; it stays as it is, bit for bit.

    Args:
        network: what is fitted.
        steered: the denoiser; its weights get no gradient.
        process: that it was trained along.
        bank: of the sentences that the cases name.
        noise: which times are drawn.
        seed: of the noise and times that judge.

    Source: Zhang et al., ICCV 2023.
    """
    steered.eval().requires_grad_(False)

    def predict(
        model: nn.Module, state: Tensor, time_B: Tensor, conditions: Conditions, part: Batch
    ) -> Tensor:
        steered.to(state.device)
        control = model(state, time_B, conditions, part["control"])
        found: Tensor = steered(state, time_B, conditions, control)
        return found

    return denoiser_learner(
        network,
        process=process,
        bank=bank,
        noise=noise,
        seed=seed,
        predict=predict,
        name="control",
    )
