"""Calibrate the fitted stages and write the model folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isocenter.core.progress import Say, say_nothing
from isocenter.core.seeds import derived_seed
from isocenter.core.version import __version__
from isocenter.datasets.ct_dose_cases import DoseCase, sharp_cases, simulated_cases
from isocenter.modelpack.ct_enhance.mean import CtMeanModel
from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.modelpack.ct_enhance.texture import CtTextureModel
from isocenter.recipes.ct_enhance import card as ct_enhance_card
from isocenter.recipes.ct_enhance.calibration import calibrate, uncalibrated
from isocenter.recipes.ct_enhance.collection import Collection
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe
from isocenter.recipes.provenance import code_commit


def pack(
    recipe: CtEnhanceRecipe,
    collection: Collection,
    *,
    mean: CtMeanModel,
    texture: CtTextureModel,
    folder: Path,
    history: str = "",
    say: Say = say_nothing,
) -> Path:
    """Limit features, calibrate, and write the model folder in place of an earlier one.

    ``history`` is for weights that the recipe did not make in one go, and goes into the card.
    """
    commit = code_commit()
    card = ct_enhance_card.facts(recipe, collection, commit=commit)
    model = CtEnhancer(
        mean=mean,
        texture=texture,
        calibration=uncalibrated(recipe.calibration),
        accepted=recipe.accepted,
        dose_prior=recipe.dose_prior(),
        card=card,
    )
    cases = calibration_cases(recipe, collection, say=say)
    model.mean.network.limit_features(recipe.limit_margin * largest_features(model, cases))
    model.calibration = calibrate(model, cases, recipe.calibration)
    shutil.rmtree(folder, ignore_errors=True)
    training = run_configuration(recipe, collection, commit=commit)
    if history:
        training["history"] = history
    documents = {
        "README.md": ct_enhance_card.readme(
            card, recipe, sources=collection.sources, history=history
        ),
        "training.json": json.dumps(training, indent=1) + "\n",
    }
    model.save_pretrained(folder, documents=documents)
    return folder


def calibration_cases(
    recipe: CtEnhanceRecipe, collection: Collection, *, say: Say = say_nothing
) -> list[DoseCase]:
    """The calibration patients at lower doses, with their own kernels and with sharp ones."""
    scans, doses = collection.parts["calibration"], recipe.calibration.doses
    say(f"calibrating: {len(scans)} scans at {len(doses)} lower doses")
    cases: list[DoseCase] = []
    for simulate in (simulated_cases, sharp_cases):
        for case in simulate(
            scans,
            dose_fractions=doses,
            seed=derived_seed(recipe.seed, "calibration"),
            context=recipe.pairs.context,
        ):
            cases.append(case)
            if len(cases) % len(doses) == 0:
                say(f"calibrating: {len(cases)} cases simulated")
    return cases


def largest_features(model: CtEnhancer, cases: Iterable[DoseCase]) -> NDArray:
    """Largest feature inside and after each residual block of stage one, (blocks, 2)."""
    blocks = model.mean.network.residual_blocks()
    largest = np.zeros((len(blocks), 2))

    def note(place: tuple[int, int]) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_: nn.Module, __: object, features: Tensor) -> None:
            largest[place] = max(largest[place], float(features.abs().max()))

        return hook

    hooks = []
    for number, block in enumerate(blocks):
        hooks.append(block.first.register_forward_hook(note((number, 0))))
        hooks.append(block.register_forward_hook(note((number, 1))))
    try:
        for case in cases:
            for _, window in case.windows(model.context):
                model.estimate(
                    window, spacing_mm=case.in_plane_mm, dose_fraction=case.dose_fraction
                )
    finally:
        for hook in hooks:
            hook.remove()
    return largest


def run_configuration(
    recipe: CtEnhanceRecipe, collection: Collection, *, commit: str
) -> dict[str, Any]:
    """The resolved configuration, the split and the versions, for the model folder."""
    return {
        "recipe": asdict(recipe),
        "isocenter": __version__,
        "commit": commit,
        "torch": torch.__version__,
        "data": "own scans" if collection.is_own else "ct/index.json",
        "split": collection.patients(),
    }
