"""The run that makes the shipped CT enhancement model, complete.

Stage one fits the posterior mean, stage two the bridge on the frozen mean. Then the interval is
calibrated on patients of its own, and all is packed.
"""

from __future__ import annotations

from pathlib import Path

from accelerate import PartialState

from isocenter.core.device import resolve_device
from isocenter.core.progress import Say, say_nothing
from isocenter.datasets.index import has_index
from isocenter.recipes.ct_enhance.collection import gather
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
from isocenter.recipes.run_folder import begin_run, check_output
from isocenter.training.processes import is_main_process, wait_for_all

MODEL = "model"


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
    check_output(output, resume=resume)
    collection = gather(recipe, data, output, say=say)
    counts = {part: len(patients) for part, patients in collection.patients().items()}
    say("patients: " + ", ".join(f"{count} {part}" for part, count in counts.items()))
    begin_run(output, recipe, {"scans": collection.digest()})
    parts = collection.parts
    mean = fit_mean(recipe, parts, output, resume=resume, device=device, say=say)
    texture = fit_texture(recipe, mean, parts, output, resume=resume, device=device, say=say)
    folder = output / MODEL
    if is_main_process():
        pack(recipe, collection, mean=mean.cpu(), texture=texture, folder=folder, say=say)
    wait_for_all()
    return folder


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
