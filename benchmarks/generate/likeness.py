"""Do generated images look as if they came from the same source as real ones, and as varied?

Sets are compared on features of a network that was fitted to training images. Every set is held
against the test images; beside stands what real images get against real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.generate import judges
from benchmarks.generate.drawn import default_setting, drawn, drawn_by_default, prior_images
from benchmarks.generate.study import Study, category_of, in_network, patients_of
from benchmarks.generate.tables import number, spread, table
from benchmarks.generate.wishes import like_test_images
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.splits import TEST, TRAIN
from isocenter.evaluation.sets.diversity import pair_similarity
from isocenter.evaluation.sets.features import WHOLE, Features, measured
from isocenter.evaluation.sets.half_samples import LEAST_PATIENTS, against_real
from isocenter.evaluation.sets.judge import frechet_distance_on_scale, on_scale_of_real
from isocenter.evaluation.sets.kernel_distance import kernel_distance
from isocenter.evaluation.sets.neighbors import NEIGHBORS, neighborhood
from isocenter.modelpack.generator.family import Family

GENERATED, PRIOR = "generated", "the autoencoder's prior"
TRAINING = "training images"
THROUGH = "test images through the autoencoder"
FEW_STEPS, MANY_STEPS = 8, 50
NO_GUIDANCE, MUCH_GUIDANCE = 1.0, 4.0
_PAIRS = 60


def measure(study: Study) -> dict[str, Any]:
    """Every family for itself."""
    features = judges.features(study)
    return {
        "features": {"name": features.name, "sha256": features.digest},
        "families": {one.name: _of_family(study, one, features) for one in study.families},
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """A table a family."""
    parts = []
    for name, one in figures["families"].items():
        rows = [
            (
                f"{arm} ({row['images']})",
                spread(
                    row["frechet"]["value"],
                    row["frechet"]["low"],
                    row["frechet"]["high"],
                    "{:.1f}",
                ),
                number(row["frechet"]["at_same_size"], "{:.1f}"),
                number(row["kernel"], "{:.3f}"),
                *(number(row[shown]) for shown in ("precision", "recall", "density", "coverage")),
            )
            for arm, row in one["arms"].items()
        ]
        floor = one["floor"]
        rows.append(
            (
                f"real against real, one half of the {one['unit']}s against the other",
                "",
                spread(floor["mean"], floor["low"], floor["high"], "{:.1f}"),
                "", "", "", "", "",
            )
        )  # fmt: skip
        few = one["few_against_many_steps"]
        diversity = "; ".join(
            f"{kind}: {number(pair['generated'])} against {number(pair['real'])}"
            for kind, pair in one["similarity"].items()
        )
        parts.append(
            f"**{name}**, against {one['images']} real images of {one['patients']} test "
            "patients:\n\n"
            + table(
                (
                    "set (images)", "Fréchet distance (95 %)", "at the floor's size",
                    "kernel distance", "precision", "recall", "density", "coverage",
                ),
                rows,
            )
            + f"\n\nFréchet distance of {FEW_STEPS} steps over that of {MANY_STEPS}: "
            f"{number(few, '{:.2f}')}. MS-SSIM of pairs within a class, generated against real "
            f"(higher is less varied): {diversity or 'too few images'}."
        )  # fmt: skip
    return "\n\n".join(parts)


def _of_family(study: Study, family: Family, features: Features) -> dict[str, Any]:
    study.say(f"likeness of {family.name}")
    real = study.part(family.name, TEST, study.effort.real)
    patients = patients_of(real)
    enough = len(set(patients)) >= LEAST_PATIENTS
    units = np.array(patients if enough else range(len(real)), str)
    of_real = _features(real.values(), features)
    found: dict[str, Any] = {}
    for name, images in _arms(study, family, real).items():
        found[name] = _held_against(study, of_real, _features(images, features), units)
    first = found[GENERATED]["frechet"]
    few, many = (found[f"{steps} steps"]["frechet"]["value"] for steps in (FEW_STEPS, MANY_STEPS))
    return {
        "images": len(real),
        "patients": len(set(patients)),
        "unit": "patient" if enough else "image",
        "arms": found,
        "floor": {"mean": first["floor"], "low": first["floor_low"], "high": first["floor_high"]},
        "few_against_many_steps": few / many if many > 0 else None,
        "similarity": _similarity(study, family, real),
    }


def _arms(study: Study, family: Family, real: ImageSet) -> dict[str, NDArray]:
    """Sets of images in [-1, 1] that are held against the real ones."""
    name, count = family.name, study.effort.variants
    wishes = like_test_images(study, name, count)
    usual = default_setting(study)
    settings = {
        f"{FEW_STEPS} steps": replace(usual, steps=FEW_STEPS),
        f"{MANY_STEPS} steps": replace(usual, steps=MANY_STEPS),
        "no guidance": replace(usual, guidance=NO_GUIDANCE),
        f"guidance {MUCH_GUIDANCE:g}": replace(usual, guidance=MUCH_GUIDANCE),
    }
    generator = study.model.of(name)
    held = real.chosen(np.arange(min(count, len(real))))
    through = [
        generator.reconstruct(family.low + (one + 1) / 2 * (family.high - family.low))
        for one in held.values()
    ]
    return {
        GENERATED: drawn_by_default(study, name),
        **{arm: drawn(study, name, wishes, setting) for arm, setting in settings.items()},
        PRIOR: prior_images(study, name, count),
        TRAINING: study.part(name, TRAIN, study.effort.number).values(),
        THROUGH: in_network(family, np.stack(through)),
    }


def _features(images: NDArray, features: Features) -> NDArray:
    return measured(images, features)[WHOLE]


def _held_against(
    study: Study, real: NDArray, other: NDArray, units: NDArray
) -> dict[str, Any]:  # fmt: skip
    pair = on_scale_of_real(real, other)
    frechet = against_real(
        frechet_distance_on_scale,
        *pair,
        units,
        halves=study.effort.halves,
        least=0.0,
        seed=study.seed,
    )
    enough = min(map(len, pair)) > NEIGHBORS
    near = neighborhood(*pair)._asdict() if enough else {}
    return {
        "images": len(other),
        "frechet": asdict(frechet),
        "kernel": kernel_distance(*pair),
        **{name: near.get(name) for name in ("precision", "recall", "density", "coverage")},
    }


def _similarity(study: Study, family: Family, real: ImageSet) -> dict[str, Any]:
    """MS-SSIM of pairs within each value of the family's first category."""
    kind = next(iter(family.categories), "")
    wishes = like_test_images(study, family.name, study.effort.number)
    images = drawn_by_default(study, family.name).astype(np.float32)
    asked = [one.categories.get(kind, "") for one in wishes] if kind else None
    shown = category_of(real, kind) if kind else None
    settings: dict[str, Any] = {"most_pairs": _PAIRS, "seed": study.seed}
    of_real = pair_similarity(real.values(), shown, patients=patients_of(real), **settings)
    of_generated = pair_similarity(images, asked, **settings)
    return {
        name or "not known": {"real": one.mean, "generated": of_generated[name].mean}
        for name, one in of_real.items()
        if name in of_generated
    }
