"""The run that makes the shipped CT enhancement model, complete.

Stage one fits the posterior mean, stage two the bridge on the frozen mean. Then the interval is
calibrated on patients of its own, and all is packed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.core.files import write_json
from isocenter.core.progress import Say, say_nothing
from isocenter.core.settings import flat
from isocenter.datasets.index import has_index
from isocenter.recipes.ct_enhance.collection import RUN, Collection, gather
from isocenter.recipes.ct_enhance.configuration import (
    CALIBRATION_PATIENTS,
    MODEL_VERSION,
    TEST_PATIENTS,
    VALIDATION_PATIENTS,
    CtEnhanceRecipe,
    ct_enhance,
    own_ct_enhance,
)
from isocenter.recipes.ct_enhance.pack import pack
from isocenter.recipes.ct_enhance.stages import fit_mean, fit_texture
from isocenter.training.processes import is_main_process, wait_for_all

MODEL = "model"
# A run may go on with other values of these: they change no weight.
_HARMLESS = ("workers", "log_every", "checkpoint_every")


def recipe_for(data: Path) -> CtEnhanceRecipe:
    """The recipe that fits a data folder.

    The one of the shipped weights for a collection with ``ct/index.json``, the one that shares out
    patients by a hash for any other folder.
    """
    return ct_enhance() if has_index(data) else own_ct_enhance()


def train(
    recipe: CtEnhanceRecipe,
    data: Path,
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    progress: Say | None = None,
) -> Path:
    """Fit both stages, calibrate and pack: everything from scans to a model folder.

    Several processes, such as ``accelerate launch`` starts, share the work; one writes.

    Args:
        recipe: as :func:`recipe_for` gives it, or a variant.
        data: folder that holds ``ct/index.json`` and ``ct/train``, or any tree of DICOM files.
        output: ``mean``, ``refine`` and ``texture`` keep checkpoints, losses and pictures there,
            ``averaged`` holds the weights of stage one, ``model`` is the result. For scans of one's
            own ``index.json`` says what was found, and ``patients.key`` makes its pseudonyms.
        resume: go on from the last checkpoints.
        device: "cpu", "cuda" or "auto".
        progress: is told what happens, a line at a time, by the main process.

    Returns:
        The model folder.

    Raises:
        InputRefused: the scans are unsuitable or too few, or not those of the run to go on with.
        OutputRefused: the output folder holds a run already.
    """
    device = resolve_device(device)
    PartialState(cpu=device == "cpu")  # joins the processes, if there are several
    say = progress if progress is not None and is_main_process() else say_nothing
    say(f"training {recipe.name} {recipe.version} into the output folder; reading scans first")
    _check_output(output, resume=resume)
    collection = gather(recipe, data, output, say=say)
    counts = {part: len(patients) for part, patients in collection.patients().items()}
    say("patients: " + ", ".join(f"{count} {part}" for part, count in counts.items()))
    _begin_run(recipe, collection, output)
    parts = collection.parts
    mean = fit_mean(recipe, parts, output, resume=resume, device=device, say=say)
    texture = fit_texture(recipe, mean, parts, output, resume=resume, device=device, say=say)
    folder = output / MODEL
    if is_main_process():
        pack(recipe, collection, mean=mean.cpu(), texture=texture, folder=folder, say=say)
    wait_for_all()
    return folder


def _check_output(output: Path, *, resume: bool) -> None:
    if (output / RUN).exists() and not resume:
        raise OutputRefused(
            "the output folder holds a training already; go on with it by --resume "
            "(resume=True in Python), or name another folder",
            reason="output_taken",
        )


def _begin_run(recipe: CtEnhanceRecipe, collection: Collection, output: Path) -> None:
    """Write down what decides the weights, or see that it is what the run began with."""
    path = output / RUN
    decides = json.loads(json.dumps({"recipe": asdict(recipe), "scans": collection.digest()}))
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
    if before["scans"] != now["scans"]:
        raise InputRefused(
            "the scans are not those that the run in the output folder was begun with; give the "
            "same data folder, or begin anew in another folder"
        )


__all__ = [
    "CALIBRATION_PATIENTS",
    "MODEL_VERSION",
    "TEST_PATIENTS",
    "VALIDATION_PATIENTS",
    "CtEnhanceRecipe",
    "ct_enhance",
    "recipe_for",
    "train",
]
