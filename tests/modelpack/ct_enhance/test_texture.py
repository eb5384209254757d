from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.image.ct_noise import NUM_BANDS
from isocenter.modelpack.ct_enhance.mean import MeanAndSpread
from isocenter.modelpack.ct_enhance.texture import (
    CtTextureModel,
    coloured_noise,
    radial_colour,
    spread_hu,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def estimate(rows: int, columns: int, *, spread: float = 10.0) -> MeanAndSpread:
    flat = torch.ones(1, 1, rows, columns)
    blocks = -(-rows // 16), -(-columns // 16)
    mean = 40 + drawn(1, 1, rows, columns, seed=9)
    return MeanAndSpread(
        anatomy=mean,
        mean=mean,
        below=1.645 * spread * flat,
        above=1.645 * spread * flat,
        noise=spread * flat,
        level=2 * spread * flat,
        log_bands=torch.zeros(1, NUM_BANDS, *blocks),
    )


def model(*, scale: float = 0.0) -> CtTextureModel:
    network = CtTextureModel.build_network(widths=[4, 6], blocks=[1, 1], time_channels=4)
    with torch.no_grad():
        for index, weight in enumerate(network.parameters()):
            if scale:
                weight.copy_(scale * drawn(*weight.shape, seed=index))
    return CtTextureModel(network, scheduler=MeanBridgeScheduler()).eval()


def spectrum(noise: Tensor) -> Tensor:
    return torch.fft.rfft2(noise).abs().square().mean(dim=(0, 1))


def test_coloured_noise_has_unit_variance() -> None:
    colour = torch.linspace(3, 0.1, 48).expand(5, 48)
    noise = coloured_noise(drawn(5, 1, 50, 63), colour)
    assert noise.shape == (5, 1, 50, 63)
    assert torch.allclose(noise.std(dim=(-2, -1)), torch.ones(5, 1), atol=1e-5)


def test_coloured_noise_has_the_spectrum_asked_for() -> None:
    colour = torch.cat([torch.full((24,), 2.0), torch.full((24,), 0.5)])
    power = spectrum(coloured_noise(drawn(64, 1, 64, 64), colour.expand(64, 48)))
    radius = torch.hypot(torch.fft.fftfreq(64)[:, None], torch.fft.rfftfreq(64)[None])
    low, high = power[radius < 0.34].mean(), power[radius > 0.37].mean()
    assert (low / high).item() == pytest.approx(16, rel=0.05)


def test_each_image_gets_its_own_colour() -> None:
    colour = torch.stack([torch.linspace(1, 0.01, 48), torch.linspace(0.01, 1, 48)])
    smooth, rough = coloured_noise(drawn(2, 1, 64, 64), colour)
    assert smooth.diff(dim=-1).std() < 0.8 * rough.diff(dim=-1).std()


def test_measured_colour_gives_the_same_noise_again() -> None:
    wanted = torch.linspace(2, 0.2, 48).expand(16, 48)
    noise = coloured_noise(drawn(16, 1, 96, 96), wanted)
    found = radial_colour(noise, torch.ones_like(noise)).mean(dim=0)
    ratio = (found / wanted[0])[2:46]
    assert torch.allclose(ratio, ratio.mean().expand(44), rtol=0.1)


def test_colour_is_measured_inside_the_mask() -> None:
    noise = drawn(1, 1, 64, 64)
    inside = torch.zeros_like(noise)
    inside[..., :32] = 1
    other = noise.clone()
    other[..., 32:] = noise[..., 32:].flip(-2)  # the same mean, so that it does not count either
    assert torch.allclose(radial_colour(noise, inside), radial_colour(other, inside), rtol=1e-3)


def test_spread_is_the_deviation_that_the_interval_belongs_to() -> None:
    assert torch.allclose(spread_hu(estimate(32, 48)), torch.full((1, 1, 32, 48), 10.0))
    assert spread_hu(estimate(32, 48, spread=0.0)).min() > 0


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_without_velocity_a_sample_is_mean_plus_spread_times_start(steps: int) -> None:
    given = estimate(48, 64)
    middle = given.mean + 10 * drawn(1, 1, 48, 64, seed=2)
    white = drawn(1, 1, 48, 64, seed=3)
    start = model().start(white, middle=middle, estimate=given)
    found = model().sample(white, middle=middle, estimate=given, steps=steps)
    assert torch.allclose(found, given.mean + spread_hu(given) * start, atol=1e-4)
    assert (found - given.mean).std().item() == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("shape", [(17, 33), (130, 117), (32, 32)])
def test_samples_have_the_shape_of_their_slice(shape: tuple[int, int]) -> None:
    given = estimate(*shape)
    middle = given.mean + 10 * drawn(1, 1, *shape, seed=2)
    found = model(scale=0.1).sample(drawn(1, 1, *shape), middle=middle, estimate=given, steps=2)
    assert found.shape == (1, 1, *shape)
    assert torch.isfinite(found).all()


def test_samples_follow_their_white_noise_alone() -> None:
    given = estimate(32, 32)
    middle = given.mean + 10 * drawn(1, 1, 32, 32, seed=2)
    texture = model(scale=0.1)
    first, again, other = (
        texture.sample(drawn(1, 1, 32, 32, seed=seed), middle=middle, estimate=given, steps=2)
        for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_sample_starts_with_the_texture_that_was_removed() -> None:
    given = estimate(128, 128)
    smooth = torch.nn.functional.avg_pool2d(drawn(1, 1, 128, 128, seed=2), 7, 1, 3)
    rough = drawn(1, 1, 128, 128, seed=2)
    roughness = [
        model()
        .start(
            drawn(1, 1, 128, 128, seed=4),
            middle=given.mean + 10 * removed / removed.std(),
            estimate=given,
        )
        .diff(dim=-1)
        .std()
        .item()
        for removed in (smooth, rough)
    ]
    assert roughness[0] < 0.6 * roughness[1]
