"""Are generated images copies of training images, and can training images be told from others?

Members are training images; the others are images of calibration and test patients, of the same
source and never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.generate.drawn import drawn_by_default
from benchmarks.generate.study import Study, patients_of, small
from benchmarks.generate.tables import number, spread, table
from benchmarks.generate.wishes import wish_of
from isocenter.core.errors import InputRefused
from isocenter.core.spread import spread_evenly
from isocenter.datasets.image_sets.image_set import ImageSet, combined
from isocenter.datasets.splits import CALIBRATION, TEST, TRAIN
from isocenter.diffusion.process import VELOCITY
from isocenter.evaluation.sets.membership import (
    diffusion_loss_scores,
    exact_limits,
    judge_attack,
    reconstruction_scores,
    step_error_scores,
)
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.wish import Wish
from isocenter.networks.latent_unet import Conditions
from isocenter.recipes.generate.guard import held_out_parts
from isocenter.training.judges.alteration import AlterationSettings, altered, drawn_alteration

LEAST_PATIENTS = 10
_AT_ONCE = 8
_MOST_PLANTED = 500


def measure(study: Study) -> dict[str, Any]:
    """Every family for itself."""
    return {
        "families": {
            one.name: {"copies": _copies(study, one), "attacks": _attacks(study, one)}
            for one in study.families
        }
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """Copies of all families, then attacks."""
    families = figures["families"]
    left_out = [
        f"{name}: {one['left_out']}."
        for name, family in families.items()
        for one in (family["copies"], *family["attacks"].values())
        if one.get("left_out")
    ]
    return "\n".join(
        [
            "Copies of training images among generated ones. *At most* is the upper 95 % limit of "
            "their share; what is planted are altered training images, which should be caught, and "
            "held-out real images, which should not:\n",
            _table_of_copies(families),
            "\nMembership attacks (0.5 is chance; true finds where 1 % of the others raise false "
            "alarm):\n",
            _table_of_attacks(families),
            *(["", *left_out] if left_out else []),
        ]
    )


def _table_of_copies(families: Mapping[str, Any]) -> str:
    rows = []
    for name, family in families.items():
        one = family["copies"]
        if "found" not in one:
            continue
        blocked = one["held_out_blocked"]
        rows.append(
            (
                name,
                f"{one['found']} of {one['generated']}",
                f"{100 * one['high']:.1f} %",
                f"{100 * one['planted_caught']:.0f} % of {one['planted']}",
                "" if blocked is None else f"{100 * blocked:.1f} % of {one['held_out']}",
                f"{number(one['largest'], '{:.3f}')} of {number(one['threshold'], '{:.3f}')}",
            )
        )
    heads = (
        "family", "copies", "at most", "planted copies caught", "held-out real blocked",
        "most alike, of threshold",
    )  # fmt: skip
    return table(heads, rows)


def _table_of_attacks(families: Mapping[str, Any]) -> str:
    rows = []
    for name, family in families.items():
        for attack, one in family["attacks"].items():
            if one.get("left_out"):
                continue
            of_images, of_patients = one["image"], one.get("patient")
            rows.append(
                (
                    name,
                    attack,
                    f"{of_images['num_members']} / {of_images['num_others']}",
                    _area(of_images),
                    "" if of_patients is None else _area(of_patients),
                    f"{100 * of_images['true_rate']:.1f} % "
                    f"({100 * of_images['true_low']:.1f} to {100 * of_images['true_high']:.1f}), "
                    f"{100 * of_images['false_rate']:.1f} % false",
                )
            )
    heads = (
        "family", "attack", "members / others", "AUC, images", "AUC, patients",
        "true finds, images",
    )  # fmt: skip
    return table(heads, rows)


def _area(one: Mapping[str, Any]) -> str:
    return spread(one["auc"], one["auc_low"], one["auc_high"], "{:.3f}")


def _copies(study: Study, family: Family) -> dict[str, Any]:
    """Copies among the images that were drawn by default, and how well the model's guard tells."""
    study.say(f"copies in {family.name}")
    guard, name = study.model.guard, family.name
    if guard is None:
        return {"left_out": "the model has no guard against copies"}
    side = guard.embedding.config["side"]
    verdict = guard.judge(drawn_by_default(study, name).astype(np.float32), name)
    planted = _altered(small(study.part(name, TRAIN, _MOST_PLANTED), side), seed=study.seed)
    others = small(_never_seen(study, name), side)
    found, generated = int(verdict.is_copy.sum()), len(verdict.is_copy)
    low, high = exact_limits(found, generated)
    return {
        "found": found,
        "generated": generated,
        "low": low,
        "high": high,
        "largest": float(verdict.similarity.max()),
        "median": float(np.median(verdict.similarity)),
        "threshold": guard.groups[name]["threshold"],
        "planted": len(planted),
        "planted_caught": float(guard.judge(planted, name).is_copy.mean()),
        "held_out": len(others),
        "held_out_blocked": float(guard.judge(others, name).is_copy.mean())
        if len(others)
        else None,
        "training_images": guard.groups[name]["num_images"],
    }


def _never_seen(study: Study, name: str) -> ImageSet:
    """Test images, none where they had to help to set the guard's threshold."""
    test = study.part(name, TEST)
    return test.chosen([]) if TEST in held_out_parts(study.sets[name]) else test


def _altered(images: NDArray, *, seed: int) -> NDArray:
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for first in range(0, len(images), 32):
        batch = torch.from_numpy(images[first : first + 32])[:, None]
        drawn = drawn_alteration(len(batch), AlterationSettings(), generator)
        parts.append(altered(batch, drawn)[:, 0].numpy())
    return np.concatenate(parts)


def _attacks(study: Study, family: Family) -> dict[str, Any]:
    """Three attacks by everything that is in the model folder, told what images show."""
    study.say(f"membership in {family.name}")
    others = combined([study.part(family.name, part) for part in (CALIBRATION, TEST)])
    members = study.part(family.name, TRAIN, study.effort.attacked)
    others = others.chosen(list(spread_evenly(len(others), study.effort.attacked)))
    if not (len(members) and len(others)):
        return {"all attacks": {"left_out": "there are no images of one kind"}}
    scores = [_scores(study, family, images) for images in (members, others)]
    return {name: _judged(study, members, others, scores, name) for name in scores[0]}


def _judged(
    study: Study, members: ImageSet, others: ImageSet, scores: list[dict[str, NDArray]], name: str
) -> dict[str, Any]:
    pair = scores[0][name], scores[1][name]
    settings = {"resamples": study.effort.resamples, "seed": study.seed}
    owners = patients_of(members), patients_of(others)
    try:
        found = {"image": asdict(judge_attack(*pair, **settings))}  # type: ignore[arg-type]
    except InputRefused as error:
        return {"left_out": str(error)}
    if min(len(set(one)) for one in owners) >= LEAST_PATIENTS:
        found["patient"] = asdict(
            judge_attack(
                *pair,
                member_patients=owners[0],
                other_patients=owners[1],
                **settings,  # type: ignore[arg-type]
            )
        )
    return found


def _scores(study: Study, family: Family, images: ImageSet) -> dict[str, NDArray]:
    generator = study.model.of(family.name)
    wishes = [wish_of(family, images, row) for row in range(len(images))]
    clean = _latents(generator, images)
    velocity = _velocity(generator, wishes)
    return {
        "loss": diffusion_loss_scores(velocity, clean, seed=study.seed),
        "step error": step_error_scores(velocity, clean),
        "reconstruction": _reconstruction(generator, images),
    }


@torch.inference_mode()
def _latents(generator: ImageGenerator, images: ImageSet) -> NDArray:
    found = []
    for k in range(len(images)):
        image = torch.from_numpy(images.values([k]))[:, None].to(generator.device)
        mean = generator.autoencoder.encode(image).mean
        found.append(generator.scale.normalized(mean).cpu().numpy())
    return np.concatenate(found)


def _reconstruction(generator: ImageGenerator, images: ImageSet) -> NDArray:
    @torch.inference_mode()
    def reconstruct(values: NDArray) -> NDArray:
        image = torch.from_numpy(values)[:, None].to(generator.device)
        back = generator.autoencoder.decode(generator.autoencoder.encode(image).mean)
        array: NDArray = back[:, 0].float().cpu().numpy()
        return array

    scores = [reconstruction_scores(reconstruct, images.values([k])) for k in range(len(images))]
    return np.concatenate(scores)


def _velocity(
    generator: ImageGenerator, wishes: list[Wish]
) -> Callable[[NDArray, float], NDArray]:  # fmt: skip
    """The model's velocity of all states at once, each told what its image shows."""
    groups = [slice(first, first + _AT_ONCE) for first in range(0, len(wishes), _AT_ONCE)]
    told: list[Conditions] = [generator.conditions(wishes[group]) for group in groups]

    @torch.inference_mode()
    def velocity(states: NDArray, time: float) -> NDArray:
        found = []
        for group, conditions in zip(groups, told, strict=True):
            state = torch.from_numpy(np.asarray(states[group], np.float32)).to(generator.device)
            times = torch.full((len(state),), time, device=generator.device)
            output = generator.denoiser(state, times, conditions)
            flow = generator.process.convert(output, state, times, to=VELOCITY)
            found.append(flow.float().cpu().numpy())
        return np.concatenate(found)

    return velocity
