"""A study of a generator with random weights and of images made from seeds; it runs in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from benchmarks.generate.study import Effort, Study
from tests.modelpack.generator.tiny import CHESTS, HEADS, tiny_generator

from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.datasets.sentences.grammar import words_known
from isocenter.datasets.splits import CALIBRATION, TEST, TRAIN
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.told import vocabulary_of
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.modelpack.text.vocabulary import Vocabulary
from isocenter.networks.copy_guard import CopyGuard
from isocenter.networks.latent_unet import LatentUNet
from isocenter.networks.text_encoder import TextEncoder

SIDE = 64
BRAIN = replace(
    HEADS,
    name="brain_t1c",
    rows=SIDE,
    columns=SIDE,
    categories={
        "class": ("glioma", "meningioma", "pituitary tumor"),
        "plane": ("axial", "sagittal"),
    },
    numbers=(),
    box="tumor",
)
CHEST = replace(
    CHESTS, name="chest_ct", rows=SIDE, columns=SIDE, pixel_mm=5.0, categories={}
)  # fmt: skip
EFFORT = Effort(
    number=12,
    variants=10,
    real=24,
    reconstructed=4,
    training=30,
    feature_steps=1,
    classifier_steps=2,
    box_steps=2,
    seeds=1,
    attacked=12,
    halves=2,
    resamples=20,
)


def tiny_study(output: Path) -> Study:
    """Both families, whose images are discs, with everything told."""
    return Study(
        model=generator_of_both(),
        sets={BRAIN.name: brains(), CHEST.name: chests()},
        output=output,
        effort=EFFORT,
    )


def generator_of_both() -> ImageGenerator:
    """A tiny generator that knows the grammar's words."""
    tiny = tiny_generator()
    vocabulary = vocabulary_of([BRAIN, CHEST])
    words = Vocabulary.of(word for language in ("en", "zh") for word in words_known(language))
    torch.manual_seed(3)
    return ImageGenerator(
        families=[BRAIN, CHEST],
        autoencoder=tiny.autoencoder,
        denoiser=LatentUNet(
            latent_channels=2,
            category_sizes=vocabulary.category_sizes,
            num_numbers=0,
            text_width=16,
            token_width=16,
            channels=(16, 32),
            attention=(False, True),
            head_channels=16,
            norm_groups=8,
        ),
        process=tiny.process,
        text=BilingualEncoder(
            TextEncoder(
                words=words.words,
                readings={"finding": ["", "glioma"]},
                width=16,
                layers=1,
                heads=2,
                feed_forward=16,
            )
        ),
        guard=CopyGuard(
            embedding={"channels": 8, "side": 32, "grid": 2, "widths": [16, 32], "blocks": [1, 1]},
            groups={one.name: {"num_images": 2, "threshold": 0.99} for one in (BRAIN, CHEST)},
        ),
        scale=tiny.scale,
        defaults=tiny.defaults,
        card=tiny.card,
    )


def brains() -> ImageSet:
    """Heads with a bright disc, its class by its brightness; two images a patient."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    images, labels = [], []
    for part, count in ((TRAIN, 42), (CALIBRATION, 24), (TEST, 30)):
        for k in range(count):
            kind = k % 3
            x, y, radius = rng.uniform(20, 44), rng.uniform(20, 44), rng.uniform(5, 9)
            image = rng.normal(60, 6, (SIDE, SIDE))
            image[(row - y) ** 2 + (column - x) ** 2 < radius**2] += 50 + 40 * kind
            images.append(image.clip(0, 255).astype(np.uint8))
            labels.append(
                ImageLabels(
                    file=f"{part} {k}",
                    patient=f"{part} {k // 6 * 3 + kind}",
                    part=part,
                    categories={
                        "class": BRAIN.categories["class"][kind],
                        "plane": BRAIN.categories["plane"][k % 2],
                    },
                    box=(x / SIDE, y / SIDE, radius / 32, radius / 32),
                )
            )
    return ImageSet(family=BRAIN.name, stored=np.stack(images), labels=tuple(labels))


def chests() -> ImageSet:
    """A body of water with two lungs; three test patients alone."""
    rng = np.random.default_rng(1)
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    images, guides, labels = [], [], []
    for part, count in ((TRAIN, 12), (CALIBRATION, 20), (TEST, 12)):
        for k in range(count):
            body = (row - 32) ** 2 + (column - 32) ** 2 < 30**2
            tall, wide = rng.uniform(13, 18), rng.uniform(8, 10)
            away = ((row - rng.uniform(28, 36)) / tall) ** 2
            left, right = (away + ((column - x) / wide) ** 2 < 1 for x in (20, 44))
            lung = left | right
            guide = np.where(lung, 2, body).astype(np.uint8)
            values = np.array([-1000, 40, -850])[guide] + rng.normal(0, 15, guide.shape)
            images.append(values.clip(-1024, 1024).astype(np.int16))
            guides.append(guide)
            labels.append(ImageLabels(file=f"{part} {k}", patient=f"{part} {k % 3}", part=part))
    return ImageSet(
        family=CHEST.name,
        stored=np.stack(images),
        low=-1024,
        high=1024,
        labels=tuple(labels),
        guides=np.stack(guides),
        guide_names=("body", "lung"),
    )
