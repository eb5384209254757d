from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isocenter.networks.feature_network import FeatureNetwork
from isocenter.training.generator.feature_loss import feature_loss


@pytest.fixture
def network() -> FeatureNetwork:
    torch.manual_seed(0)
    return FeatureNetwork(widths=(16, 32), blocks=(1, 1)).eval().requires_grad_(False)


def drawn(seed: int) -> Tensor:
    return torch.rand((2, 1, 32, 32), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_equal_images_lose_nothing(network: FeatureNetwork) -> None:
    assert float(feature_loss(network, drawn(0), drawn(0))) == pytest.approx(0, abs=1e-9)


def test_it_is_symmetric_and_grows_with_what_differs(network: FeatureNetwork) -> None:
    a, b = drawn(0), drawn(1)
    near = a + 0.1 * (b - a)
    assert feature_loss(network, a, b) == pytest.approx(float(feature_loss(network, b, a)))
    assert 0 < feature_loss(network, a, near) < feature_loss(network, a, b) < 4


def test_gradients_reach_the_image_and_not_the_network(network: FeatureNetwork) -> None:
    image = drawn(0).requires_grad_(True)
    feature_loss(network, image, drawn(1)).backward()
    assert image.grad is not None
    assert bool(image.grad.abs().sum() > 0)
    assert all(each.grad is None for each in network.parameters())


def test_following_it_makes_images_alike(network: FeatureNetwork) -> None:
    image, wanted = drawn(0).requires_grad_(True), drawn(1)
    before = float(feature_loss(network, image, wanted).detach())
    optimizer = torch.optim.Adam([image], lr=0.05)
    for _ in range(10):
        optimizer.zero_grad()
        feature_loss(network, image, wanted).backward()
        optimizer.step()
    assert float(feature_loss(network, image, wanted).detach()) < 0.8 * before


def test_images_must_be_pairs(network: FeatureNetwork) -> None:
    with pytest.raises(ValueError, match="pairs"):
        feature_loss(network, drawn(0), drawn(0)[:1])
