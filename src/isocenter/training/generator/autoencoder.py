"""Fitting an autoencoder: pieces of images, what is asked of it, and its learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.losses.adversarial_loss import PatchAdversarialLoss
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from isocenter.core.checks import check_least, check_positive, check_share
from isocenter.core.seeds import derived_seed
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.modelpack.generator.told import painted
from isocenter.networks.autoencoder import Autoencoder, LatentDistribution
from isocenter.networks.feature_network import FeatureNetwork
from isocenter.training.augment.sample import box_of_fractions
from isocenter.training.freezing import RateGroup
from isocenter.training.generator.feature_loss import feature_loss
from isocenter.training.learner import Adversary, Batch, Learner
from isocenter.training.processes import drawn_for_share
from isocenter.training.sampling import lesion_crop

_LEVELS = 3
_ADVERSARY_CHANNELS = 32
_PEAK_TO_PEAK = 2.0  # of images in [-1, 1]


@dataclass(frozen=True, kw_only=True)
class AutoencoderLosses:
    """What is asked of an autoencoder.

    Attributes:
        divergence: weight of the Kullback-Leibler divergence, in nats a latent value.
        halved: share of the steps at which latents of half the size must give images of half the
            size, which keeps latents smooth enough for a denoiser to learn.
        gamma: largest factor by which the gamma of gray images is changed, up or down.
        guides: share of the pieces of a family with label maps that show the map, painted, as
            guides reach the denoiser through this autoencoder too.
        features: weight of the difference in the eyes of a feature network, where there is one.
        adversary: weight of the verdict of a network that tells pieces made from real ones.
        adversary_first_step: steps before it is heard.
        features_merit_db: by how many dB of PSNR a feature loss of one lowers the merit, so that
            what looks right is kept and not what is smooth.

    Source of ``halved``: Kouzelis et al., ICML 2025 (equivariance of latents to scale).
    """

    divergence: float = 1e-3
    halved: float = 0.0
    gamma: float = 1.25
    guides: float = 0.2
    features: float = 0.0
    adversary: float = 0.0
    adversary_first_step: int = 0
    features_merit_db: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "divergence",
            "features",
            "adversary",
            "adversary_first_step",
            "features_merit_db",
        ):
            check_least(name, getattr(self, name), 0)
        for name in ("halved", "guides"):
            check_share(name, getattr(self, name))
        check_least("gamma", self.gamma, 1)


def pyramid_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error of images (B, C, H, W), and of each level of their Laplacian pyramid.

    Every scale counts alike, so that edges do not drown in what is smooth.
    """
    rest = found - wanted
    total = rest.abs().mean()
    for _ in range(_LEVELS):
        coarse = functional.avg_pool2d(rest, 2)
        total = total + (rest - functional.interpolate(coarse, scale_factor=2)).abs().mean()
        rest = coarse
    return total + rest.abs().mean()


class ImagePieces(Dataset):
    """Pieces of images of several families; item k depends on the seed and k alone.

    Args:
        sets: images by family, of the part to train on.
        shares: how often each family is drawn.
        crop: rows and columns of a piece.
        losses: says how gray values are varied; HU never are. And how often a guide is shown.
        seed: of the draws.
        length: number of the last item, exclusive.
        start: number of the first item.
        lesion_centered: share of the pieces of images with a box that hold what is in the box.
    """

    def __init__(
        self,
        sets: Mapping[str, ImageSet],
        *,
        shares: Mapping[str, float],
        crop: int,
        losses: AutoencoderLosses,
        seed: int,
        length: int,
        start: int = 0,
        lesion_centered: float = 0.0,
    ) -> None:
        check_positive("length", length)
        check_share("lesion_centered", lesion_centered)
        for images in sets.values():
            if min(images.size) < crop:
                raise ValueError(f"images of {images.size} hold no piece of {crop} pixels")
        self._sets = list(sets.values())
        ends = np.cumsum([shares[name] for name in sets])
        self._ends = ends / ends[-1]
        self._crop = crop
        self._losses = losses
        self._seed = seed
        self._length = length
        self._start = start
        self._lesion_centered = lesion_centered

    def __len__(self) -> int:
        return self._length - self._start

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng(derived_seed(self._seed, "piece", self._start + index))
        images = self._sets[int(np.searchsorted(self._ends, rng.random(), side="right"))]
        number = int(rng.integers(len(images)))
        place = self._place(images, number, rng)
        if images.guides is not None and rng.random() < self._losses.guides:
            piece = painted(images.guides[number][place], len(images.guide_names))
        else:
            piece = images.values(number)[place]
            if images.low == 0:
                bend = self._losses.gamma ** rng.uniform(-1, 1)
                piece = 2 * ((piece + 1) / 2) ** bend - 1
        return {"image": torch.from_numpy(np.ascontiguousarray(piece, np.float32))[None]}

    def _place(self, images: ImageSet, number: int, rng: np.random.Generator) -> tuple[slice, ...]:
        box = images.labels[number].box
        rows, columns = images.size
        if not self._lesion_centered or box is None:
            top, left = (int(rng.integers(0, extent - self._crop + 1)) for extent in images.size)
            return slice(top, top + self._crop), slice(left, left + self._crop)
        edges = np.clip(box_of_fractions(box, rows, columns), 0, [[rows], [columns]])
        return lesion_crop(
            images.size,
            edges[None],
            (self._crop, self._crop),
            rng,
            share=self._lesion_centered,
        ).slices


def autoencoder_learner(
    network: Autoencoder,
    *,
    losses: AutoencoderLosses,
    features: FeatureNetwork | None = None,
    groups: Sequence[RateGroup] = (),
) -> Learner:
    """Error on every scale and the divergence of the latents; judged by its PSNR in dB.

    Args:
        network: what is fitted.
        losses: what is asked of it.
        features: frozen; needed where its loss has a weight.
        groups: parts with a learning rate of their own.

    Sources: Rombach et al., CVPR 2022, for the sum of these losses; Isola et al., CVPR 2017, for an
    adversary that judges patches; Lim & Ye, arXiv 1705.02894, for its hinge loss.
    """
    if (losses.features or losses.features_merit_db) and features is None:
        raise ValueError("a weight of features needs a feature network")
    adversary = _Verdicts(losses) if losses.adversary else None

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Autoencoder)
        image = batch["image"]
        found = model.encode(image)
        latent = found.draw(drawn_for_share(torch.randn, found.mean.shape).to(found.mean))
        wanted = image
        is_halved = float(torch.rand(())) < losses.halved
        if is_halved:
            latent, wanted = functional.avg_pool2d(latent, 2), functional.avg_pool2d(image, 2)
        made = model.decode(latent).float()
        error = pyramid_error(made, wanted)
        divergence = LatentDistribution(found.mean.float(), found.deviation.float()).divergence()
        total = error + losses.divergence * divergence.mean()
        logs = {"error": error.item(), "divergence": divergence.mean().item()}
        if features is not None and losses.features:
            unlike = feature_loss(features, made, wanted)
            total = total + losses.features * unlike
            logs["features"] = unlike.item()
        if adversary is not None and learner.step >= losses.adversary_first_step and not is_halved:
            verdict = adversary.of_made(made)
            total = total + losses.adversary * verdict
            logs["verdict"] = verdict.item()
        return total, logs

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, Autoencoder)
        image = batch["image"]
        again = model.decode(model.encode(image).mean).float()
        error = (again - image).square().mean(dim=(1, 2, 3)).clamp_min(1e-9)
        psnr: Tensor = 20 * np.log10(_PEAK_TO_PEAK) - 10 * error.log10()
        if features is None or not losses.features_merit_db:
            return psnr
        unlike = [
            feature_loss(features, one, two)
            for one, two in zip(again[:, None], image[:, None], strict=True)
        ]
        return psnr - losses.features_merit_db * torch.stack(unlike)

    def picture(model: nn.Module, batch: Batch) -> NDArray:
        assert isinstance(model, Autoencoder)
        image = batch["image"][:4]
        again = model.decode(model.encode(image).mean).float()
        rows = [torch.cat(list(one[:, 0]), dim=1) for one in (image, again, again - image)]
        whole = torch.cat(rows).clamp(-1, 1)
        gray: NDArray = ((whole + 1) * 127.5).round().byte().cpu().numpy()
        return gray

    learner = Learner(
        name="autoencoder",
        network=network,
        loss=loss,
        merit=merit,
        picture=picture,
        groups=groups,
        adversary=None if adversary is None else adversary.as_adversary(),
    )
    return learner


class _Verdicts:
    """The adversary of an autoencoder: what it says of pieces that were made and of real ones."""

    def __init__(self, losses: AutoencoderLosses) -> None:
        self._losses = losses
        self._hinge = PatchAdversarialLoss(criterion="hinge")
        self._network = PatchDiscriminator(
            spatial_dims=2,
            channels=_ADVERSARY_CHANNELS,
            in_channels=1,
            out_channels=1,
            num_layers_d=3,
            norm="INSTANCE",
        )
        self._made: Tensor | None = None

    def of_made(self, made: Tensor) -> Tensor:
        """How clearly it sees that pieces were made; keeps them for its own loss."""
        self._made = made.detach()
        verdict: Tensor = self._hinge(
            self._network(made)[-1].float(), target_is_real=True, for_discriminator=False
        )
        return verdict

    def as_adversary(self) -> Adversary:
        """For the loop."""

        def loss(own: nn.Module, _: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
            made, self._made = self._made, None
            if made is None:  # a step of halved pieces, which it does not judge
                return torch.stack([one.sum() for one in own.parameters()]).sum() * 0.0, {}
            parts = [
                self._hinge(own(one)[-1].float(), target_is_real=real, for_discriminator=True)
                for one, real in ((batch["image"], True), (made, False))
            ]
            total = 0.5 * (parts[0] + parts[1])
            return total, {"loss": total.item()}

        return Adversary(
            network=self._network, loss=loss, first_step=self._losses.adversary_first_step
        )
