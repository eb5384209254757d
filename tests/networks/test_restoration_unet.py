from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from isocenter.networks.restoration_unet import RestorationUNet, time_embedding


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def with_drawn_weights(network: RestorationUNet) -> RestorationUNet:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return network


@pytest.mark.parametrize(
    "config",
    [
        {"widths": (5,), "blocks": 1},
        {"widths": (5, 7), "blocks": (2, 0)},
        {"widths": (4, 6, 9), "blocks": 1, "map_channels": 3, "out_channels": 2},
        {"widths": (3, 4, 5, 6, 7), "blocks": 1, "time_channels": 6},
    ],
)
def test_images_come_out_at_the_size_they_went_in(config: dict[str, Any]) -> None:
    network = RestorationUNet(in_channels=3, **config)
    rows, columns = 2 * network.multiple, network.multiple
    maps = config.get("map_channels", 0)
    found = network(
        drawn(2, 3, rows, columns),
        drawn(2, maps, rows // 16, columns // 16) if maps else None,
        torch.tensor([0.2, 0.7]) if config.get("time_channels") else None,
    )
    assert found.shape == (2, config.get("out_channels", 1), rows, columns)


def test_a_new_network_answers_zero() -> None:
    network = RestorationUNet(in_channels=1, widths=(6, 8), time_channels=4)
    assert not network(drawn(1, 1, 32, 16), None, torch.tensor([0.3])).any()


def test_time_matters_once_the_network_has_learned() -> None:
    """At first each block passes its input on; one step of descent makes it heed the time."""
    network = with_drawn_weights(RestorationUNet(in_channels=1, widths=(6, 8), time_channels=8))
    of_time = [weight for name, weight in network.named_parameters() if "scale_shift" in name]
    image, times = drawn(2, 1, 16, 16), torch.tensor([0.1, 0.9])

    def apart() -> float:
        early, late = (network(image, None, torch.full((2,), time)) for time in (0.1, 0.9))
        return (early - late).abs().max().item()

    with torch.no_grad():
        for weight in of_time:
            weight.zero_()
    assert apart() == 0
    error = (network(image, None, times) - times.view(-1, 1, 1, 1) * image).square().mean()
    with torch.no_grad():
        for weight, slope in zip(of_time, torch.autograd.grad(error, of_time), strict=True):
            weight.sub_(slope / slope.norm())
    assert apart() > 1e-3


def test_maps_and_images_decide_the_answer() -> None:
    network = with_drawn_weights(RestorationUNet(in_channels=1, map_channels=2, widths=(4, 6)))
    image, maps = drawn(1, 1, 32, 32), drawn(1, 2, 2, 2, seed=1)
    answer = network(image, maps)
    assert not torch.allclose(answer, network(image, maps + 1))
    assert not torch.allclose(answer, network(image + 1, maps))


def test_images_of_a_batch_do_not_see_each_other() -> None:
    network = with_drawn_weights(RestorationUNet(in_channels=1, widths=(4, 6)))
    images = drawn(3, 1, 32, 32)
    alone = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(network(images), alone, atol=1e-5)


def test_the_configuration_builds_the_same_network() -> None:
    network = with_drawn_weights(
        RestorationUNet(in_channels=2, map_channels=1, widths=(4, 6), blocks=2, time_channels=4)
    )
    again = RestorationUNet(**network.config)
    again.load_state_dict(network.state_dict())
    inputs = drawn(1, 2, 16, 16), drawn(1, 1, 1, 1), torch.tensor([0.5])
    assert again.config == network.config
    assert torch.equal(again(*inputs), network(*inputs))


def test_refuses_blocks_for_another_number_of_levels() -> None:
    with pytest.raises(ValueError, match="blocks names 3 levels, widths 2"):
        RestorationUNet(in_channels=1, widths=(4, 6), blocks=(1, 1, 1))


@pytest.mark.parametrize(("levels", "multiple"), [(1, 16), (4, 16), (5, 32)])
def test_deep_networks_need_larger_multiples(levels: int, multiple: int) -> None:
    assert RestorationUNet(in_channels=1, widths=(2,) * levels).multiple == multiple


def test_times_are_told_apart_by_their_embedding() -> None:
    times = torch.linspace(0, 1, 9)
    embedded = time_embedding(times, 16)
    assert embedded.shape == (9, 16)
    assert torch.allclose(embedded.square().sum(dim=1), torch.full((9,), 8.0), atol=1e-4)
    apart = torch.cdist(embedded, embedded) + 9 * torch.eye(9)
    assert apart.min() > 0.5


def test_limits_bound_what_a_block_may_amplify() -> None:
    torch.manual_seed(0)
    network = RestorationUNet(in_channels=1, widths=(4, 6), blocks=(1, 1)).eval()
    block = network.residual_blocks()[0]
    with torch.no_grad():
        for layer in (block.first, block.second):
            layer.weight.mul_(0).add_(torch.randn_like(layer.weight) * 20)
        network.head.weight.normal_()
    images = torch.randn(1, 1, 16, 16)
    wild = network(images).abs().max()
    limits = np.tile([3.0, 2.0], (len(network.residual_blocks()), 1))
    network.limit_features(limits)
    seen: list[float] = []
    for one in network.residual_blocks():
        one.register_forward_hook(lambda _, __, features: seen.append(features.abs().max().item()))
    assert network(images).abs().max() < 0.1 * wild
    assert len(seen) == len(network.residual_blocks())
    assert max(seen) <= 2.0


def test_limits_beyond_all_features_change_nothing_and_are_kept() -> None:
    torch.manual_seed(0)
    network = RestorationUNet(in_channels=1, widths=(4, 6), blocks=(1, 1)).eval()
    with torch.no_grad():
        network.head.weight.normal_()
    images = torch.randn(1, 1, 16, 16)
    free = network(images)
    network.limit_features(np.full((len(network.residual_blocks()), 2), 1e4))
    assert torch.equal(network(images), free)
    again = RestorationUNet(**network.config)
    assert [block.limits for block in again.residual_blocks()] == [
        block.limits for block in network.residual_blocks()
    ]


def test_limits_of_the_wrong_number_are_refused() -> None:
    network = RestorationUNet(in_channels=1, widths=(4, 6), blocks=(1, 1))
    with pytest.raises(ValueError, match=r"limits must be \(3, 2\)"):
        network.limit_features(np.ones((2, 2)))


@pytest.mark.parametrize(
    "config",
    [
        {"in_channels": 0},
        {"in_channels": 2.0},
        {"in_channels": True},
        {"widths": ()},
        {"widths": (4,) * 9},
        {"widths": (10**9,)},
        {"widths": (4, 6), "blocks": (1, 33)},
        {"blocks": -1},
        {"map_channels": -1},
        {"out_channels": 0},
        {"time_channels": 10**9},
        {"widths": (4,), "limits": [[1.0, float("nan")]]},
        {"widths": (4,), "limits": [[0.0, 1.0]]},
    ],
)
def test_sizes_that_make_no_network_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RestorationUNet(**{"in_channels": 1} | config)


def test_a_network_may_count_in_double_precision() -> None:
    network = with_drawn_weights(RestorationUNet(in_channels=1, widths=(4,), time_channels=4))
    image, time = drawn(1, 1, 16, 16), torch.tensor([0.4])
    single = network(image, None, time)
    double = network.double()(image.double(), None, time.double())
    assert double.dtype == torch.float64
    assert torch.allclose(single.double(), double, atol=1e-5)
