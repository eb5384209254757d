from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from isocenter.image.spectrum import filtered, frequency_per_mm, low_pass_gain, radial_power


def white(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_each_axis_has_its_own_spacing() -> None:
    """Ten rows of 0.5 mm are 5 mm high, eight columns of 2 mm are 16 mm wide."""
    found = frequency_per_mm((3, 1, 10, 8), (0.5, 2.0))
    assert found.shape == (10, 5)
    assert found[0].tolist() == pytest.approx([k / 16 for k in range(5)])
    assert found[:6, 0].tolist() == pytest.approx([k / 5 for k in range(6)])
    assert found[9, 0].item() == pytest.approx(1 / 5)
    assert found[1, 2].item() == pytest.approx(math.hypot(1 / 5, 2 / 16))


def test_a_spacing_of_one_gives_cycles_per_pixel() -> None:
    found = frequency_per_mm((64, 64), (1.0, 1.0))
    assert found[32, 0].item() == pytest.approx(0.5)
    assert found.max().item() == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("shape", [(12, 16), (13, 17), (12, 17)])
def test_a_gain_of_one_changes_nothing(shape: tuple[int, int]) -> None:
    images = white(2, 3, *shape)
    found = filtered(images, torch.ones(shape[0], shape[1] // 2 + 1))
    assert found.shape == images.shape
    assert torch.allclose(found, images, atol=1e-5)


def test_a_filter_multiplies_a_grating_by_the_gain_of_its_frequency() -> None:
    grating = torch.cos(2 * math.pi * 6 * torch.arange(48) / 48).expand(1, 1, 32, 48)
    frequency = frequency_per_mm((32, 48), (0.8, 0.8))
    found = filtered(grating, 1 / (1 + frequency))
    assert torch.allclose(found, grating / (1 + 6 / (48 * 0.8)), atol=1e-5)


@pytest.mark.parametrize("end", [0.07, 0.12, 1.0])
def test_low_pass_passes_all_far_below_half_at_and_nothing_far_above_the_end(end: float) -> None:
    places = torch.tensor([0.0, end / 4, end, 4 * end])
    gain = low_pass_gain(places, end)
    assert gain[0] == 1
    assert gain[1] > 0.999
    assert gain[2].item() == pytest.approx(0.5)
    assert gain[3] < 0.001
    assert (low_pass_gain(torch.linspace(0, 3 * end, 50), end).diff() <= 0).all()


def test_white_noise_has_the_same_power_at_all_frequencies() -> None:
    noise = white(4, 1, 96, 96)
    bins = (frequency_per_mm(noise.shape, (1.0, 1.0)).flatten() * 16).long()
    found = radial_power(noise, bins, 12)
    assert found.shape == (4, 12)
    # Each coefficient's power is exponentially distributed around the number of pixels.
    assert torch.allclose(found.mean(dim=0)[1:11], torch.tensor(96.0**2), rtol=0.12)


def test_power_of_all_coefficients_is_that_of_the_pixels() -> None:
    """Parseval: of an odd width, every column of coefficients but the first stands for two."""
    noise = white(2, 3, 20, 31)
    columns = torch.arange(16).clamp_max(1).expand(20, 16).flatten()
    found = radial_power(noise, columns, 2)
    total = (found[:, 0] * 20 + 2 * found[:, 1] * 20 * 15) / (20 * 31)
    assert torch.allclose(total, noise.square().sum(dim=(1, 2, 3)), rtol=1e-5)


def test_channels_add_up_and_bins_that_hold_nothing_have_no_power() -> None:
    noise = white(1, 1, 16, 16)
    bins = torch.zeros(16 * 9, dtype=torch.long)
    alone, twice = (radial_power(noise.expand(1, n, 16, 16), bins, 2) for n in (1, 2))
    assert torch.allclose(twice, 2 * alone)
    assert alone[0, 1] == 0
