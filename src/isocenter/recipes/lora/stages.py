"""Encode the images of a LoRA once, and fit it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from isocenter.core.errors import SettingRefused
from isocenter.core.progress import Say
from isocenter.core.seeds import derived_seed
from isocenter.datasets.splits import TRAIN, VALIDATION
from isocenter.modelpack.stable_diffusion.parts import StableParts
from isocenter.modelpack.stable_diffusion.text import longest, num_tokens, token_ids
from isocenter.recipes.lora.collection import Collection, Example
from isocenter.recipes.lora.configuration import LoraRecipe
from isocenter.training.checkpoint import load_state
from isocenter.training.loop import Trainer
from isocenter.training.lora.learner import NAME, lora_learner
from isocenter.training.lora.network import LoraNetwork
from isocenter.training.lora.samples import (
    EncodedPicture,
    LoraSamples,
    encoded,
    validation_batches,
)


@dataclass(frozen=True, kw_only=True)
class EncodedParts:
    """All images as the autoencoder sees them.

    Attributes:
        parts: by part of the split.
        sha256: of all values, texts and parts.
        size: rows and columns.
        pixel_mm: side of a pixel at that size, where all have the same.
    """

    parts: Mapping[str, Sequence[EncodedPicture]]
    sha256: str
    size: int
    pixel_mm: float | None


def size_of(recipe: LoraRecipe, parts: StableParts) -> int:
    """Rows and columns to fit to.

    Raises:
        SettingRefused: the network does not take that size.
    """
    size = recipe.size or parts.side
    if size % parts.multiple:
        raise SettingRefused(
            f"size must be a multiple of {parts.multiple} for this model, got {size}"
        )
    return size


def encode_all(
    recipe: LoraRecipe, parts: StableParts, collection: Collection, *, say: Say
) -> EncodedParts:
    """Read and encode every image; nothing of an image stays in memory but its latent."""
    size = size_of(recipe, parts)
    digest = hashlib.sha256()
    found: dict[str, list[EncodedPicture]] = {}
    sides: list[float | None] = []
    total, cut = sum(map(len, collection.parts.values())), 0
    for part, examples in collection.parts.items():
        found[part] = []
        for one in examples:
            values = one.read()
            sides.append(_side_mm(one, values.shape, size))
            digest.update(repr((part, one.text, values.shape)).encode() + values.tobytes())
            scale = collection.scale
            picture = scale.to_network(scale.on_square(values, size))
            found[part].append(encoded(parts, picture, one.text))
            cut += num_tokens(parts, one.text) > longest(parts) - 2
            if len(sides) % max(1, total // 5) == 0:
                say(f"encoded {len(sides)} of {total} images")
    if cut:
        say(f"{cut} texts have more than {longest(parts) - 2} tokens; the model reads no further")
    return EncodedParts(parts=found, sha256=digest.hexdigest(), size=size, pixel_mm=_common(sides))


def fit(
    recipe: LoraRecipe,
    parts: StableParts,
    images: EncodedParts,
    folder: Path,
    *,
    resume: bool,
    device: str,
    say: Say,
) -> tuple[LoraNetwork, int]:
    """Fit the matrices; gives those of the best validation, and how many steps were made."""
    torch.manual_seed(derived_seed(recipe.seed, NAME) % 2**32)
    learner = lora_learner(
        parts,
        rank=recipe.rank,
        with_text=recipe.train_text_encoder,
        snr_limit=recipe.snr_limit,
    )
    if recipe.gradient_checkpointing:
        parts.unet.enable_gradient_checkpointing()
    no_text = tuple(one[0] for one in token_ids(parts, [""]))
    num_times = len(parts.scheduler.alphas_cumprod)

    def make_samples(start: int) -> LoraSamples:
        return LoraSamples(
            images.parts[TRAIN],
            no_text,
            seed=recipe.seed,
            num_times=num_times,
            length=recipe.loop.steps * recipe.loop.batch_size,
            start=start,
            drop_text=recipe.drop_text,
        )

    validation = validation_batches(
        images.parts[VALIDATION],
        no_text,
        seed=derived_seed(recipe.seed, VALIDATION),
        num_times=num_times,
        draws=recipe.validation_draws,
        batch_size=recipe.loop.batch_size,
    )
    trainer = Trainer([learner], settings=recipe.loop, folder=folder, device=device, say=say)
    if resume:
        trainer.resume()
    say(f"{folder.name}: from step {trainer.step:,} to {recipe.loop.steps:,}")
    trainer.fit(make_samples, validation, judge_first=True)
    network = learner.network
    assert isinstance(network, LoraNetwork)
    network.load_state_dict(load_state(folder / f"{NAME}.pt"))
    if network.is_without_effect():
        say(
            "no step made the validation error smaller than the model's own: the LoRA changes "
            "nothing; give more steps, another learning rate or more images"
        )
    return network, trainer.step


def _side_mm(one: Example, shape: tuple[int, ...], size: int) -> float | None:
    """Side of a pixel once an image lies on its square; None where it has no square pixels."""
    if one.pixel_mm is None or abs(one.pixel_mm[0] - one.pixel_mm[1]) > 1e-3 * one.pixel_mm[0]:
        return None
    return one.pixel_mm[0] * max(shape) / size


def _common(sides: Sequence[float | None]) -> float | None:
    known = [side for side in sides if side is not None]
    if len(known) < len(sides) or max(known) - min(known) > 1e-3 * max(known):
        return None
    return known[0]
