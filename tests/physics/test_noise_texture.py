from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from isocenter.physics.noise_texture import (
    NUM_DIRECTIONS,
    NoiseTexture,
    direction_windows,
    directional_variance,
    radial_frequency,
    random_texture,
    textured_noise,
)

SIZE = 64
SHAPE = (SIZE, SIZE)
TEXTURES = [
    NoiseTexture(),
    NoiseTexture(exponent=0.3, cutoff=0.1),
    NoiseTexture(cutoff=0.6, steepness=5, bump=2.5, bump_frequency=0.35),
    NoiseTexture(cutoff=0.12, white_share=0.4),
]


def white(slices: int, *, seed: int = 0) -> Tensor:
    return torch.randn((slices, *SHAPE), generator=torch.Generator().manual_seed(seed))


def power_of(texture: NoiseTexture) -> Tensor:
    return torch.from_numpy(texture.power(radial_frequency(SHAPE))).float()


def everywhere(values: list[float]) -> Tensor:
    """A variance for each direction, the same in every place."""
    return torch.tensor(values)[:, None, None].expand(-1, *SHAPE)


EVEN = everywhere([1.0] * NUM_DIRECTIONS)


def spectrum(noise: Tensor) -> Tensor:
    """Mean power of each coefficient, one for white noise of unit variance."""
    return torch.fft.rfft2(noise).abs().square().mean(dim=0) / noise[0].numel()


@pytest.mark.parametrize("texture", TEXTURES)
def test_power_is_normalized_to_unit_variance(texture: NoiseTexture) -> None:
    power = texture.power(radial_frequency((96, 128)))
    assert power.min() >= 0
    assert power.mean() == pytest.approx(1)


@pytest.mark.parametrize("texture", TEXTURES)
def test_noise_has_unit_variance_and_the_spectrum_asked_for(texture: NoiseTexture) -> None:
    noise = textured_noise(power_of(texture), EVEN, white=white(120))
    assert noise.std().item() == pytest.approx(1, rel=0.03)
    found, wanted = spectrum(noise), power_of(texture)
    ring = torch.from_numpy(radial_frequency(SHAPE) * 16).long()
    for index in range(1, 8):
        here = ring == index
        assert found[here].mean() == pytest.approx(wanted[here].mean().item(), rel=0.08, abs=1e-4)


def test_windows_share_out_every_frequency() -> None:
    windows = direction_windows((48, 80))
    assert windows.shape == (NUM_DIRECTIONS, 48, 41)
    assert windows.min() >= 0
    assert np.allclose(windows.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize("direction", range(NUM_DIRECTIONS))
def test_a_window_is_whole_at_its_own_angle(direction: int) -> None:
    angle = direction * np.pi / NUM_DIRECTIONS
    row, column = 200 * np.sin(angle), 200 * np.cos(angle)
    windows = direction_windows((512, 512))
    if column < 0:
        row, column = -row, -column
    shares = windows[:, round(row) % 512, round(column)]
    assert shares[direction] == pytest.approx(1, abs=1e-3)
    assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_variance_from_one_side_makes_waves_along_it() -> None:
    power = power_of(NoiseTexture(cutoff=0.4))
    for direction, along in ((0, 2), (3, 1)):  # column axis, row axis of (slice, row, column)
        only = [float(index == direction) for index in range(NUM_DIRECTIONS)]
        noise = textured_noise(power, everywhere(only), white=white(20))
        rough = {axis: noise.diff(dim=axis).square().mean().item() for axis in (1, 2)}
        across = 3 - along
        assert rough[along] > 3 * rough[across]


def test_noise_follows_the_square_root_of_the_variance() -> None:
    power = power_of(NoiseTexture())
    once = textured_noise(power, EVEN, white=white(2))
    assert torch.allclose(textured_noise(power, 9 * EVEN, white=white(2)), 3 * once, atol=1e-5)
    half = EVEN.clone()
    half[..., SIZE // 2 :] = 4
    split = textured_noise(power, half, white=white(2))
    assert torch.allclose(split[..., : SIZE // 2], once[..., : SIZE // 2], atol=1e-6)
    assert torch.allclose(split[..., SIZE // 2 :], 2 * once[..., SIZE // 2 :], atol=1e-6)


def test_equal_variance_from_all_sides_leaves_white_noise_as_it_is() -> None:
    flat = torch.ones(SIZE, SIZE // 2 + 1)
    assert torch.allclose(textured_noise(flat, EVEN, white=white(2)), white(2), atol=1e-5)


def test_given_windows_change_nothing() -> None:
    power = power_of(NoiseTexture())
    windows = torch.from_numpy(direction_windows(SHAPE))
    given = textured_noise(power, EVEN, white=white(1), windows=windows)
    assert torch.equal(given, textured_noise(power, EVEN, white=white(1)))


def trunk_with_bar(direction: int) -> tuple[NDArray, NDArray]:
    """Water with a bar of bone along the rays of a direction, and the mask of the bar."""
    angle = direction * np.pi / NUM_DIRECTIONS
    row, column = np.indices((128, 128)) - 63.5
    # waves of the direction run along (sin, cos), its rays and streaks along (cos, -sin)
    along = row * np.cos(angle) - column * np.sin(angle)
    across = row * np.sin(angle) + column * np.cos(angle)
    bar = (np.abs(along) < 40) & (np.abs(across) < 3)
    image = np.where(np.hypot(row, column) < 55, 0.0, -1000.0)
    image[bar] = 1200.0
    return image, bar


@pytest.mark.parametrize("direction", range(NUM_DIRECTIONS))
def test_rays_along_a_bar_bring_the_most_variance(direction: int) -> None:
    image, bar = trunk_with_bar(direction)
    variance = directional_variance(image, spacing_mm=(2.0, 2.0))
    assert variance.shape == (NUM_DIRECTIONS, 64, 64)
    on_bar = variance[:, bar[::2, ::2]].mean(axis=1)
    assert on_bar.argmax() == direction
    assert on_bar[direction] > 2 * np.delete(on_bar, direction).max()


def test_streaks_run_along_the_bar() -> None:
    """From the anatomy to the noise: differences along a streak are small, across it large."""
    image, bar = trunk_with_bar(1)
    variance = torch.from_numpy(directional_variance(image, spacing_mm=(2.0, 2.0)))
    noise = textured_noise(power_of(NoiseTexture(cutoff=0.4)), variance, white=white(60))
    inside = torch.from_numpy(bar[::2, ::2])
    # rays of direction 1 run along (row, column) = (cos 30, -sin 30), about (2, -1)
    lag = {
        step: (noise - noise.roll(step, dims=(1, 2))).square().mean(dim=0)[inside].mean().item()
        for step in ((2, -1), (2, 1), (1, 2))
    }
    assert lag[2, -1] < 0.8 * lag[2, 1]
    assert lag[2, -1] < 0.9 * lag[1, 2]


def test_a_disc_brings_the_same_variance_from_every_side() -> None:
    row, column = np.indices((128, 128)) - 63.5
    image = np.where(np.hypot(row, column) < 50, 0.0, -1000.0)
    variance = directional_variance(image, spacing_mm=(2.0, 2.0))
    inside = (np.hypot(row, column) < 50)[::2, ::2]
    assert variance[:, inside].mean() == pytest.approx(1, rel=0.1)
    assert np.allclose(variance[:, 32, 32], variance[0, 32, 32], rtol=0.1)
    assert variance[0, 32, 32] > 2 * variance[0, 32, 54]


def test_random_textures_are_reproducible_and_varied() -> None:
    drawn = [random_texture(np.random.default_rng(seed)) for seed in range(60)]
    assert drawn == [random_texture(np.random.default_rng(seed)) for seed in range(60)]
    frequency = radial_frequency(SHAPE)
    means = [np.average(frequency, weights=texture.power(frequency)) for texture in drawn]
    assert all(np.isfinite(means))
    assert min(means) < 0.15
    assert max(means) > 0.35
    assert 0.1 < np.mean([texture.white_share > 0 for texture in drawn]) < 0.5
