from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from isocenter.modelpack.ct_mean import MeanAndSpread
from isocenter.training.losses import body_weight, gain_db, mean_loss, noise_unit, pinball


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def estimate(mean: Tensor, *, spread: float, level: float = 20.0) -> MeanAndSpread:
    flat = torch.ones_like(mean)
    return MeanAndSpread(
        mean=mean,
        below=spread * flat,
        above=spread * flat,
        level=level * flat,
        log_bands=torch.zeros(len(mean), 4, 1, 1),
    )


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.95])
def test_pinball_is_least_at_the_quantile(quantile: float) -> None:
    truth = drawn(20_000).sort().values
    guesses = torch.linspace(-2.5, 2.5, 101)
    losses = torch.stack([pinball(truth - guess, quantile).mean() for guess in guesses])
    best = guesses[losses.argmin()].item()
    assert best == pytest.approx(truth[int(quantile * len(truth))].item(), abs=0.06)


def test_air_around_the_patient_hardly_counts() -> None:
    target = torch.full((1, 1, 64, 64), -1000.0)
    target[..., 32:] = 40.0
    weight = body_weight(target)
    assert (weight[..., 45:] == 1).all()
    assert torch.allclose(weight[..., :20], torch.tensor(0.05))


def test_the_loss_of_the_mean_is_least_at_the_truth() -> None:
    target = 40 + drawn(2, 1, 32, 32)
    losses = [
        mean_loss(estimate(target + shift, spread=10.0), target)[0].item()
        for shift in (-5.0, 0.0, 5.0)
    ]
    assert losses[1] == 0
    assert losses[0] == pytest.approx(losses[2]) == pytest.approx((5 / 20) ** 2)


def test_the_loss_of_the_ends_is_least_where_they_cover_nine_of_ten() -> None:
    target = 40 + 10 * drawn(4, 1, 64, 64)
    mean = torch.full_like(target, 40.0)
    spreads = torch.linspace(8, 26, 37).tolist()
    losses = [mean_loss(estimate(mean, spread=spread), target)[1].item() for spread in spreads]
    best = spreads[losses.index(min(losses))]
    assert best == pytest.approx(16.45, abs=0.8)


def test_the_ends_do_not_pull_the_mean() -> None:
    mean = torch.full((1, 1, 16, 16), 30.0, requires_grad=True)
    _, ends = mean_loss(estimate(mean, spread=5.0), torch.full((1, 1, 16, 16), 40.0))
    assert not ends.requires_grad


def test_the_loss_does_not_depend_on_the_dose() -> None:
    noise, mean = drawn(1, 1, 32, 32), torch.full((1, 1, 32, 32), 40.0)
    losses = [
        mean_loss(estimate(mean, spread=level, level=level), mean + level * noise)
        for level in (10.0, 80.0)
    ]
    for low, high in zip(*losses, strict=True):
        assert torch.allclose(low, high, rtol=1e-4)


def test_metal_counts_linearly() -> None:
    mean = torch.full((1, 1, 32, 32), 40.0)
    near, far = (
        mean_loss(estimate(mean, spread=10.0), mean + error)[0].item() for error in (1600, 3200)
    )
    assert far / near == pytest.approx(2, rel=0.06)


def test_the_noise_unit_is_the_level_inside_the_patient() -> None:
    level = torch.full((1, 1, 8, 8), 5.0)
    level[..., :4] = 100.0
    weight = torch.ones(1, 1, 8, 8)
    weight[..., :4] = 0.0
    assert noise_unit(level, weight).item() == 5.0
    assert noise_unit(0 * level, weight).item() == 3.0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 6.0206), (1.0, 0.0), (2.0, -6.0206)])
def test_gain_of_a_known_error(share: float, expected: float) -> None:
    target = torch.full((2, 1, 32, 32), 40.0)
    error = 10 * drawn(2, 1, 32, 32)
    gain = gain_db(target + share * error, target + error, target)
    assert gain.tolist() == pytest.approx([expected] * 2, abs=1e-3)


def test_gain_looks_inside_the_patient_only() -> None:
    target = torch.full((1, 1, 64, 64), -1000.0)
    target[..., 32:] = 40.0
    noisy = target + 10 * drawn(1, 1, 64, 64)
    prediction = noisy.clone()
    prediction[..., :16] += 500
    assert gain_db(prediction, noisy, target).item() == pytest.approx(0, abs=1e-4)
    assert math.isfinite(gain_db(target, noisy, target).item())
