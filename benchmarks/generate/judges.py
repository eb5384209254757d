"""Judges fitted to real training images alone, kept on disk for the next part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.generate.study import Study, category_of, small, where
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.splits import TRAIN
from isocenter.evaluation.sets.features import NetworkFeatures, features_of_file, save_features
from isocenter.modelpack.generator.family import Family
from isocenter.networks.copy_guard import embedded
from isocenter.networks.image_classifier import ImageClassifier
from isocenter.training.checkpoint import load_state, save_state
from isocenter.training.judges.box_finder import BoxFinder, BoxFinderSettings, train_box_finder
from isocenter.training.judges.classifier import ClassifierSettings, train_classifier
from isocenter.training.judges.features import UNKNOWN, FeatureSettings, train_feature_network
from isocenter.training.judges.fitting import FitSettings, resized

FOLDER = "judges"
_FITTED_WITH = 3  # raise it when a judge is fitted in another way


def features(study: Study) -> NetworkFeatures:
    """What sets are compared with: one feature network for all families."""
    path = _path(study, "features", *study.sets, steps=study.effort.feature_steps)
    if not path.is_file():
        study.say("fitting the feature network")
        sets = {name: study.part(name, TRAIN, study.effort.training) for name in study.sets}
        network = train_feature_network(
            [images.values() for images in sets.values()],
            _labels(study, sets),
            settings=FeatureSettings(
                fit=FitSettings(steps=study.effort.feature_steps, batch_size=24)
            ),
            seed=study.seed,
            say=study.say,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        save_features(network, path)
    return features_of_file(path)


def _labels(study: Study, sets: Mapping[str, ImageSet]) -> dict[str, NDArray]:
    """By family and category, ``UNKNOWN`` for images of other families."""
    found = {}
    for name in sets:
        for kind, values in study.model.families[name].categories.items():
            found[f"{name} {kind}"] = np.concatenate(
                [
                    _codes(category_of(images, kind), values)
                    if other == name
                    else np.full(len(images), UNKNOWN)
                    for other, images in sets.items()
                ]
            )
    return found


def _codes(said: Sequence[str], values: Sequence[str]) -> NDArray:
    return np.array([values.index(one) if one in values else UNKNOWN for one in said], np.int64)


def told_apart(study: Study, family: Family, kind: str) -> tuple[str, ...]:
    """The values of a category that training images show, where there are two or more."""
    shown = set(category_of(study.part(family.name, TRAIN), kind))
    found = tuple(value for value in family.categories[kind] if value in shown)
    return found if len(found) > 1 else ()


def classifier(study: Study, family: Family, kind: str) -> Callable[[NDArray], NDArray]:
    """What names a category of images, as indices of :func:`told_apart`."""
    values = told_apart(study, family, kind)
    settings = ClassifierSettings(fit=FitSettings(steps=study.effort.classifier_steps))

    def empty() -> nn.Module:
        return ImageClassifier(
            num_classes=len(values), widths=settings.widths, blocks=settings.blocks
        )

    def fitted() -> nn.Module:
        study.say(f"fitting the judge of {family.name}'s {kind}")
        images = _known(study, family.name, lambda one: one.categories.get(kind) in values)
        return train_classifier(
            small(images, settings.side),
            _codes(category_of(images, kind), values),
            len(values),
            settings=settings,
            seed=study.seed,
        )

    path = _path(study, f"{family.name}-{kind}", family.name, steps=study.effort.classifier_steps)
    network = _kept(path, fitted, empty)

    def named(images: NDArray) -> NDArray:
        small_ones = resized(np.asarray(images, np.float32), settings.side)
        chosen: NDArray = embedded(network, small_ones).argmax(axis=1)
        return chosen

    return named


def box_finder(study: Study, family: Family) -> BoxFinder:
    """What finds the box of a family's finding."""
    settings = BoxFinderSettings(fit=FitSettings(steps=study.effort.box_steps, batch_size=16))

    def fitted() -> nn.Module:
        study.say(f"fitting the judge of {family.name}'s boxes")
        images = _known(study, family.name, lambda one: one.box is not None)
        boxes = np.array([one.box for one in images.labels], np.float64)
        return train_box_finder(
            small(images, settings.side), boxes, settings=settings, seed=study.seed, say=study.say
        )

    path = _path(study, f"{family.name}-box", family.name, steps=study.effort.box_steps)
    network = _kept(path, fitted, lambda: BoxFinder(settings))
    assert isinstance(network, BoxFinder)
    return network


def _known(study: Study, name: str, wanted: Callable[[Any], bool]) -> ImageSet:
    images = where(study.part(name, TRAIN), wanted)
    rows = np.linspace(0, len(images) - 1, min(len(images), study.effort.training)).round()
    return images.chosen(rows.astype(np.int64))


def _path(study: Study, judge: str, *families: str, steps: int) -> Path:
    decides = {
        "data": {name: study.data_digests[name] for name in families},
        "steps": steps,
        "training": study.effort.training,
        "seed": study.seed,
        "way": _FITTED_WITH,
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    ending = "safetensors" if judge == "features" else "pt"
    return study.output / FOLDER / f"{judge}-{digest[:16]}.{ending}"


def _kept(path: Path, fitted: Callable[[], nn.Module], empty: Callable[[], nn.Module]) -> nn.Module:
    """A judge with the weights that an earlier part kept, fitted where there are none."""
    if path.is_file():
        network = empty()
        network.load_state_dict(load_state(path))
    else:
        network = fitted()
        path.parent.mkdir(parents=True, exist_ok=True)
        save_state(path, network.state_dict())
    return network.eval().requires_grad_(False)
