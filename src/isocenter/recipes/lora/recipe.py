"""The run that adapts a Stable Diffusion to a folder of images and reports, complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, OutputRefused, SettingRefused
from isocenter.core.files import write_json
from isocenter.core.progress import Say, say_nothing
from isocenter.core.settings import flat
from isocenter.modelpack.stable_diffusion.folder import open_folder
from isocenter.modelpack.stable_diffusion.parts import load_parts
from isocenter.recipes.lora.collection import gather
from isocenter.recipes.lora.configuration import LoraRecipe
from isocenter.recipes.lora.pack import pack
from isocenter.recipes.lora.stages import encode_all, fit
from isocenter.training.loop import computes_in_bfloat16
from isocenter.training.lora.learner import NAME
from isocenter.training.processes import is_main_process, wait_for_all

RUN, MODEL = "run.json", "model"
# A run may go on with other values of these: they change no weight.
_HARMLESS = ("base", "workers", "log_every", "checkpoint_every", "gradient_checkpointing")


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
    """Encode the images, fit the LoRA and pack it: everything from images to an adapter folder.

    Several processes, such as ``accelerate launch`` starts, share the work; one writes.

    Args:
        recipe: as :func:`recipe_for` gives it, with a base.
        data: holds ``images`` and ``labels.csv``, or is any tree of DICOM files of CT.
        output: ``lora`` keeps checkpoints and losses there, ``model`` is the result.
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
    _check_output(output, resume=resume)
    say(f"training {recipe.name} {recipe.version} into the output folder; reading images first")
    collection = gather(recipe, data, say=say)
    base = open_folder(recipe.base)
    parts = load_parts(base, device=device, precision=_precision(recipe, device))
    images = encode_all(recipe, parts, collection, say=say)
    _begin_run(recipe, {"base": base.sha256, "images": images.sha256}, output)
    network, steps = fit(
        recipe, parts, images, output / NAME, resume=resume, device=device, say=say
    )
    folder = output / MODEL
    if is_main_process():
        pack(recipe, base, collection, images, network, folder, steps=steps)
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


def _check_output(output: Path, *, resume: bool) -> None:
    if (output / RUN).exists() and not resume:
        raise OutputRefused(
            "the output folder holds a training already; go on with it by --resume "
            "(resume=True in Python), or name another folder",
            reason="output_taken",
        )


def _begin_run(recipe: LoraRecipe, digests: Mapping[str, str], output: Path) -> None:
    """Write down what decides the weights, or see that it is what the run began with."""
    path = output / RUN
    decides = json.loads(json.dumps({"recipe": asdict(recipe), **digests}))
    if path.exists():
        _check_same(json.loads(path.read_text()), decides)
    wait_for_all()
    if is_main_process() and not path.exists():
        output.mkdir(parents=True, exist_ok=True)
        write_json(path, decides)
    wait_for_all()


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    old, new = (dict(flat(one["recipe"])) for one in (before, now))
    changed = sorted(
        name
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name) and name.split(".")[-1] not in _HARMLESS
    )
    if changed:
        raise InputRefused(
            f"the run in the output folder was begun with other settings: {', '.join(changed)}; "
            "give the same, or begin anew in another folder"
        )
    for what in ("base", "images"):
        if before[what] != now[what]:
            raise InputRefused(
                f"the {what} is not what the run in the output folder was begun with; give the "
                "same, or begin anew in another folder"
            )


__all__ = ["LoraRecipe", "recipe_for", "train"]
