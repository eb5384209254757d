from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.evaluation.sets.usefulness import ClassifiedImages, Predict, usefulness


def drawn(patients: range, shift: float, seed: int, classes: int = 2) -> ClassifiedImages:
    """Two images a patient; the mean of an image says its class as far as the shift goes."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"p{k}" for k in patients], 2)
    wanted = np.repeat([k % classes for k in patients], 2)
    images = rng.standard_normal((len(names), 4, 4))
    images[:, 0, 0] += shift * wanted
    return ClassifiedImages(images=images, classes=wanted, patients=names)


def nearest_mean(images: NDArray, classes: NDArray, num_classes: int, seed: int) -> Predict:
    means = np.stack([images[classes == k].mean(axis=0).ravel() for k in range(num_classes)])

    def predict(others: NDArray) -> NDArray:
        distance = ((others.reshape(len(others), 1, -1) - means) ** 2).sum(axis=2)
        odds = np.exp(-(distance - distance.min(axis=1, keepdims=True)))
        return odds / odds.sum(axis=1, keepdims=True)

    return predict


REAL = drawn(range(60), 3.0, 0)
HELD_OUT = drawn(range(100, 160), 3.0, 1)
GOOD = replace(drawn(range(300), 3.0, 2), patients=None)
USELESS = replace(drawn(range(300), 0.0, 3), patients=None)


def test_a_good_set_is_worth_as_much_as_the_real_one() -> None:
    found = {
        one.name: one for one in usefulness(REAL, GOOD, HELD_OUT, fit=nearest_mean, resamples=200)
    }
    assert list(found) == [
        "real",
        "generated",
        "5 % of real",
        "5 % of real + generated",
        "10 % of real",
        "10 % of real + generated",
        "real + generated",
    ]
    assert found["generated"].against == found["real + generated"].against == "real"
    assert found["generated"].ratio == pytest.approx(1, abs=0.02)
    helped = found["5 % of real + generated"]
    assert helped.against == "5 % of real"
    assert helped.gain > 0
    assert helped.gain_low > 0
    assert found["5 % of real"].num_images == 8
    assert len(helped.of_seeds) == 5


def test_a_useless_set_is_worth_nothing() -> None:
    found = {
        one.name: one
        for one in usefulness(
            REAL, USELESS, HELD_OUT, fit=nearest_mean, shares=(1.0,), seeds=(0,), resamples=200
        )
    }
    assert found["generated"].ratio_high < 1
    assert found["generated"].gain_high < 0
    assert np.isnan(found["real"].ratio)
    assert found["real"].low < found["real"].auc < found["real"].high


def test_three_classes_have_three_areas() -> None:
    sets = [
        drawn(patients, 3.0, k, classes=3) for k, patients in enumerate((range(60), range(90, 150)))
    ]
    generated = replace(drawn(range(200, 260), 3.0, 5, classes=3), patients=None)
    found = usefulness(
        sets[0], generated, sets[1], fit=nearest_mean, shares=(0.5,), seeds=(0, 1), resamples=50
    )
    assert all(len(one.auc_of_classes) == 3 for one in found)
    assert found[0].auc == pytest.approx(np.mean(found[0].auc_of_classes))


def test_every_fit_of_a_seed_begins_alike_and_a_share_keeps_every_class() -> None:
    seen: list[tuple[int, int]] = []

    def fit(images: NDArray, classes: NDArray, num_classes: int, seed: int) -> Predict:
        seen.append((seed, len(np.unique(classes))))
        return nearest_mean(images, classes, num_classes, seed)

    usefulness(REAL, GOOD, HELD_OUT, fit=fit, shares=(0.01,), seeds=(4, 7), resamples=5)
    assert seen == [(4, 2), (7, 2)] * 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"held_out": REAL}, "split by patient"),
        ({"held_out": replace(HELD_OUT, patients=None)}, "need their patients"),
        ({"generated": replace(GOOD, classes=GOOD.classes * 0)}, "same two or more"),
        ({"held_out": drawn(range(100, 102), 3.0, 1)}, "held-out patients"),
        ({"shares": (0.0,)}, "above 0 up to 1"),
    ],
)
def test_sets_that_say_nothing_are_refused(changes: dict[str, object], words: str) -> None:
    given = {"real": REAL, "generated": GOOD, "held_out": HELD_OUT, "shares": (1.0,)} | changes
    with pytest.raises(InputRefused, match=words):
        usefulness(**given, fit=nearest_mean)  # type: ignore[arg-type]
