from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.training.judges.alteration import AlterationSettings
from isocenter.training.judges.classifier import (
    ClassifierSettings,
    classifier_fit,
    train_classifier,
)
from isocenter.training.judges.fitting import FitSettings

SETTINGS = ClassifierSettings(
    widths=(16, 32),
    blocks=(1, 1),
    side=32,
    fit=FitSettings(steps=60, batch_size=16, learning_rate=3e-3),
    alteration=AlterationSettings(mirror=0.0),
)


def disks(count: int, seed: int) -> tuple[NDArray, NDArray]:
    """A disk in the upper half is class 0, in the lower half class 1."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    row, column = np.mgrid[:40, :40]
    images = rng.normal(-0.5, 0.1, (count, 40, 40))
    for image, one in zip(images, classes, strict=True):
        at = (10 + 20 * one + rng.integers(-2, 3), rng.integers(10, 30))
        image[(row - at[0]) ** 2 + (column - at[1]) ** 2 < 25] += 1
    return np.clip(images, -1, 1).astype(np.float32), classes


def test_it_learns_what_can_be_learned_and_the_same_again() -> None:
    images, classes = disks(40, 0)
    others, wanted = disks(30, 1)
    fitted = classifier_fit(SETTINGS)
    predict = fitted(images, classes, 2, 5)
    found = predict(others)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found.argmax(axis=1) == wanted).mean() > 0.85
    assert fitted(images, classes, 2, 5)(others) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("classes", [np.zeros(3, int), np.full(4, 2), np.full(4, -1)])
def test_classes_that_do_not_fit_are_refused(classes: NDArray) -> None:
    with pytest.raises(InputRefused, match="class"):
        train_classifier(np.zeros((4, 40, 40), np.float32), classes, 2, settings=SETTINGS)
