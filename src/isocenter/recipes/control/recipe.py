"""The run that fits a ControlNet beside a frozen generator, complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, SettingRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.core.version import __version__
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.image_sets.own_folder import LEAST_PATIENTS_TRANSFER, read_own_folder
from isocenter.datasets.splits import TRAIN, VALIDATION
from isocenter.modelpack.card import bounds_in_markdown
from isocenter.modelpack.control.model import IMAGE, MASK, ImageControl, pooled_labels
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.networks.latent_unet import LatentControlNet
from isocenter.recipes.control.configuration import ControlRecipe
from isocenter.recipes.generate.beginning import opened
from isocenter.recipes.provenance import code_commit
from isocenter.recipes.run_folder import begin_run, check_output
from isocenter.training.checkpoint import load_state
from isocenter.training.generator.control import control_learner
from isocenter.training.generator.encode import bank_of, latent_set, latents_of
from isocenter.training.generator.latent_cases import LatentCases, LatentSet, SentenceBank
from isocenter.training.learner import Batch
from isocenter.training.loop import Trainer
from isocenter.training.processes import is_main_process, wait_for_all

MODEL, CONTROL = "model", "control"
_SIZE = "latents"


def recipe_for(data: Path) -> ControlRecipe:
    """The recipe that fits a data folder; the generator is still to be named."""
    return ControlRecipe()


def train(
    recipe: ControlRecipe,
    data: Path,
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: Say | None = None,
) -> Path:
    """Encode the images, fit the ControlNet beside the frozen denoiser, and pack it.

    Args:
        recipe: as :func:`recipe_for` gives it, with a generator to start from.
        data: folder with ``images`` and ``labels.csv``, whose column ``mask`` or ``reference``
            names what steers.
        output: ``control`` keeps checkpoints and losses there, ``model`` is the result.
        resume: go on from the last checkpoint.
        device: "cpu", "cuda" or "auto".
        progress: is told what happens, a line at a time, by the main process.

    Returns:
        The folder of the control.

    Raises:
        SettingRefused: no generator is named, or not which of its families is meant.
        InputRefused: the images are unsuitable, or not those of the run to go on with.
        ModelRefused: the generator cannot be had.
        OutputRefused: the output folder holds a run already.
    """
    device = resolve_device(device)
    PartialState(cpu=device == "cpu")  # joins the processes, if there are several
    say = progress if progress is not None and is_main_process() else say_nothing
    check_output(output, resume=resume)
    generator = _generator(recipe)
    say(f"training {recipe.name} {recipe.version} beside {generator.name}; reading images first")
    images = read_own_folder(data, family="own", least_patients=LEAST_PATIENTS_TRANSFER)
    _check_images(recipe, generator, images)
    digests = {
        "images": images.digest(),
        "weights of the generator": generator.weights_sha256,
    }
    begin_run(output, recipe, digests, harmless=("start",))  # its folder may have moved
    control = fit(
        recipe, generator, images, output / CONTROL, resume=resume, device=device, say=say
    )
    folder = output / MODEL
    if is_main_process():
        pack(recipe, generator, images, control, folder)
    wait_for_all()
    return folder


def fit(
    recipe: ControlRecipe,
    generator: ImageGenerator,
    images: ImageSet,
    folder: Path,
    *,
    resume: bool,
    device: str,
    say: Say = say_nothing,
) -> LatentControlNet:
    """The ControlNet with the averaged weights of its best validation."""
    steering = steering_of(recipe, generator, images)
    torch.manual_seed(derived_seed(recipe.seed, CONTROL) % 2**32)
    network = LatentControlNet.beside(generator.denoiser, control_channels=steering.shape[1])
    network.requires_grad_(True)
    say("latents")
    whole, bank = _encoded(generator, images, steering)
    learner = control_learner(
        network,
        generator.denoiser,
        process=generator.process,
        bank=bank,
        noise=recipe.noise,
        seed=recipe.seed,
    )

    def cases(start: int) -> LatentCases:
        return LatentCases(
            {_SIZE: whole.chosen(images.indices(TRAIN))},
            drop=recipe.drop,
            seed=recipe.seed,
            length=recipe.loop.steps * recipe.loop.batch_size,
            start=start,
        )

    judged = LatentCases(
        {_SIZE: whole.chosen(images.indices(VALIDATION))},
        drop=recipe.drop,
        seed=derived_seed(recipe.seed, VALIDATION),
        length=recipe.validation_cases,
    )
    trainer = Trainer([learner], settings=recipe.loop, folder=folder, device=device, say=say)
    if resume:
        trainer.resume()
    trainer.fit(cases, _batches(judged, recipe.loop.batch_size))
    fitted = LatentControlNet(**network.config)
    fitted.load_state_dict(load_state(folder / f"{CONTROL}.pt"))
    return fitted.eval()


def steering_of(recipe: ControlRecipe, generator: ImageGenerator, images: ImageSet) -> Tensor:
    """What steers each image, on the grid of its latent: (N, channels, H, W)."""
    if recipe.told == MASK:
        assert images.guides is not None  # checked before
        return pooled_labels(
            images.guides, len(images.guide_names), factor=generator.autoencoder.factor
        )
    references = images.reference_values
    mean, _ = latents_of(generator.autoencoder, references, len(images))
    return generator.scale.normalized(mean.float())


def pack(
    recipe: ControlRecipe,
    generator: ImageGenerator,
    images: ImageSet,
    control: LatentControlNet,
    folder: Path,
) -> None:
    """Write the folder in place of an earlier one."""
    commit = code_commit()
    base = {
        "name": generator.name,
        "version": generator.version,
        "weights_sha256": generator.weights_sha256,
    }
    what = "a label map" if recipe.told == MASK else "another image"
    card: dict[str, Any] = {
        "name": recipe.name,
        "version": recipe.version,
        "intended_use": (
            f"Research and teaching: images that {generator.name} draws, steered by {what}."
        ),
        "not_for": [
            "Diagnosis, treatment or any statement about a patient.",
            "Any other generator than the one that it was fitted beside.",
        ],
        "limits": [
            "What it is told it obeys often, not always.",
            "The generator's guard against copies does not know the images that it was fitted to.",
        ],
        "base": base,
        "images_and_patients": {part: list(pair) for part, pair in images.counts().items()},
        "seed": recipe.seed,
        "commit": commit,
        "licence": "not stated",
    }
    model = ImageControl(
        control=control.cpu(),
        family=generator.family.name,
        told=recipe.told,
        labels=images.guide_names if recipe.told == MASK else (),
        base=base,
        card=card,
    )
    training = {
        "recipe": asdict(replace(recipe, start=generator.name)),  # no folder of the user's
        "isocenter": __version__,
        "commit": commit,
        "torch": torch.__version__,
    }
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(
        folder,
        documents={
            "README.md": _readme(card, base),
            "training.json": json.dumps(training, indent=1) + "\n",
        },
    )


def _readme(card: dict[str, Any], base: dict[str, str]) -> str:
    return "\n".join(
        [
            f"# {card['name']} {card['version']}",
            "",
            card["intended_use"],
            "",
            f"It belongs to {base['name']} {base['version']}, weights `{base['weights_sha256']}`, "
            "and leaves them as they are.",
            "",
            *bounds_in_markdown(card),
            f"Made by `isocenter train control`, seed {card['seed']}, code at {card['commit']}. "
            f"Licence of the weights: {card['licence']}.",
            "",
        ]
    )


def _generator(recipe: ControlRecipe) -> ImageGenerator:
    """The generator with its family chosen."""
    if not recipe.start.strip():
        raise SettingRefused(
            "no generator to steer is named; give its folder, or the name of one that is shipped, "
            "by --set start=…"
        )
    generator = opened(recipe.start)
    if recipe.family:
        return generator.of(recipe.family)
    if len(generator.families) > 1 and recipe.start not in generator.families:
        raise SettingRefused(
            f"{generator.name} makes images of {', '.join(generator.families)}; name the one that "
            "is steered by --set family=…"
        )
    return generator


def _check_images(recipe: ControlRecipe, generator: ImageGenerator, images: ImageSet) -> None:
    family = generator.family
    if images.size != (family.rows, family.columns):
        raise InputRefused(
            f"the images have {images.size[0]} rows and {images.size[1]} columns; {family.name} "
            f"has {family.rows} x {family.columns}"
        )
    if (images.low < 0) != (family.low < 0):
        raise InputRefused(
            f"the images are {'CT in HU' if images.low < 0 else 'gray levels'}, and "
            f"{family.name} is not; give images of its kind"
        )
    there, column = (
        (images.guides, "mask") if recipe.told == MASK else (images.references, "reference")
    )
    if there is None:
        raise InputRefused(
            f"labels.csv has no column `{column}`, which names the file that steers each image; "
            "add it"
        )


def _encoded(
    generator: ImageGenerator, images: ImageSet, steering: Tensor
) -> tuple[LatentSet, SentenceBank]:
    family = generator.family
    bank, places = bank_of(
        {family.name: images},
        {family.name: family},
        generator.text,
        sentence_of=lambda family, labels, _: labels.text if family.text else "",
        each=1,
        seed=0,
    )
    made = latent_set(
        replace(family, guide=()),  # what steers is told by the ControlNet alone
        images,
        generator.autoencoder,
        latents=latents_of(generator.autoencoder, images.values, len(images)),
        scale=generator.scale,
        vocabulary=generator.vocabulary,
        sentences=places[family.name],
        weights=np.ones(len(images)),
    )
    return replace(made, control=steering.half()), bank


def _batches(cases: LatentCases, size: int) -> list[Batch]:
    numbers: Sequence[range] = [
        range(first, min(first + size, len(cases))) for first in range(0, len(cases), size)
    ]
    return [
        {name: torch.stack([case[name] for case in group]) for name in group[0]}
        for group in ([cases[k] for k in part] for part in numbers)
    ]


__all__ = ["IMAGE", "ControlRecipe", "recipe_for", "train"]
