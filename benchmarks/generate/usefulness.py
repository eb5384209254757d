"""What generated images are worth to a classifier that is then tried on real patients.

Generated images are asked for as training images are, class by class, so nothing of the patients
tried on is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.generate.drawn import default_setting, drawn
from benchmarks.generate.study import Study, patients_of, small, where
from benchmarks.generate.tables import number, spread, table
from benchmarks.generate.wishes import like_training_images
from isocenter.core.errors import InputRefused
from isocenter.datasets.image_sets.image_set import ImageLabels
from isocenter.datasets.splits import TEST, TRAIN
from isocenter.evaluation.sets.usefulness import ClassifiedImages, usefulness
from isocenter.training.judges.classifier import ClassifierSettings, classifier_fit
from isocenter.training.judges.fitting import FitSettings, resized

SHARES = (0.05, 0.1)
_KIND = "class"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a classifier is to tell.

    Attributes:
        name: in words.
        family: of images.
        classes: number of the class by what an image is labeled with; others are left out.
        only: categories that every image has.
    """

    name: str
    family: str
    classes: Mapping[str, int]
    only: Mapping[str, str] = field(default_factory=dict)


CHILD = {"population": "child"}
TASKS = (
    Task(
        name="normal or pneumonia, children",
        family="chest_radiograph",
        classes={"normal": 0, "bacterial pneumonia": 1, "viral pneumonia": 1},
        only=CHILD,
    ),
    Task(
        name="bacterial or viral pneumonia, children",
        family="chest_radiograph",
        classes={"bacterial pneumonia": 0, "viral pneumonia": 1},
        only=CHILD,
    ),
    Task(
        name="kind of tumor",
        family="brain_t1c",
        classes={"glioma": 0, "meningioma": 1, "pituitary tumor": 2},
    ),
)


def measure(study: Study) -> dict[str, Any]:
    """Every task whose family there is."""
    tasks = [one for one in TASKS if one.family in {family.name for family in study.families}]
    return {"tasks": {one.name: _of_task(study, one) for one in tasks}}


def markdown(figures: Mapping[str, Any]) -> str:
    """A table a task."""
    parts = []
    for name, one in figures["tasks"].items():
        if one.get("left_out"):
            parts.append(f"**{name}**: left out; {one['left_out']}.")
            continue
        rows = []
        for arm in one["arms"]:
            form = "{:.3f}"
            gain = spread(arm["gain"], arm["gain_low"], arm["gain_high"], "{:+.3f}")
            rows.append(
                (
                    arm["name"],
                    str(arm["num_images"]),
                    spread(arm["auc"], arm["low"], arm["high"], form),
                    number(arm["ratio"], form),
                    f"{gain} against {arm['against']}" if arm["against"] else "",
                )
            )
        parts.append(
            f"**{name}**: AUC on {one['held_out']} images of {one['patients']} real test patients, "
            f"mean of {one['seeds']} fits (95 % over patients).\n\n"
            + table(("trained on", "images", "AUC", "ratio", "gain"), rows)
        )
    return "\n\n".join(parts)


def _of_task(study: Study, task: Task) -> dict[str, Any]:
    settings = ClassifierSettings(fit=FitSettings(steps=study.effort.classifier_steps))
    study.say(f"usefulness: {task.name}")
    try:
        real = _real(study, task, TRAIN, settings.side)
        held_out = _real(study, task, TEST, settings.side)
        arms = usefulness(
            real,
            _generated(study, task, settings.side),
            held_out,
            fit=classifier_fit(settings),
            shares=SHARES,
            seeds=range(study.effort.seeds),
            resamples=study.effort.resamples,
            progress=lambda done, total: study.say(f"{task.name}: fit {done} of {total}"),
        )
    except InputRefused as error:
        return {"left_out": str(error)}
    assert held_out.patients is not None
    return {
        "arms": [asdict(one) for one in arms],
        "held_out": len(held_out.images),
        "patients": len(set(held_out.patients.tolist())),
        "seeds": study.effort.seeds,
    }


def _real(study: Study, task: Task, part: str, side: int) -> ClassifiedImages:
    def fits(labels: ImageLabels) -> bool:
        return labels.categories.get(_KIND) in task.classes and all(
            labels.categories.get(kind) == value for kind, value in task.only.items()
        )

    images = where(study.part(task.family, part), fits)
    return ClassifiedImages(
        images=small(images, side),
        classes=np.array([task.classes[one.categories[_KIND]] for one in images.labels], np.int64),
        patients=np.array(patients_of(images), str),
    )


def _generated(study: Study, task: Task, side: int) -> ClassifiedImages:
    """The same number of every label."""
    each = max(1, study.effort.number // 2)
    parts, classes = [], []
    for label, number_of in task.classes.items():
        wishes = like_training_images(study, task.family, each, {_KIND: label, **task.only})
        images = drawn(study, task.family, wishes, default_setting(study))
        parts.append(resized(images.astype(np.float32), side))
        classes += [number_of] * len(images)
    return ClassifiedImages(images=np.concatenate(parts), classes=np.array(classes, np.int64))
