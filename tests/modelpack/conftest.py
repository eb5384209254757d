"""Models small enough to build in a test, with weights drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.modelpack.ct_enhance.calibration import CLASSES, Calibration, Factors
from isocenter.modelpack.ct_enhance.contract import AcceptedScans
from isocenter.modelpack.ct_enhance.dose_prior import DosePrior
from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.ct_enhance.texture import CtTextureModel

ACCEPTED = AcceptedScans(
    pixel_spacing_mm=(0.4, 1.2),
    field_of_view_mm=(200.0, 600.0),
    slice_thickness_mm=(0.5, 8.0),
    noise_hu=(8.0, 150.0),
    noise_mean_frequency_per_mm=(0.1, 0.7),
)


def draw_weights(module: nn.Module, *, scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))


def flat_calibration(factor: float, **factors: float) -> Calibration:
    """The same factor everywhere but for the classes named."""
    table: dict[str, Factors] = {name: ((factors.get(name, factor),) * 2,) * 2 for name in CLASSES}
    return Calibration(
        coverage=0.9,
        noise_hu=(10.0, 100.0),
        frequency_per_mm=(0.2, 0.5),
        below=table,
        above=table,
        patients=4,
    )


@pytest.fixture
def calibration() -> Callable[..., Calibration]:
    return flat_calibration


@pytest.fixture(scope="session")
def build_enhancer() -> Callable[..., CtEnhancer]:
    """Options: scale of the drawn weights (0 for a network that answers zero), and parts."""

    def build(
        *,
        scale: float = 0.08,
        calibration: Calibration | None = None,
        dose_prior: DosePrior | None = None,
    ) -> CtEnhancer:
        mean = CtMeanModel.build_network(context=1, widths=[4, 6], blocks=[1, 1])
        texture = CtTextureModel.build_network(widths=[4, 6], blocks=[1, 1], time_channels=4)
        draw_weights(mean, scale=scale, seed=1)
        draw_weights(texture, scale=scale, seed=2)
        card: dict[str, Any] = {
            "name": "tiny",
            "version": "3",
            "intended_use": "Tests.",
            "not_for": ["Anything else."],
            "limits": ["made in a test"],
            "licence": "Apache-2.0",
        }
        return CtEnhancer(
            mean=CtMeanModel(mean, context=1),
            texture=CtTextureModel(texture, scheduler=MeanBridgeScheduler()),
            calibration=calibration or flat_calibration(1.0),
            accepted=ACCEPTED,
            card=card,
            dose_prior=dose_prior,
        )

    return build


@pytest.fixture(scope="session")
def window_hu() -> NDArray:
    """Three noisy slices of a trunk with a lung, (3, 90, 101): nothing divides by 16."""
    row, column = np.indices((90, 101)) - 45.0
    image = np.where(np.hypot(row, column) < 42, 45.0, -1000.0)
    image[np.hypot(row - 10, column - 15) < 12] = -850.0
    noise = np.random.default_rng(4).normal(0, 25, (3, 90, 101))
    return (image + noise).astype(np.float32)
