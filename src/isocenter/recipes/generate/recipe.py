"""The run that makes the shipped generators, complete: from images to a model folder.

The text encoder learns from sentences alone. The autoencoder learns the images of all families,
which are then encoded once; its decoder goes on learning to draw what looks right to a feature
network and an adversary. The denoiser learns the latents, told what is known of each image.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from isocenter.core.device import resolve_device
from isocenter.core.progress import Say, say_nothing
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.networks.autoencoder import Autoencoder
from isocenter.recipes.generate import text_encoder
from isocenter.recipes.generate.beginning import Beginning
from isocenter.recipes.generate.collection import OWN, Collection, gather, is_own_folder
from isocenter.recipes.generate.configuration import GenerateRecipe, generators
from isocenter.recipes.generate.features import fit_features
from isocenter.recipes.generate.guard import fit_guard, held_out_parts
from isocenter.recipes.generate.pack import pack
from isocenter.recipes.generate.pictures import sheet_of
from isocenter.recipes.generate.stages import (
    encode,
    fit_autoencoder,
    fit_denoiser,
    fit_refined,
    penalty_of,
)
from isocenter.recipes.run_folder import begin_run, check_output
from isocenter.training.generator.physics import guided_ct
from isocenter.training.processes import is_main_process, wait_for_all

MODEL, TEXT = "model", "text"


def recipe_for(data: Path) -> GenerateRecipe:
    """The recipe that fits a data folder: of the shipped generators, or of one's own images."""
    whole = generators()
    if not is_own_folder(data):
        return whole
    return replace(
        whole,
        name="own-generator",
        families=(OWN,),
        shares=(1.0,),
        autoencoder=replace(whole.autoencoder, shares=(1.0,)),
    )


def train(
    recipe: GenerateRecipe,
    data: Path,
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: Say | None = None,
) -> Path:
    """Fit text encoder, autoencoder and denoiser, and pack them.

    Several processes, such as ``accelerate launch`` starts, share the work; one writes.

    Args:
        recipe: as :func:`recipe_for` gives it, or a variant.
        data: folder that holds ``mri``, ``cxr`` and ``ct``, or ``images`` and ``labels.csv``.
        output: keeps checkpoints, losses and pictures of each part; ``model`` is the result.
        resume: go on from the last checkpoints.
        device: "cpu", "cuda" or "auto".
        progress: is told what happens, a line at a time, by the main process.

    Returns:
        The model folder.

    Raises:
        InputRefused: the images are unsuitable or of too few patients, or not those of the run to
            go on with.
        ModelRefused: the model to start from is none, altered, or of another architecture.
        OutputRefused: the output folder holds a run already.
    """
    device = resolve_device(device)
    PartialState(cpu=device == "cpu")  # joins the processes, if there are several
    say = progress if progress is not None and is_main_process() else say_nothing
    say(f"training {recipe.name} {recipe.version} into the output folder; reading images first")
    check_output(output, resume=resume)
    beginning = Beginning.of(recipe)  # refuses what is no model before any work
    collection = gather(recipe, data, output, say=say)
    _tell(collection, say)
    _check_penalty(recipe, collection)
    for images in collection.sets.values():
        held_out_parts(images)  # refuses too few before hours of work
    digests = {"images": collection.digest()}
    if beginning is not None:
        digests["weights of the model to start from"] = beginning.model.weights_sha256
    # The folder to start from may have moved; nothing ever read the number of simulated images.
    begin_run(output, recipe, digests, harmless=("start", "simulated"))
    text = _text(recipe, beginning, output, resume=resume, say=say)
    autoencoder = fit_autoencoder(
        recipe,
        collection.sets,
        output,
        resume=resume,
        begin=nothing if beginning is None else beginning.autoencoder,
        device=device,
        say=say,
    )
    encoded = encode(
        recipe,
        collection.families,
        collection.sets,
        autoencoder,
        text,
        output,
        scale=beginning.model.scale if beginning and recipe.autoencoder.kept else None,
        say=say,
    )
    refined = _refined(
        recipe, autoencoder, collection, output, resume=resume, device=device, say=say
    )
    denoiser = fit_denoiser(
        recipe,
        encoded,
        output,
        text_width=text.width,
        resume=resume,
        penalty=penalty_of(recipe, collection.families, autoencoder, encoded.scale),
        begin=nothing if beginning is None else beginning.denoiser,
        picture=sheet_of(recipe, collection, refined, text, encoded.scale),
        device=device,
        say=say,
    )
    for name, said in ({} if beginning is None else beginning.said).items():
        say(f"{name}: {said}")
    guard, calibrations = fit_guard(
        recipe,
        collection,
        output,
        known=None if beginning is None else beginning.embedding(),
        say=say,
    )
    folder = output / MODEL
    if is_main_process():
        pack(
            recipe,
            collection,
            autoencoder=refined.cpu(),
            denoiser=denoiser,
            text=text,
            scale=encoded.scale,
            guard=guard,
            calibrations=calibrations,
            folder=folder,
            beginning=beginning,
        )
    wait_for_all()
    return folder


def _refined(
    recipe: GenerateRecipe,
    autoencoder: Autoencoder,
    collection: Collection,
    output: Path,
    *,
    resume: bool,
    device: str,
    say: Say,
) -> Autoencoder:
    """The autoencoder with the decoder that images are drawn by."""
    if recipe.refine.kept:
        return autoencoder
    features = fit_features(recipe, collection, output, say=say)
    return fit_refined(
        recipe,
        autoencoder,
        features,
        collection.sets,
        output,
        resume=resume,
        device=device,
        say=say,
    )


def _text(
    recipe: GenerateRecipe, beginning: Beginning | None, output: Path, *, resume: bool, say: Say
) -> BilingualEncoder:
    """That of the model to start from, whose words its networks know, or a new one."""
    if beginning is None:
        return fitted_text(recipe, output, resume=resume, say=say)
    text = beginning.model.text
    assert isinstance(text, BilingualEncoder)  # a model folder holds no other
    return text


def _check_penalty(recipe: GenerateRecipe, collection: Collection) -> None:
    if recipe.denoiser.penalty_weight:
        guided_ct(collection.families)


def nothing(*_: object) -> None:
    """Let a network begin as it was made."""


def fitted_text(
    recipe: GenerateRecipe, output: Path, *, resume: bool, say: Say = say_nothing
) -> BilingualEncoder:
    """The text encoder of this run, fitted where it is not there yet."""
    folder = output / TEXT / text_encoder.MODEL
    if not folder.is_dir():
        text_encoder.train(recipe.text, output / TEXT, resume=resume, say=say)
    wait_for_all()
    return BilingualEncoder.from_folder(folder)


def _tell(collection: Collection, say: Say) -> None:
    for name, parts in collection.counts().items():
        listed = ", ".join(
            f"{images} of {patients} patients to {part}"
            for part, (images, patients) in parts.items()
        )
        say(f"{name}: {listed}")


__all__ = ["GenerateRecipe", "recipe_for", "train"]
