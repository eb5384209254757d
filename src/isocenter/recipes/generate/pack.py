"""Put the fitted parts of a generator into a model folder, with its card."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from isocenter.core.version import __version__
from isocenter.datasets.sentences.meaning import FAMILIES as SPOKEN_OF
from isocenter.datasets.sentences.meaning import sayable
from isocenter.evaluation.sets.copies import Calibration
from isocenter.modelpack.generator.model import ImageGenerator, LatentScale
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.copy_guard import CopyGuard
from isocenter.networks.latent_unet import LatentUNet
from isocenter.recipes.generate import card as generator_card
from isocenter.recipes.generate.beginning import Beginning
from isocenter.recipes.generate.collection import Collection
from isocenter.recipes.generate.configuration import GenerateRecipe
from isocenter.recipes.provenance import code_commit


def pack(
    recipe: GenerateRecipe,
    collection: Collection,
    *,
    autoencoder: Autoencoder,
    denoiser: LatentUNet,
    text: BilingualEncoder,
    scale: LatentScale,
    guard: CopyGuard,
    calibrations: dict[str, Calibration],
    folder: Path,
    history: str = "",
    beginning: Beginning | None = None,
) -> Path:
    """Write the model folder in place of an earlier one.

    ``history`` is for weights that the recipe did not make in one go, and goes into the card, as
    does the ``beginning`` with another model's weights.
    """
    commit = code_commit()
    card = generator_card.facts(recipe, collection, commit=commit)
    model = ImageGenerator(
        families=collection.families,
        autoencoder=autoencoder,
        denoiser=denoiser,
        process=recipe.process,
        text=text,
        scale=scale,
        guard=guard,
        speech={
            one.name: sayable(one.name) for one in collection.families if one.name in SPOKEN_OF
        },
        card=card,
    )
    shutil.rmtree(folder, ignore_errors=True)
    if beginning is not None:
        history = " ".join(filter(None, [beginning.in_words(), history]))
        recipe = replace(recipe, start=beginning.model.name)  # no folder of the user's
    training: dict[str, Any] = {
        "recipe": asdict(recipe),
        "isocenter": __version__,
        "commit": commit,
        "torch": torch.__version__,
        "images and patients": collection.counts(),
        "guard": {name: found.described() for name, found in calibrations.items()},
    }
    if beginning is not None:
        training["start"] = beginning.facts()
    if history:
        training["history"] = history
    documents = {
        "README.md": generator_card.readme(card, recipe, history=history),
        "training.json": json.dumps(training, indent=1) + "\n",
    }
    model.save_pretrained(folder, documents=documents)
    return folder
