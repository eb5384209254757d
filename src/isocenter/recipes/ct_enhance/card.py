"""What the CT enhancement model says of itself, to people and to programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isocenter.datasets.splits import PARTS
from isocenter.modelpack.card import bounds_in_markdown
from isocenter.recipes.ct_enhance.collection import Collection
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe

INTENDED_USE = (
    "Research on low-dose CT: an estimate of how a standard-dose scan of the body, from lung apex "
    "to pelvis, would have looked, from a scan at about a tenth to a half of that dose."
)
NOT_FOR = (
    "Diagnosis or treatment decisions; it has no regulatory clearance.",
    "Head and extremities, children, photon-counting or dual-energy images, cone-beam CT.",
    "Measurements that a standard-dose scan is required for, such as follow-up of nodule volume.",
)
FITTED_TO = (
    "Fitted to adults of public collections and to simulated noise; measured quarter-dose pairs "
    "of two scans were looked at only as a check."
)
LIMITS = (
    "Adds no information: what the low-dose scan does not hold, the model can only guess.",
    "Strength above 0 draws the texture of a standard-dose scan; single voxels and specks of it "
    "are invented and change with the seed.",
    "Faint lesions of a few millimetres lose contrast, and lose more where noise is stronger; the "
    "table of contrast kept says how much, and --lesion-contrast gives more of it back.",
    "A standard dose is that of the scans it was fitted to. The dose of a scan is guessed from its "
    "noise within a factor of about three; a quiet or smooth scan of a low dose and a standard one "
    "cannot be told apart.",
    FITTED_TO,
    "Streaks of photon starvation and of metal are only partly removed, and the HU shift that "
    "starvation brings is not undone.",
    "The interval is for single voxels of a standard-dose scan, its noise included; it does not "
    "hold for averages over a region.",
)


LICENCE = "Apache-2.0"
NOT_STATED = "not stated"
PUBLIC_DATA = "Public collections, all free for any use with citation."
OWN_DATA = "Scans of the user's own; who may use them and what is made of them is not stated here."
OWN_LIMITS = (
    "Fitted to scans of the user's own and to simulated noise; nobody has judged these weights. "
    "The patients of the test part were kept out of everything for that.",
)


def facts(recipe: CtEnhanceRecipe, collection: Collection, *, commit: str) -> dict[str, Any]:
    """The card for programs and for the report, ready for JSON.

    Args:
        recipe: the configuration.
        collection: the scans.
        commit: of the code that made the weights.
    """
    patients = {part: len(found) for part, found in collection.patients().items()}
    own = collection.is_own
    limits = [one for one in LIMITS if not own or one is not FITTED_TO]
    return {
        "name": recipe.name,
        "version": recipe.version,
        "intended_use": INTENDED_USE,
        "not_for": list(NOT_FOR),
        "limits": limits + list(OWN_LIMITS if own else ()),
        "method": (
            "Pixel space, three neighbouring slices. Stage one, a residual U-Net in units of the "
            "noise measured in the image, estimates the anatomy without noise, and from it and "
            "the dose the posterior mean of the standard-dose scan and two quantiles. A linear "
            "filter gives a share of the input back below 0.12 cycles/mm, where faint lesions have "
            "their contrast. Stage two, a bridge of 1 to 8 steps from that mean, restores texture "
            "that runs as the removed noise ran, and nothing coarser than 0.1 cycles/mm beyond the "
            "noise of a standard dose; strength blends."
        ),
        "coverage": (
            "The interval is calibrated to hold the standard-dose value of "
            f"{100 * recipe.calibration.coverage:g} % of the voxels of "
            f"each tissue, on {patients['calibration']} patients who were not trained on, with "
            "their own kernels and with sharp ones."
        ),
        "data": OWN_DATA if own else PUBLIC_DATA,
        "patients": patients,
        "training_slices": sum(len(scan.array) for scan in collection.parts["train"]),
        "seed": recipe.seed,
        "commit": commit,
        "licence": NOT_STATED if own else LICENCE,
    }


def readme(
    card: dict[str, Any], recipe: CtEnhanceRecipe, *, sources: Sequence[str], history: str = ""
) -> str:
    """The card for people, in Markdown; measured figures are put between its markers.

    Args:
        card: as :func:`facts` gives it.
        recipe: the configuration.
        sources: citations.
        history: where the weights were not made by the recipe in one go, what was done.
    """
    lines = [
        "---",
        f"license: {'apache-2.0' if card['licence'] == LICENCE else 'other'}",
        "tags: [medical-imaging, ct, denoising, research-only]",
        "---",
        "",
        f"# {card['name']} {card['version']}",
        "",
        card["intended_use"],
        "",
        card["method"],
        "",
        *bounds_in_markdown(card),
        "## Figures",
        "",
        "<!-- ct_enhance table: begin -->",
        "<!-- ct_enhance table: end -->",
        "",
        "## Data",
        "",
        "Split by patient: "
        + ", ".join(f"{card['patients'][part]} {part}" for part in PARTS)
        + f"; {card['training_slices']} slices to train on. Noise was added to them; no scan of a "
        "second dose was used. " + card["data"],
        "",
        *(f"- {one}" for one in sources),
        *([""] if sources else []),
        "## Recipe",
        "",
        f"`isocenter train ct_enhance --data FOLDER --output FOLDER`, seed {card['seed']}, "
        f"{recipe.mean.steps:,} + {recipe.refine.steps:,} + {recipe.adapt.steps:,} + "
        f"{recipe.texture.steps:,} steps, code at {card['commit']}; the resolved configuration and "
        f"the split are in `training.json`. Licence of the weights: {card['licence']}.",
        *(["", history] if history else []),
        "",
    ]
    return "\n".join(lines)
