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
    local_directions,
    radial_colour,
    spread_hu,
    without_coarse_excess,
)
from isocenter.physics.noise_texture import NUM_DIRECTIONS


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


# Of the 48 bins of a colour, those below 0.07 cycles per pixel.
RAMP_BINS = 4


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
    ratio = (found / wanted[0])[RAMP_BINS:46]
    assert torch.allclose(ratio, ratio.mean().expand(len(ratio)), rtol=0.1)


def test_coarse_colour_is_at_most_that_of_a_ramp() -> None:
    """As noise of reconstruction falls towards zero frequency; what is above it was anatomy."""
    blobs = coloured_noise(drawn(8, 1, 96, 96), torch.linspace(2, 0.2, 48).expand(8, 48))
    power = radial_colour(blobs, torch.ones_like(blobs)).square()
    level = power[:, RAMP_BINS : RAMP_BINS + 3].mean(dim=1, keepdim=True)
    places = (torch.arange(48) + 0.5) / (RAMP_BINS + 1.5)
    assert (power[:, :RAMP_BINS] <= 1.001 * level * places[:RAMP_BINS]).all()
    assert (power[:, 0] < 0.2 * level[:, 0]).all()


def test_coarse_colour_below_the_ramp_is_kept() -> None:
    colour = torch.linspace(0.05, 1, 48).square()
    noise = coloured_noise(drawn(32, 1, 96, 96), colour.expand(32, 48))
    found = radial_colour(noise, torch.ones_like(noise)).mean(dim=0)
    ratio = found / colour
    assert torch.allclose(ratio[1:46], ratio[RAMP_BINS:46].mean().expand(45), rtol=0.15)


def test_the_ramp_reaches_as_far_as_it_is_told() -> None:
    noise = drawn(1, 1, 96, 96)
    inside = torch.ones_like(noise)
    near, far = (radial_colour(noise, inside, end) for end in (0.07, 0.14))
    assert torch.equal(near[:, 9:], far[:, 9:])
    assert (far[:, 1:4] < 0.9 * near[:, 1:4]).all()
    assert (radial_colour(noise, inside, 0.0)[:, 1] > 1.8 * near[:, 1]).all()


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


# directions


def stripes(rows: int, columns: int, *, along: str, seed: int = 0) -> Tensor:
    """Noise that changes across its streaks alone, of unit variance."""
    line = drawn(rows if along == "rows" else columns, seed=seed)
    return (line[:, None] if along == "rows" else line[None]).expand(1, 1, rows, columns)


def half_and_half(rows: int, columns: int, *, seed: int = 0) -> Tensor:
    """Streaks along rows in the left half, along columns in the right one, and a little noise."""
    image = stripes(rows, columns, along="columns", seed=seed).clone()
    image[..., : columns // 2] = stripes(rows, columns // 2, along="rows", seed=seed)
    return image + 0.2 * drawn(1, 1, rows, columns, seed=seed + 1)


# Frequencies of streaks along rows lie on the row axis, those of streaks along columns on the
# column axis, where directions are counted from.
ALONG_ROWS, ALONG_COLUMNS = NUM_DIRECTIONS // 2, 0
LEFT, RIGHT = (..., slice(4, 44)), (..., slice(-44, -4))


def test_streaks_are_seen_where_they_are() -> None:
    image = half_and_half(96, 96)
    found = local_directions(image, torch.ones_like(image))
    assert found.shape == (1, NUM_DIRECTIONS, 96, 96)
    left, right = (found[part].mean(dim=(0, 2, 3)) for part in (LEFT, RIGHT))
    assert left.argmax() == ALONG_ROWS
    assert right.argmax() == ALONG_COLUMNS
    assert left[ALONG_ROWS] > 10 * left[ALONG_COLUMNS]
    assert right[ALONG_COLUMNS] > 10 * right[ALONG_ROWS]


@pytest.mark.parametrize("shape", [(96, 96), (64, 75), (17, 20), (8, 8)])
def test_directions_are_shares_of_mean_one(shape: tuple[int, int]) -> None:
    image = drawn(2, 1, *shape)
    found = local_directions(image, torch.ones_like(image))
    assert found.shape == (2, NUM_DIRECTIONS, *shape)
    assert torch.allclose(found.mean(dim=1), torch.ones(2, *shape), atol=1e-5)
    assert found.min() >= 0


def test_noise_that_is_alike_from_all_sides_has_even_directions() -> None:
    image = drawn(4, 1, 160, 160)
    found = local_directions(image, torch.ones_like(image)).mean(dim=(0, 2, 3))
    assert torch.allclose(found, torch.ones(NUM_DIRECTIONS), atol=0.25)


def test_where_nothing_was_removed_all_directions_count_alike() -> None:
    image = torch.zeros(1, 1, 48, 48)
    found = local_directions(image, torch.ones_like(image))
    assert torch.allclose(found, torch.ones_like(found), atol=1e-4)


def test_what_lies_outside_has_no_direction() -> None:
    image = half_and_half(96, 96)
    inside = torch.ones_like(image)
    inside[..., 48:] = 0
    other = image.clone()
    other[..., 48:] = 3.0
    first, second = (local_directions(one, inside) for one in (image, other))
    assert torch.equal(first, second)


def streak_power(noise: Tensor, along: str) -> Tensor:
    """Share of the differences' power that lies across rows, or across columns."""
    across_rows = noise.diff(dim=-2).square().mean()
    across_columns = noise.diff(dim=-1).square().mean()
    return (across_rows if along == "rows" else across_columns) / (across_rows + across_columns)


def test_streaks_are_drawn_where_and_as_they_were_removed() -> None:
    image = half_and_half(96, 96)
    directions = local_directions(image, torch.ones_like(image))
    colour = torch.ones(1, 48)
    noise = coloured_noise(drawn(1, 1, 96, 96, seed=7), colour, directions)
    even = coloured_noise(drawn(1, 1, 96, 96, seed=7), colour)
    assert noise.std().item() == pytest.approx(1, abs=1e-4)
    assert streak_power(noise[LEFT], "rows") > 0.75
    assert streak_power(noise[RIGHT], "columns") > 0.75
    for part in (LEFT, RIGHT):
        assert streak_power(even[part], "rows").item() == pytest.approx(0.5, abs=0.07)


def test_even_directions_leave_noise_as_it_is() -> None:
    white, colour = drawn(2, 1, 64, 70), torch.linspace(1, 0.2, 48).expand(2, 48)
    even = torch.ones(2, NUM_DIRECTIONS, 64, 70)
    plain = coloured_noise(white, colour)
    assert torch.allclose(coloured_noise(white, colour, even), plain, atol=1e-4)


def test_a_sample_starts_with_the_streaks_that_were_removed() -> None:
    given = estimate(96, 96)
    removed = 10 * half_and_half(96, 96)
    start = model().start(drawn(1, 1, 96, 96, seed=4), middle=given.mean + removed, estimate=given)
    assert streak_power(start[LEFT], "rows") > 0.7
    assert streak_power(start[RIGHT], "columns") > 0.7


# coarse power

COARSE_PER_MM = 0.1
SPACINGS = [(0.8, 0.8), (0.5, 1.0)]


def radius_per_mm(shape: tuple[int, ...], spacing_mm: tuple[float, float]) -> Tensor:
    rows = torch.fft.fftfreq(shape[0], spacing_mm[0])[:, None]
    return torch.hypot(rows, torch.fft.rfftfreq(shape[1], spacing_mm[1])[None])


def band_power(image: Tensor, spacing_mm: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Mean power in bins of a hundredth of a cycle per mm up to 0.15, and their centres."""
    power = torch.fft.rfft2(image[0, 0]).abs().square()
    radius = radius_per_mm(tuple(image.shape[-2:]), spacing_mm)
    bins = [(radius >= k / 100) & (radius < (k + 1) / 100) for k in range(15)]
    return torch.stack([power[one].mean() for one in bins]), (torch.arange(15) + 0.5) / 100


def limited(
    residual: Tensor,
    removed: Tensor,
    *,
    share: float | Tensor,
    spacing_mm: tuple[float, float] = (0.8, 0.8),
) -> Tensor:
    return without_coarse_excess(
        residual,
        removed_BCHW=removed,
        mean_BCHW=torch.full_like(residual, 40.0),
        share=share,
        spacing_mm=spacing_mm,
    )


def blobs(rows: int, columns: int) -> Tensor:
    """A drawn residual with far too much coarse power."""
    fine = drawn(1, 1, rows, columns, seed=11)
    return 8 * fine + 40 * torch.nn.functional.avg_pool2d(fine, 15, 1, 7)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_coarse_power_is_at_most_a_share_of_the_noises_ramp(
    share: float, spacing_mm: tuple[float, float]
) -> None:
    removed, residual = 20 * drawn(1, 1, 199, 203, seed=5), blobs(199, 203)
    found = limited(residual, removed, share=share, spacing_mm=spacing_mm)
    noise, places = band_power(removed, spacing_mm)
    drawn_before, _ = band_power(residual, spacing_mm)
    drawn_after, _ = band_power(found, spacing_mm)
    ramp = noise[10:].mean() * places / 0.125
    assert (drawn_before[:6] > ramp[:6]).all()
    assert (drawn_after[:10] <= 1.01 * share * ramp[:10]).all()
    assert (drawn_after[1:6] > 0.3 * share * ramp[1:6]).all()


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_texture_is_left_as_it_was_drawn(spacing_mm: tuple[float, float]) -> None:
    removed, residual = 20 * drawn(1, 1, 120, 131, seed=5), blobs(120, 131)
    found = limited(residual, removed, share=0.2, spacing_mm=spacing_mm)
    fine = radius_per_mm((120, 131), spacing_mm) >= COARSE_PER_MM
    before, after = (torch.fft.rfft2(one[0, 0])[fine] for one in (residual, found))
    assert torch.allclose(after, before, rtol=1e-4, atol=1e-4 * before.abs().max().item())


def test_where_nothing_may_be_drawn_nothing_coarse_is() -> None:
    found = limited(blobs(96, 96), 20 * drawn(1, 1, 96, 96), share=0.0)
    coarse = radius_per_mm((96, 96), (0.8, 0.8)) < COARSE_PER_MM
    assert torch.fft.rfft2(found[0, 0])[coarse].abs().max() < 1e-2
    assert found.std() > 5


def test_the_share_may_be_told_for_each_frequency() -> None:
    residual, removed = blobs(96, 96), 20 * drawn(1, 1, 96, 96)
    radius = radius_per_mm((96, 96), (0.8, 0.8))
    found = limited(residual, removed, share=torch.where(radius < 0.05, 0.0, 0.3))
    power = torch.fft.rfft2(found[0, 0]).abs()
    assert power[radius < 0.05].max() < 1e-2
    even = torch.fft.rfft2(limited(residual, removed, share=0.3)[0, 0]).abs()
    assert torch.allclose(power[radius >= 0.05], even[radius >= 0.05], rtol=1e-3, atol=1e-2)


def test_a_residual_with_less_coarse_power_than_the_noise_stays_as_it_is() -> None:
    removed = 20 * drawn(1, 1, 96, 96)
    residual = 0.05 * (removed - removed.mean())
    assert torch.allclose(limited(residual, removed, share=1.0), residual, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_sample_has_the_mean_of_the_mean(share: float) -> None:
    residual = 0.05 * drawn(1, 1, 96, 96) + 4.6
    found = limited(residual, 20 * drawn(1, 1, 96, 96, seed=3), share=share)
    assert found.mean().item() == pytest.approx(0, abs=1e-4)


def test_where_no_noise_was_removed_nothing_coarse_is_drawn() -> None:
    found = limited(blobs(96, 96), torch.zeros(1, 1, 96, 96), share=1.0)
    coarse = radius_per_mm((96, 96), (0.8, 0.8)) < COARSE_PER_MM
    assert torch.fft.rfft2(found[0, 0])[coarse].abs().max() < 1e-2
