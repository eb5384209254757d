"""Write the folder of a LoRA: its tensors, what its gray levels stand for, and its card."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from isocenter.core.files import folder_appearing_whole, write_json, write_text
from isocenter.core.version import __version__
from isocenter.evaluation.sets.copies import Calibration
from isocenter.modelpack.card import bounds_in_markdown, checked_card
from isocenter.modelpack.folder import CARD, save_part, write_checksums
from isocenter.modelpack.stable_diffusion.adapter import FACTS, GUARD, AdapterFacts
from isocenter.modelpack.stable_diffusion.card import ADAPTED_LIMITS, NOT_FOR, base_card
from isocenter.modelpack.stable_diffusion.folder import StableFolder
from isocenter.networks.copy_guard import CopyGuard
from isocenter.recipes.lora.collection import Collection
from isocenter.recipes.lora.configuration import LoraRecipe
from isocenter.recipes.lora.stages import EncodedParts
from isocenter.recipes.provenance import code_commit
from isocenter.training.lora.network import LoraNetwork

INTENDED_USE = (
    "Drawing pictures like those that it was fitted to, from text, for research and teaching."
)


def pack(
    recipe: LoraRecipe,
    base: StableFolder,
    collection: Collection,
    images: EncodedParts,
    network: LoraNetwork,
    folder: Path,
    *,
    guarded: tuple[CopyGuard, Calibration] | None,
    steps: int,
) -> Path:
    """Write the folder whole, in place of an earlier one.

    Args:
        recipe: the configuration.
        base: the model that was adapted.
        collection, images: what it was fitted to.
        network: the fitted matrices.
        folder: where to.
        guarded: the guard against copies and how it was calibrated, None where there is none.
        steps: how many were made.
    """
    commit = code_commit()
    calibration = None if guarded is None else guarded[1]
    card = card_of(
        recipe, base, collection, images, calibration=calibration, steps=steps, commit=commit
    )
    shutil.rmtree(folder, ignore_errors=True)
    with folder_appearing_whole(folder) as partial:
        network.save(partial)
        if guarded is not None:
            save_part(partial, GUARD, guarded[0])
        write_json(partial / FACTS, _facts(recipe, base, collection, images).described(), indent=1)
        write_json(partial / CARD, card, indent=1)
        training = _training(recipe, base, collection, images, steps=steps, commit=commit)
        write_json(partial / "training.json", training, indent=1)
        write_text(partial / "README.md", readme(card))
        write_checksums(partial)
    return folder


def card_of(
    recipe: LoraRecipe,
    base: StableFolder,
    collection: Collection,
    images: EncodedParts,
    *,
    calibration: Calibration | None,
    steps: int,
    commit: str,
) -> dict[str, Any]:
    """The card for programs, ready for JSON; ``calibration`` is that of the guard, if any."""
    said = base_card(base.path)
    return checked_card(
        {
            "name": recipe.name,
            "version": recipe.version,
            "intended_use": INTENDED_USE,
            "not_for": list(NOT_FOR),
            "limits": [*ADAPTED_LIMITS, *said["limits"]],
            "licence": f"of the LoRA: not stated; of the model that it changes: {said['licence']}",
            "base": {"name": base.name, "revision": base.revision, "sha256": base.sha256},
            "data": "Images of the user's own; who may use them is not stated here.",
            "data_sha256": images.sha256,
            "patients": collection.num_patients(),
            "images": {part: len(some) for part, some in images.parts.items()},
            "guard": None if calibration is None else calibration.described(),
            "seed": recipe.seed,
            "steps": steps,
            "commit": commit,
        }
    )


def readme(card: dict[str, Any]) -> str:
    """The card for people, in Markdown."""
    base, patients = card["base"], card["patients"]
    lines = [
        "---",
        "license: other",
        "tags: [stable-diffusion, lora, medical-imaging, research-only]",
        "---",
        "",
        f"# {card['name']} {card['version']}",
        "",
        card["intended_use"],
        "",
        f"A LoRA of {base['name']} (digest {base['sha256']}), {card['steps']:,} steps, seed "
        f"{card['seed']}, code at {card['commit']}. Licence {card['licence']}.",
        "",
        *bounds_in_markdown(card),
        "## Data",
        "",
        "Split by patient: "
        + ", ".join(f"{count} {part}" for part, count in patients.items())
        + f". {card['data']}",
        "",
        "## Copies",
        "",
        _copies(card["guard"]),
        "",
    ]
    return "\n".join(lines)


def _copies(guard: dict[str, Any] | None) -> str:
    if guard is None:
        return (
            "No guard: there were too few patients or too few images held out. Nobody has looked "
            "whether what it draws is a copy of what it was fitted to."
        )
    return (
        "A picture whose embedding has a cosine of "
        f"{guard['threshold']:.3f} or more with that of an image that it was fitted to is a copy "
        f"and is not written. Of {guard['num_held_out']} images of patients who were held out the "
        f"guard takes {100 * guard['held_out_blocked']:.1f} % for copies, which they are not."
    )


def _facts(
    recipe: LoraRecipe, base: StableFolder, collection: Collection, images: EncodedParts
) -> AdapterFacts:
    return AdapterFacts(
        base_name=base.name,
        base_sha256=base.sha256,
        scale=collection.scale,
        title=recipe.title,
        modality=collection.modality,
        body_part=recipe.body_part,
        rows=images.size,
        columns=images.size,
        pixel_mm=images.pixel_mm,
    )


def _training(
    recipe: LoraRecipe,
    base: StableFolder,
    collection: Collection,
    images: EncodedParts,
    *,
    steps: int,
    commit: str,
) -> dict[str, Any]:
    """The resolved configuration; paths and names of patients stay with whoever trained."""
    told = replace(recipe, base=base.name, validation=())
    return json.loads(
        json.dumps(
            {
                "recipe": asdict(told),
                "steps": steps,
                "patients": collection.num_patients(),
                "data_sha256": images.sha256,
                "isocenter": __version__,
                "commit": commit,
                "torch": torch.__version__,
            }
        )
    )
