"""What holds back a denoiser of CT: its estimate of the image is decoded and must be possible."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.process import SAMPLE, Process
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import LatentScale
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.latent_unet import Conditions
from isocenter.training.generator.penalties import (
    BodyAndLung,
    air_outside_penalty,
    hu_range_penalty,
    organ_shape_penalty,
)

BODY, LUNG = "body", "lung"
_MOST_IMAGES = 2
_MOST_TIME = 0.5  # beyond, the estimate is a mean of many images and has no edges to judge


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a denoiser predicted of latents of one size, (B, C, H, W).

    Attributes:
        clean: the latents.
        state: with noise.
        time_B: of the noise.
        wanted: what it was to predict.
        found: what it predicted.
        conditions: what it was told.
    """

    clean: Tensor
    state: Tensor
    time_B: Tensor
    wanted: Tensor
    found: Tensor
    conditions: Conditions


class CtPenalty:
    """Range of HU, air around the body and shapes of body and lung, of a few images of a batch.

    Those are told a guide and have little noise. Gradients go through the decoder, which is a copy
    and stays as it is.

    Args:
        autoencoder: decodes latents; and guides, which are latents too.
        scale: of the latents.
        families: in the denoiser's order; those in HU with body and lung in their guide count.
        process: from latents to noise.

    Raises:
        SettingRefused: no family is one of these.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        scale: LatentScale,
        families: Sequence[Family],
        process: Process,
    ) -> None:
        self._autoencoder = copy.deepcopy(autoencoder).eval().requires_grad_(False)
        self._scale = scale
        self._process = process
        self._families = guided_ct(families)

    def __call__(self, predicted: Predicted) -> Tensor:
        """One number for each of a few images, 0 where nothing is broken; none where none fits."""
        found = [
            self._of_family(code, family, predicted) for code, family in self._families.items()
        ]
        return torch.cat(found)

    def _of_family(self, code: int, family: Family, predicted: Predicted) -> Tensor:
        told = predicted.conditions
        fits = (told.categories[:, 0] == code) & told.guided & (predicted.time_B <= _MOST_TIME)
        rows = fits.nonzero()[:_MOST_IMAGES, 0]
        if not len(rows):
            return predicted.found.new_zeros(0, dtype=torch.float32)
        estimate = self._process.convert(
            predicted.found[rows].float(),
            predicted.state[rows].float(),
            predicted.time_B[rows].float(),
            to=SAMPLE,
        )
        image_hu = family.low + (self._decoded(estimate) + 1) / 2 * (family.high - family.low)
        with torch.no_grad():
            gray = self._decoded(told.guide[rows].float())
        labels = ((gray + 1) / 2 * len(family.guide)).round()
        body = (labels > 0).float()  # lung lies in it
        lung = (labels == family.guide.index(LUNG) + 1).float()
        return (
            hu_range_penalty(image_hu, lowest_hu=family.low, highest_hu=family.high)
            + air_outside_penalty(image_hu, body)
            + organ_shape_penalty(image_hu, torch.cat([body, lung], dim=1), BodyAndLung())
        )

    def _decoded(self, latent: Tensor) -> Tensor:
        self._autoencoder.to(latent.device)
        with torch.autocast(latent.device.type, enabled=False):
            image: Tensor = self._autoencoder.decode(self._scale.restored(latent))
        return image


def guided_ct(families: Sequence[Family]) -> dict[int, Family]:
    """Families in HU that are told a guide of body and lung, by their code for the denoiser.

    Raises:
        SettingRefused: there is none.
    """
    found = {
        code: family
        for code, family in enumerate(families, start=1)
        if family.unit == "HU" and {BODY, LUNG} <= set(family.guide)
    }
    if not found:
        raise SettingRefused(
            f"penalty_weight needs a family in HU whose guide marks {BODY} and {LUNG}, such as "
            "chest_ct; there is none, so set it to 0"
        )
    return found
