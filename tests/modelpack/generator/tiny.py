"""A generator small enough to draw in a moment; its weights are random."""

from __future__ import annotations

import torch

from isocenter.diffusion.process import Process
from isocenter.modelpack.generator.defaults import Defaults
from isocenter.modelpack.generator.family import Family, Number
from isocenter.modelpack.generator.model import ImageGenerator, LatentScale
from isocenter.modelpack.generator.told import vocabulary_of
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.modelpack.text.vocabulary import Vocabulary
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.copy_guard import CopyGuard
from isocenter.networks.latent_unet import LatentUNet
from isocenter.networks.text_encoder import TextEncoder

CARD = {
    "name": "tiny",
    "version": "0",
    "intended_use": "Tests.",
    "licence": "Apache-2.0",
    "not_for": ["Anything else."],
    "limits": ["Its weights are random."],
}
HEADS = Family(
    name="heads",
    title="Heads",
    modality="MR",
    body_part="BRAIN",
    rows=32,
    columns=32,
    pixel_mm=None,
    unit="",
    low=0.0,
    high=255.0,
    window=(127.5, 255.0),
    categories={"class": ("round", "long"), "plane": ("axial", "sagittal")},
    numbers=(Number(name="age", unit="years", least=0, most=100, meaning="Age."),),
    box="spot",
    guide=(),
    text=True,
)
CHESTS = Family(
    name="chests",
    title="Chests",
    modality="CT",
    body_part="CHEST",
    rows=32,
    columns=48,
    pixel_mm=2.0,
    unit="HU",
    low=-1024.0,
    high=1024.0,
    window=(-600.0, 1500.0),
    categories={"class": ("long", "wide")},
    numbers=(),
    box="",
    guide=("body", "lung"),
    text=False,
)


def tiny_denoiser() -> LatentUNet:
    """A denoiser of the two families."""
    torch.manual_seed(2)
    vocabulary = vocabulary_of([HEADS, CHESTS])
    network = LatentUNet(
        latent_channels=2,
        category_sizes=vocabulary.category_sizes,
        num_numbers=len(vocabulary.numbers),
        text_width=16,
        token_width=16,
        channels=(16, 32),
        attention=(False, True),
        head_channels=16,
        norm_groups=8,
    )
    for weight in network.parameters():
        if not weight.any() and weight.ndim > 1:  # a new network lets nothing pass
            torch.nn.init.normal_(weight, std=0.1)
    return network


def tiny_generator(family: str = "heads") -> ImageGenerator:
    """A generator of the two families."""
    torch.manual_seed(1)
    words = Vocabulary.of(["a", "round", "spot", "no", "圆形"])
    return ImageGenerator(
        families=[HEADS, CHESTS],
        family=family,
        autoencoder=Autoencoder(channels=(8, 16), blocks=1, latent_channels=2, norm_groups=8),
        denoiser=tiny_denoiser(),
        process=Process(),
        text=BilingualEncoder(
            TextEncoder(
                words=words.words,
                readings={"finding": ["", "spot"]},
                width=16,
                layers=1,
                heads=2,
                feed_forward=16,
            )
        ),
        guard=CopyGuard(
            embedding={"channels": 8, "side": 32, "grid": 2, "widths": [16, 32], "blocks": [1, 1]},
            groups={name: {"num_images": 2, "threshold": 0.99} for name in ("heads", "chests")},
        ),
        scale=LatentScale(mean=(0.1, -0.1), deviation=(0.5, 0.6)),
        defaults=Defaults(steps=3, guidance=1.5),
        card=CARD,
    )
