from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import InputRefused
from isocenter.training.judges.features import (
    UNKNOWN,
    FeatureSettings,
    train_feature_network,
    vicreg_loss,
)
from isocenter.training.judges.fitting import FitSettings

TINY = FeatureSettings(
    widths=(16, 32),
    blocks=(1, 1),
    fit=FitSettings(steps=40, batch_size=8, learning_rate=5e-3, say_every=8),
    side=32,
    projected=16,
)


def images(count: int, sigma: float, seed: int) -> NDArray:
    noise = np.random.default_rng(seed).standard_normal((count, 40, 40))
    smooth = ndimage.gaussian_filter(noise, (0, sigma, sigma))
    return np.clip(smooth / smooth.std() / 3, -1, 1).astype(np.float32)


def test_it_learns_and_is_the_same_from_the_same_seed() -> None:
    given = [images(12, 0.8, 0), images(12, 2.5, 1)]
    labels = {"kind": np.repeat([0, 1], 12), "unknown": np.full(24, UNKNOWN)}
    lines: list[str] = []
    first = train_feature_network(given, labels, settings=TINY, seed=3, say=lines.append)
    losses = [float(line.rsplit(" ", 1)[1]) for line in lines]
    assert len(losses) == 5
    assert losses[-1] < losses[0] - 0.2
    second = train_feature_network(given, labels, settings=TINY, seed=3)
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
        assert not one.requires_grad


def test_training_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    short = FeatureSettings(**{**vars(TINY), "fit": FitSettings(steps=1, batch_size=4)})
    train_feature_network([images(4, 1.0, 0)], {}, settings=short)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ([np.zeros((4, 40))], {}),
        ([np.full((4, 40, 40), 200.0)], {}),
        ([np.full((4, 40, 40), np.nan)], {}),
        ([np.zeros((4, 40, 40))], {"kind": np.zeros(3, int)}),
        ([np.zeros((4, 40, 40))], {"kind": np.zeros(4)}),
        ([np.zeros((4, 40, 40))], {"kind": np.full(4, -2)}),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    given: list[NDArray], labels: dict[str, NDArray]
) -> None:
    with pytest.raises(InputRefused):
        train_feature_network(given, labels, settings=TINY)


def test_vicreg_is_least_for_equal_views_that_vary_and_do_not_repeat() -> None:
    generator = torch.Generator().manual_seed(0)
    good = 1.2 * torch.randn(400, 4, generator=generator)
    repeated = good[:, :1].repeat(1, 4)
    other = 1.2 * torch.randn(400, 4, generator=generator)
    best = float(vicreg_loss(good, good))
    assert best < 0.05
    for worse in ((good, other), (repeated, repeated), (torch.zeros(400, 4), torch.zeros(400, 4))):
        assert float(vicreg_loss(*worse)) > 3 * best


@pytest.mark.parametrize("setting", [{"steps": 0}, {"steps": 10**7}, {"steps": 1, "batch_size": 0}])
def test_a_fit_has_bounded_steps(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got"):
        FitSettings(**setting)
