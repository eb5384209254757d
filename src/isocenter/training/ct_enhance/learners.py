"""The two learners of CT enhancement: the mean with its interval, and the texture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.seeds import derived_seed
from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.modelpack.ct_enhance.texture import CtTextureModel, spread_hu
from isocenter.training.ct_enhance.losses import LossSettings, body_weight, gain_db, mean_loss
from isocenter.training.ct_enhance.pictures import side_by_side
from isocenter.training.learner import Batch, Learner
from isocenter.training.processes import drawn_for_share

_PICTURE_STEPS = 4


def middle_slice(batch: Batch) -> Tensor:
    """The middle of a batch's input slices, (B, 1, H, W)."""
    window = batch["input"]
    context = window.shape[1] // 2
    return window[:, context : context + 1]


def mean_learner(
    *, context: int, widths: Sequence[int], blocks: Sequence[int], losses: LossSettings
) -> Learner:
    """Stage one: squared error for the mean, pinball for the interval."""
    network = CtMeanModel.build_network(context=context, widths=list(widths), blocks=list(blocks))

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        squared, ends = mean_loss(
            model(batch["input"], batch["fraction"]),
            batch["target"],
            anatomy=batch["anatomy"],
            lesion=batch["lesion"],
            is_clean=batch["is_clean"],
            settings=losses,
        )
        logs = {"squared": squared.item(), "ends": ends.item()}
        return squared + losses.ends_weight * ends, logs

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        estimate = model(batch["input"], batch["fraction"])
        return gain_db(estimate.mean, middle_slice(batch), batch["target"], losses)

    def picture(model: nn.Module, batch: Batch) -> NDArray:
        estimate = model(batch["input"], batch["fraction"])
        return side_by_side(middle_slice(batch), estimate.mean, batch["target"])

    return Learner(
        name="mean",
        network=CtMeanModel(network, context=context),
        loss=loss,
        merit=merit,
        picture=picture,
    )


def texture_learner(
    mean: CtMeanModel,
    *,
    widths: Sequence[int],
    blocks: Sequence[int],
    time_channels: int,
    fraction_error: float,
    losses: LossSettings,
    seed: int,
) -> Learner:
    """Stage two: velocity of the bridge between colored noise and the mean's residual.

    Args:
        mean: stage one, which stays as it is.
        widths, blocks, time_channels: of the network.
        fraction_error: standard deviation of the logarithm of the estimated dose fraction; at use
            the fraction is only estimated, so it is blurred here.
        losses: the weight of the air around the patient and the limits of stage two are taken
            from it.
        seed: of the noise that judges.
    """
    mean.eval().requires_grad_(False)
    scheduler = MeanBridgeScheduler()
    network = CtTextureModel.build_network(
        widths=list(widths), blocks=list(blocks), time_channels=time_channels
    )

    def velocity_error(model: nn.Module, batch: Batch, generator: torch.Generator | None) -> Tensor:
        assert isinstance(model, CtTextureModel)
        middle, target = middle_slice(batch), batch["target"]
        mean.to(target.device)
        with torch.no_grad():
            blur = drawn_for_share(torch.randn, target.shape[:1], generator).to(target)
            fraction = batch["fraction"] * (blur * fraction_error).exp()
            estimate = mean(batch["input"], fraction.clamp_max(losses.largest_fraction))
            white = drawn_for_share(torch.randn, target.shape, generator).to(target)
            noise = model.start(white, middle=middle, estimate=estimate)
            residual = (target - estimate.mean) / spread_hu(estimate)
            residual = residual.clamp(-losses.largest_residual, losses.largest_residual)
            time_B = drawn_for_share(torch.rand, target.shape[:1], generator).to(target)
            state = scheduler.add_noise(residual, noise, time_B)
            wanted = scheduler.velocity(residual, noise, time_B)
        found = model.velocity(state, time_B, middle=middle, estimate=estimate)
        weight = body_weight(target, losses)
        return (weight * (found - wanted).square()).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        value = velocity_error(model, batch, None).mean()
        return value, {"velocity": value.item()}

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(seed, "bridge merit"))
        return -velocity_error(model, batch, generator)

    def picture(model: nn.Module, batch: Batch) -> NDArray:
        assert isinstance(model, CtTextureModel)
        middle, target = middle_slice(batch), batch["target"]
        generator = torch.Generator().manual_seed(derived_seed(seed, "picture"))
        white = torch.randn(target.shape, generator=generator).to(target)
        estimate = mean.to(target.device)(batch["input"], batch["fraction"])
        sample = model.sample(white, middle=middle, estimate=estimate, steps=_PICTURE_STEPS)
        return side_by_side(middle, sample, target)

    return Learner(
        name="texture",
        network=CtTextureModel(network, scheduler=scheduler),
        loss=loss,
        merit=merit,
        picture=picture,
    )
