from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isocenter.training.averaging import moving_average, power_moving_average, power_of_profile


def run(average: nn.Module, network: nn.Linear, values: list[float]) -> float:
    for value in values:
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)  # type: ignore[operator]
    return float(average.module.weight.detach())  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("relative_std", [0.05, 0.1, 0.2])
def test_updates_count_as_their_profile_says(relative_std: float) -> None:
    network = nn.Linear(1, 1, bias=False).double()
    values = np.random.default_rng(0).standard_normal(40)
    power = power_of_profile(relative_std)
    time = np.arange(41.0)
    share = np.diff(time**power) / 40**power
    average = power_moving_average(network, relative_std=relative_std)
    assert run(average, network, values.tolist()) == pytest.approx(share @ values, rel=1e-9)


@pytest.mark.parametrize("relative_std", [0.01, 0.05, 0.15, 0.28])
def test_the_profile_has_the_deviation_asked_for(relative_std: float) -> None:
    power = power_of_profile(relative_std)
    time = (np.arange(200_000) + 0.5) / 200_000
    weight = power * time ** (power - 1) / 200_000
    mean = weight @ time
    assert np.sqrt(weight @ (time - mean) ** 2) == pytest.approx(relative_std, rel=1e-4)


def test_powers_are_those_of_the_paper() -> None:
    """Gammas 16.97 and 6.94 for 0.05 and 0.10."""
    assert power_of_profile(0.05) - 1 == pytest.approx(16.97, abs=0.01)
    assert power_of_profile(0.10) - 1 == pytest.approx(6.94, abs=0.01)


def test_an_average_goes_on_from_its_state() -> None:
    values = [float(value) for value in range(12)]
    network = nn.Linear(1, 1, bias=False)
    through = run(power_moving_average(network, relative_std=0.1), network, values)
    first, second = (power_moving_average(network, relative_std=0.1) for _ in range(2))
    run(first, network, values[:5])
    second.load_state_dict(first.state_dict())
    assert run(second, network, values[5:]) == through


def test_constant_weights_are_their_average() -> None:
    network = nn.Linear(1, 1, bias=False)
    assert run(power_moving_average(network, relative_std=0.1), network, [3.0] * 20) == 3.0


@pytest.mark.parametrize("relative_std", [0.0, -0.1, 0.3, float("nan")])
def test_a_deviation_that_no_profile_has_is_refused(relative_std: float) -> None:
    with pytest.raises(ValueError, match=r"below 0\.2887"):
        power_moving_average(nn.Linear(1, 1), relative_std=relative_std)


def test_an_exponential_average_forgets_at_its_rate() -> None:
    network = nn.Linear(1, 1, bias=False).double()
    average = moving_average(network, decay=0.9)
    assert run(average, network, [1.0] + [0.0] * 10) == pytest.approx(0.9**10)
    assert torch.is_tensor(average.n_averaged)
