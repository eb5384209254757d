"""What is given back where faint lesions have their contrast."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from isocenter.modelpack.ct_enhance.lesion_band import give_back, lesion_band, noise_share

FRACTION = 0.25


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def grating(
    per_mm: float,
    *,
    axis: int,
    spacing_mm: tuple[float, float] = (0.8, 0.8),
    shape: tuple[int, int] = (160, 160),
) -> Tensor:
    places = torch.arange(shape[axis]) * spacing_mm[axis]
    wave = torch.cos(2 * math.pi * per_mm * places)
    return (wave[:, None] if axis == 0 else wave[None]).expand(1, 1, *shape).clone()


def disc(diameter_mm: float, spacing_mm: tuple[float, float], side: int = 120) -> Tensor:
    place = torch.arange(side) - side // 2
    away = torch.hypot(place[:, None] * spacing_mm[0], place[None] * spacing_mm[1])
    return (away <= diameter_mm / 2).float()[None, None]


def passed(wave: Tensor, found: Tensor) -> float:
    """Amplitude of a grating in the middle of a result, over its own."""
    middle = (..., slice(50, -50), slice(50, -50))
    return (found[middle] * wave[middle]).sum().item() / wave[middle].square().sum().item()


def test_a_share_of_nothing_is_the_mean_itself() -> None:
    mean, removed = drawn(1, 1, 24, 30), drawn(1, 1, 24, 30, seed=1)
    found = give_back(mean, removed, share=0, dose_fraction=FRACTION, spacing_mm=(0.8, 0.8))
    assert torch.equal(found, mean)


def test_a_standard_dose_is_given_nothing_back() -> None:
    mean, removed = drawn(1, 1, 24, 30), 20 * drawn(1, 1, 24, 30, seed=1)
    found = give_back(mean, removed, share=1.0, dose_fraction=1.0, spacing_mm=(0.8, 0.8))
    assert torch.equal(found, mean)


def test_what_is_given_back_grows_with_the_share() -> None:
    mean, removed = drawn(1, 1, 40, 48), 20 * drawn(1, 1, 40, 48, seed=1)
    none, third, all_of_it = (
        give_back(mean, removed, share=share, dose_fraction=FRACTION, spacing_mm=(0.8, 0.8))
        for share in (0.0, 1 / 3, 1.0)
    )
    assert (all_of_it - none).std() > 1
    assert torch.allclose(third - none, (all_of_it - none) / 3, atol=1e-5)


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8), (0.5, 1.0)])
def test_a_disc_of_10_mm_comes_back_and_fine_noise_does_not(
    spacing_mm: tuple[float, float],
) -> None:
    """All of the disc had been taken for noise, together with waves 2.5 mm long."""
    lesion = -20 * disc(10.0, spacing_mm)
    waves = 30 * grating(0.4, axis=1, spacing_mm=spacing_mm, shape=(120, 120))
    removed = lesion + waves
    mean = FRACTION * removed
    found = give_back(mean, removed, share=1.0, dose_fraction=FRACTION, spacing_mm=spacing_mm)
    inside = lesion < 0
    assert -20.5 < found[inside].mean().item() < 0.85 * -20
    assert mean[inside].mean().item() == pytest.approx(-20 * FRACTION, rel=0.1)
    assert passed(waves, found) == pytest.approx(FRACTION, abs=0.01)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8), (0.5, 1.0), (1.0, 0.5)])
def test_the_band_ends_in_millimetres_whatever_the_pixel(
    axis: int, spacing_mm: tuple[float, float]
) -> None:
    shares = []
    for per_mm in (0.05, 0.12, 0.25):
        wave = grating(per_mm, axis=axis, spacing_mm=spacing_mm)
        shares.append(passed(wave, lesion_band(wave, spacing_mm=spacing_mm)))
    assert shares[0] == pytest.approx(1, abs=0.03)
    assert shares[1] == pytest.approx(0.5, abs=0.03)
    assert shares[2] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("shape", [(40, 52), (41, 53), (6, 9)])
def test_edges_are_mirrored_so_that_what_is_constant_stays_so(shape: tuple[int, int]) -> None:
    field = torch.full((1, 1, *shape), 7.0)
    assert torch.allclose(lesion_band(field, spacing_mm=(0.8, 0.8)), field, atol=1e-4)


def test_one_edge_does_not_reach_the_opposite_one() -> None:
    removed = torch.zeros(1, 1, 64, 64)
    removed[..., :4] = 50
    found = lesion_band(removed, spacing_mm=(0.8, 0.8))
    assert found[..., :4].mean() > 20
    assert found[..., -4:].abs().max() < 1


@pytest.mark.parametrize("contrast", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("per_mm", [0.05, 0.1, 0.12, 0.2, 0.4])
def test_the_share_of_noise_that_is_told_is_the_one_that_is_shown(
    contrast: float, per_mm: float
) -> None:
    """A grating that was removed is shown by the mean, and by what is given back."""
    spacing_mm, columns = (0.8, 0.8), 160
    cycles = round(per_mm * columns * spacing_mm[1])
    wave = grating(cycles / (columns * spacing_mm[1]), axis=1)
    shown = give_back(
        FRACTION * wave,
        wave,
        share=contrast,
        dose_fraction=FRACTION,
        spacing_mm=spacing_mm,
    )
    told = noise_share(
        tuple(wave.shape), spacing_mm, dose_fraction=FRACTION, lesion_contrast=contrast
    )
    assert told.shape == (160, 81)
    assert passed(wave, shown) == pytest.approx(told[0, cycles].item(), abs=0.02)
