"""The run that makes the text encoder, complete; it needs no data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.networks.text_encoder import TextEncoder
from isocenter.training.checkpoint import load_state
from isocenter.training.generator.text import (
    READINGS,
    SentencePairs,
    TextReader,
    text_learner,
    vocabulary,
)
from isocenter.training.loop import LoopSettings, Trainer

MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class TextEncoderRecipe:
    """The complete configuration.

    Attributes:
        width, layers, heads, feed_forward, looks, most_tokens: of the network.
        loop: how it is fitted; a batch counts items of four sentences.
        validation_items: items by which the best weights are chosen.
        seed: of everything.
    """

    width: int = 128
    layers: int = 3
    heads: int = 4
    feed_forward: int = 256
    looks: int = 12
    most_tokens: int = 40
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1000,
            batch_size=24,
            learning_rate=2e-3,
            weight_decay=0.01,
            warm_up_steps=60,
            average_decay=0.99,
            validate_every=150,
            checkpoint_every=150,
            workers=0,
            mixed_precision="no",
        )
    )
    validation_items: int = 160
    seed: int = 0


def text_encoder() -> TextEncoderRecipe:
    """The recipe of the encoder that ships."""
    return TextEncoderRecipe()


def train(
    recipe: TextEncoderRecipe,
    output: Path,
    *,
    resume: bool = False,
    say: Say = say_nothing,
) -> Path:
    """Fit the encoder; returns the folder that :class:`BilingualEncoder` reads.

    The same recipe on the same machine gives the same weights, stopped and resumed or not.
    """
    words = vocabulary()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(recipe.seed, "text encoder"))
        network = TextEncoder(
            words=words.words,
            readings=READINGS,
            width=recipe.width,
            layers=recipe.layers,
            heads=recipe.heads,
            feed_forward=recipe.feed_forward,
            looks=recipe.looks,
            most_tokens=recipe.most_tokens,
        )
        learner = text_learner(network)
    trainer = Trainer([learner], settings=recipe.loop, folder=output / "fit", say=say)
    if resume:
        trainer.resume()

    def pairs(first: int) -> SentencePairs:
        return SentencePairs(words, most_tokens=recipe.most_tokens, seed=recipe.seed, first=first)

    judged = SentencePairs(
        words,
        most_tokens=recipe.most_tokens,
        seed=derived_seed(recipe.seed, "validation"),
        count=recipe.validation_items,
    )
    trainer.fit(pairs, list(DataLoader(judged, batch_size=recipe.loop.batch_size)))
    reader = learner.network
    assert isinstance(reader, TextReader)
    reader.load_state_dict(load_state(output / "fit" / f"{learner.name}.pt"))
    BilingualEncoder(reader.encoder).save(output / MODEL)
    return output / MODEL
