"""The run that adapts a Stable Diffusion to a folder of images and reports, complete."""

from __future__ import annotations

from pathlib import Path

from accelerate import PartialState

from isocenter.core.device import resolve_device
from isocenter.core.errors import SettingRefused
from isocenter.core.progress import Say, say_nothing
from isocenter.modelpack.stable_diffusion.folder import open_folder
from isocenter.modelpack.stable_diffusion.parts import load_parts
from isocenter.recipes.lora.collection import gather
from isocenter.recipes.lora.configuration import LoraRecipe
from isocenter.recipes.lora.guard import fit_guard
from isocenter.recipes.lora.pack import pack
from isocenter.recipes.lora.stages import encode_all, fit
from isocenter.recipes.run_folder import begin_run, check_output
from isocenter.training.loop import computes_in_bfloat16
from isocenter.training.lora.learner import NAME
from isocenter.training.processes import is_main_process, wait_for_all

MODEL = "model"


def recipe_for(data: Path) -> LoraRecipe:
    """The recipe that fits a data folder; the base is still to be named."""
    return LoraRecipe()


def train(
    recipe: LoraRecipe,
    data: Path,
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: Say | None = None,
) -> Path:
    """Encode the images, fit the LoRA and its guard, and pack them: from images to an adapter.

    Several processes, such as ``accelerate launch`` starts, share the work; one writes.

    Args:
        recipe: as :func:`recipe_for` gives it, with a base.
        data: holds ``images`` and ``labels.csv``, or is any tree of DICOM files of CT.
        output: ``lora`` keeps checkpoints and losses there, ``guard`` what finds copies, ``model``
            is the result.
        resume: go on from the last checkpoint.
        device: "cpu", "cuda" or "auto".
        progress: is told what happens, a line at a time, by the main process.

    Returns:
        The adapter folder.

    Raises:
        InputRefused: the images are unsuitable or too few, or not those of the run to go on with.
        ModelRefused: the base cannot be had, or is no Stable Diffusion.
        OutputRefused: the output folder holds a run already.
    """
    device = resolve_device(device)
    PartialState(cpu=device == "cpu")  # joins the processes, if there are several
    say = progress if progress is not None and is_main_process() else say_nothing
    _check_base_named(recipe)
    check_output(output, resume=resume)
    say(f"training {recipe.name} {recipe.version} into the output folder; reading images first")
    collection = gather(recipe, data, say=say)
    base = open_folder(recipe.base)
    parts = load_parts(base, device=device, precision=_precision(recipe, device))
    images = encode_all(recipe, parts, collection, say=say)
    digests = {"weights of the base": base.sha256, "images": images.sha256}
    begin_run(output, recipe, digests, harmless=("base",))  # its folder may have moved
    network, steps = fit(
        recipe, parts, images, output / NAME, resume=resume, device=device, say=say
    )
    guarded = fit_guard(recipe, collection, output, say=say)
    folder = output / MODEL
    if is_main_process():
        pack(recipe, base, collection, images, network, folder, guarded=guarded, steps=steps)
    wait_for_all()
    return folder


def _precision(recipe: LoraRecipe, device: str) -> str:
    """Of the frozen networks: half where the loop computes in it on a graphics card."""
    wanted = recipe.loop.mixed_precision
    if device == "cpu" or wanted == "no":
        return "float32"
    return "bfloat16" if wanted == "bf16" or computes_in_bfloat16(device) else "float32"


def _check_base_named(recipe: LoraRecipe) -> None:
    if not recipe.base.strip():
        raise SettingRefused(
            "no Stable Diffusion to adapt is named; give its folder, or OWNER/NAME on the hub of "
            "models, by --set base=…"
        )


__all__ = ["LoraRecipe", "recipe_for", "train"]
