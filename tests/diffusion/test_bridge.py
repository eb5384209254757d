from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from isocenter.diffusion.bridge import MeanBridgeScheduler, Velocity


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian_velocity(deviation: float) -> Velocity:
    """Expected velocity where z_0 is normal with this deviation and z_1 with one."""

    def velocity(state: Tensor, time_B: Tensor) -> Tensor:
        angle = time_B.view(-1, 1) * math.pi / 2
        cos, sin = angle.cos(), angle.sin()
        variance = cos.square() * deviation**2 + sin.square()
        return cos * sin * (1 - deviation**2) / variance * state

    return velocity


@pytest.mark.parametrize("deviation", [0.3, 0.7, 1.5])
def test_gaussian_residuals_are_reached_with_order_one(deviation: float) -> None:
    bridge = MeanBridgeScheduler(max_steps=1024)
    start = torch.ones(1, 1, dtype=torch.float64)
    error = [
        abs(bridge.sample(gaussian_velocity(deviation), start, steps=steps).item() - deviation)
        for steps in (128, 256, 512)
    ]
    assert error[-1] < 0.01
    for coarse, fine in pairwise(error):
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_matched_noise_keeps_its_amplitude_at_any_number_of_steps(steps: int) -> None:
    start = noise(3, 50)
    end = MeanBridgeScheduler().sample(gaussian_velocity(1.0), start, steps=steps)
    assert torch.equal(end, start)


def test_sampled_variance_is_that_of_the_residuals() -> None:
    start = noise(4000, 1)
    end = MeanBridgeScheduler(max_steps=256).sample(gaussian_velocity(0.5), start, steps=256)
    assert (end.std() / start.std()).item() == pytest.approx(0.5, rel=0.01)


def test_times_run_from_noise_to_above_the_image() -> None:
    bridge = MeanBridgeScheduler()
    bridge.set_timesteps(4)
    assert bridge.timesteps.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert bridge.config == {"max_steps": 8}


@pytest.mark.parametrize("steps", [-1, 0, 9])
def test_refuses_steps_it_does_not_run_in(steps: int) -> None:
    bridge = MeanBridgeScheduler()
    with pytest.raises(ValueError, match=rf"1\.\.8, got {steps}"):
        bridge.set_timesteps(steps)
    with pytest.raises(ValueError, match="steps"):
        bridge.sample(gaussian_velocity(1.0), noise(1, 1), steps=steps)


def test_time_zero_is_the_image_and_time_one_its_noise() -> None:
    bridge = MeanBridgeScheduler()
    image, start = noise(2, 1, 4, 4, seed=1), noise(2, 1, 4, 4, seed=2)
    ends = bridge.add_noise(image, start, torch.tensor([0.0, 1.0]))
    assert torch.equal(ends[0], image[0])
    assert torch.allclose(ends[1], start[1], atol=1e-12)


def test_velocity_is_the_derivative_of_the_path() -> None:
    bridge = MeanBridgeScheduler()
    image, start = noise(3, 1, 4, 4, seed=1), noise(3, 1, 4, 4, seed=2)
    time_B = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)
    after, before = (bridge.add_noise(image, start, time_B + step) for step in (1e-5, -1e-5))
    slope = (after - before) / 2e-5 / (math.pi / 2)
    assert torch.allclose(bridge.velocity(image, start, time_B), slope, atol=1e-8)


def test_noise_of_unit_variance_stays_so_along_the_path() -> None:
    bridge = MeanBridgeScheduler()
    image, start = noise(1, 100_000, seed=1), noise(1, 100_000, seed=2)
    for time in (0.2, 0.5, 0.9):
        between = bridge.add_noise(image, start, torch.tensor([time]))
        assert between.std().item() == pytest.approx(1, rel=0.02)


def test_sampling_is_deterministic_and_leaves_its_start_alone() -> None:
    bridge = MeanBridgeScheduler()
    start = noise(2, 8)
    kept = start.clone()
    first = bridge.sample(gaussian_velocity(0.4), start, steps=3)
    assert torch.equal(first, bridge.sample(gaussian_velocity(0.4), start, steps=3))
    assert torch.equal(start, kept)


@pytest.mark.parametrize("steps", [0, -1, 10**9, 2.5, "8", True, None])
def test_a_bridge_of_impossible_steps_is_refused(steps: object) -> None:
    with pytest.raises(ValueError, match="max_steps must be whole"):
        MeanBridgeScheduler(max_steps=steps)  # type: ignore[arg-type]
