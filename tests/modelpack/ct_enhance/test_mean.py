from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from isocenter.image.ct_noise import noise_level_maps
from isocenter.modelpack.ct_enhance.mean import (
    HU_SCALE,
    NUM_ANSWERS,
    CtMeanModel,
    level_map,
    padded,
)


def window(*shape: int, context: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 40 + 20 * torch.randn((2, 2 * context + 1, *shape), generator=generator)


def new_model(*, context: int = 1) -> CtMeanModel:
    """As before the first step of training: the network answers zero."""
    network = CtMeanModel.build_network(context=context, widths=[4, 6], blocks=[1, 1])
    return CtMeanModel(network, context=context)


def drawn_model(*, seed: int = 3) -> CtMeanModel:
    model = new_model()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return model.eval().requires_grad_(False)


class ShrinkingNetwork(nn.Module):
    """Answers the anatomy ``share`` times the image, and a spread."""

    multiple = 16

    def __init__(self, *, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, images: Tensor, log_bands: Tensor) -> Tensor:
        middle = HU_SCALE * images[:, :1]
        change = (self.share - 1) * middle / level_map(noise_level_maps(middle), middle.shape[-2:])
        return torch.cat([change, *[torch.zeros_like(change)] * (NUM_ANSWERS - 1)], dim=1)


@pytest.mark.parametrize("shape", [(64, 48), (130, 117), (17, 33)])
@pytest.mark.parametrize("context", [0, 1, 2])
def test_a_network_that_answers_zero_leaves_the_image_as_it_is(
    shape: tuple[int, int], context: int
) -> None:
    image = window(*shape, context=context)
    for fraction in (None, torch.tensor([0.1, 0.6])):
        estimate = new_model(context=context)(image, fraction)
        assert torch.equal(estimate.anatomy, image[:, context : context + 1])
        assert torch.equal(estimate.mean, image[:, context : context + 1])
    for part in (estimate.below, estimate.above, estimate.level):
        assert part.shape == (2, 1, *shape)
        assert (part > 0).all()


@pytest.mark.parametrize("shape", [(64, 48), (33, 50)])
def test_the_mean_adds_the_standard_doses_share_of_the_noise(shape: tuple[int, int]) -> None:
    """Each image its own share: mean = anatomy + f (input - anatomy)."""
    model, image = drawn_model(), window(*shape)
    fraction = torch.tensor([0.1, 0.6])
    estimate, without = model(image, fraction), model(image)
    removed = image[:, 1:2] - estimate.anatomy
    assert removed.abs().mean() > 0.1
    assert torch.equal(estimate.mean, estimate.anatomy + fraction.view(2, 1, 1, 1) * removed)
    for name in ("anatomy", "noise", "level", "log_bands"):
        assert torch.equal(getattr(estimate, name), getattr(without, name))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_the_interval_holds_the_anatomys_error_and_the_noise_that_is_not_told(
    fraction: float,
) -> None:
    """A share 1 - f of the one, f (1 - f) of the variance of the other; nothing at the dose."""
    model, image = drawn_model(), window(33, 50)
    found, without = model(image, torch.full((2,), fraction)), model(image)
    untold = fraction * (1 - fraction) * (1.645 * without.noise).square()
    for name in ("below", "above"):
        error = (1 - fraction) * getattr(without, name)
        wanted = (error.square() + untold).sqrt()
        assert torch.allclose(getattr(found, name), wanted, rtol=1e-4, atol=1e-5)


def test_the_untold_noise_is_what_the_standard_dose_adds_to_its_best_estimate() -> None:
    """Known anatomy: standard minus share times input has that variance."""
    fraction, standard_hu = 0.25, 10.0
    generator = torch.Generator().manual_seed(2)
    standard, further = (
        hu * torch.randn(200_000, generator=generator)
        for hu in (standard_hu, standard_hu * (1 / fraction - 1) ** 0.5)
    )
    left = standard - fraction * (standard + further)
    noise_hu = standard_hu / fraction**0.5
    assert left.std().item() == pytest.approx(
        noise_hu * (fraction * (1 - fraction)) ** 0.5, rel=0.01
    )


def test_without_a_fraction_the_mean_is_the_anatomy() -> None:
    model, image = drawn_model(), window(33, 50)
    for fraction in (None, torch.zeros(2)):
        estimate = model(image, fraction)
        assert torch.equal(estimate.mean, estimate.anatomy)


def test_at_the_standard_dose_the_mean_is_the_input() -> None:
    image = window(33, 50)
    assert torch.allclose(drawn_model()(image, torch.ones(2)).mean, image[:, 1:2], atol=1e-4)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("anatomy_hu", [5.0, 20.0])
def test_the_share_of_least_error_is_the_dose_fraction(fraction: float, anatomy_hu: float) -> None:
    """Normal anatomy in white noise, whose posterior mean is the input shrunk."""
    standard_hu = 12.0
    generator = torch.Generator().manual_seed(6)
    anatomy, standard, further = (
        hu * torch.randn((4, 1, 128, 128), generator=generator)
        for hu in (anatomy_hu, standard_hu, standard_hu * (1 / fraction - 1) ** 0.5)
    )
    target = anatomy + standard
    share = anatomy_hu**2 / (anatomy_hu**2 + standard_hu**2 / fraction)
    model = CtMeanModel(ShrinkingNetwork(share=share), context=0)  # type: ignore[arg-type]
    estimate = model(target + further)
    assert torch.allclose(estimate.anatomy, share * (target + further), atol=1e-2)
    shares = torch.linspace(0, 1, 21)
    errors = [
        (model(target + further, one.expand(4)).mean - target).square().mean() for one in shares
    ]
    best = shares[torch.stack(errors).argmin()].item()
    assert best == pytest.approx(fraction, abs=0.01)
    of_target, of_input = (anatomy_hu**2 + standard_hu**2 / dose for dose in (1, fraction))
    least = of_target - of_target**2 / of_input  # variance of the target once the input is seen
    assert min(errors).item() == pytest.approx(least, rel=0.02)


@pytest.mark.parametrize("value", [-3024.0, -1024.0, 3071.0, 20000.0])
def test_values_outside_the_range_of_ct_pass_through(value: float) -> None:
    image = window(32, 32)
    image[:, :, :8, :8] = value
    estimate = new_model()(image, torch.tensor([0.1, 0.6]))
    assert torch.equal(estimate.mean, image[:, 1:2])
    assert torch.equal(estimate.anatomy, image[:, 1:2])
    assert torch.isfinite(estimate.above).all()


def test_the_network_answers_in_units_of_the_noise() -> None:
    """Spread and change grow with the noise for the same answer."""
    model = new_model()
    with torch.no_grad():
        assert model.network.head.bias is not None
        model.network.head.bias.fill_(1.0)
    flat = torch.full((1, 3, 64, 64), 40.0)
    noise = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    quiet, loud = (model(flat + level * noise) for level in (10, 30))
    for name in ("level", "below", "above"):
        assert torch.allclose(getattr(loud, name), 3 * getattr(quiet, name), rtol=1e-3)
    changes = [
        found.mean - (flat + level * noise)[:, 1:2] for found, level in ((quiet, 10), (loud, 30))
    ]
    assert torch.allclose(changes[1], 3 * changes[0], rtol=1e-3, atol=1e-3)
    assert torch.allclose(changes[0], quiet.level, rtol=1e-3)


def test_neighbours_count_but_only_the_middle_is_measured() -> None:
    model = drawn_model()
    image = window(32, 32)
    other = image.clone()
    other[:, 0] += 100 * torch.randn(image[:, 0].shape, generator=torch.Generator().manual_seed(4))
    assert torch.equal(model(image).level, model(other).level)
    assert not torch.allclose(model(image).mean, model(other).mean)


def test_padding_repeats_the_edge_and_spares_what_fits() -> None:
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert padded(image, 4).tolist() == [[[[0, 1, 2, 2], [3, 4, 5, 5]] + [[3, 4, 5, 5]] * 2]]
    assert padded(padded(image, 4), 4).shape == (1, 1, 4, 4)


def test_total_level_adds_the_bands_as_variances() -> None:
    bands = torch.tensor([3.0, 4.0, 0.0, 12.0]).view(1, 4, 1, 1).expand(1, 4, 2, 3)
    assert torch.allclose(level_map(bands, (32, 48)), torch.full((1, 1, 32, 48), 13.0))
    assert level_map(torch.zeros(1, 4, 1, 1), (16, 16)).min() > 0


def test_total_level_is_limited_before_its_root_and_the_same_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(3)
    bands = 10 ** (4 * torch.rand((8, 4, 40, 40), generator=generator) - 3)
    bands[torch.rand(bands.shape, generator=generator) < 0.3] = 0
    bands[0] = torch.linspace(0.99999, 1.00001, 1600).view(40, 40)  # a sum at the limit itself
    after_root = bands.square().sum(dim=1, keepdim=True).sqrt().clamp_min(2.0)
    bands.requires_grad_()
    level = level_map(bands, (40, 40))
    assert torch.equal(level, after_root)
    level.sum().backward()
    assert bands.grad is not None
    assert bool(torch.isfinite(bands.grad).all())
