from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isocenter.networks.feature_network import FeatureNetwork
from isocenter.networks.image_classifier import ImageClassifier
from isocenter.networks.image_embedding import ImageEmbedding

SMALL: dict[str, Any] = {"widths": (16, 32, 48), "blocks": (1, 0, 1)}


def frozen(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("shape", [(64, 64), (65, 70), (100, 64)])
def test_images_of_any_size_have_as_many_features(shape: tuple[int, int]) -> None:
    network = FeatureNetwork(**SMALL)
    assert network(drawn(2, 1, *shape)).shape == (2, network.num_features) == (2, 96)


def test_features_are_the_same_in_any_batch() -> None:
    network = frozen(FeatureNetwork(**SMALL))
    images = drawn(3, 1, 64, 64)
    together = network(images)
    alone = torch.cat([network(image[None]) for image in images])
    assert together == pytest.approx(alone, abs=1e-5)


def test_the_shipped_size_is_well_under_a_million() -> None:
    assert sum(each.numel() for each in FeatureNetwork().parameters()) < 600_000


def test_what_exceeds_whole_pixels_is_left_out_at_both_borders() -> None:
    network = frozen(FeatureNetwork(**SMALL))
    image = drawn(1, 1, 64, 64)
    framed = torch.nn.functional.pad(image, (3, 4, 5, 6), value=0.7)
    assert network(framed) == pytest.approx(network(image), abs=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        {"widths": (), "blocks": ()},
        {"widths": (20,), "blocks": (1,)},
        {"widths": (16,), "blocks": (1, 1)},
        {"widths": (16,), "blocks": (99,)},
        {"widths": (16.0,), "blocks": (1,)},
        {"widths": (10**6,), "blocks": (1,)},
    ],
)
def test_sizes_that_cannot_be_meant_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        FeatureNetwork(**config)


@pytest.mark.parametrize("shape", [(1, 2, 64, 64), (64, 64), (1, 1, 16, 64)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="images"):
        FeatureNetwork(**SMALL)(drawn(*shape))


@pytest.mark.parametrize("make", [FeatureNetwork, ImageEmbedding])
def test_a_config_makes_the_same_network(make: Any) -> None:
    network = make(**SMALL)
    again = make(**network.config)
    again.load_state_dict(network.state_dict())
    assert again.config == network.config


def test_an_embedding_is_a_unit_vector_whatever_the_size() -> None:
    network = frozen(ImageEmbedding(channels=8, side=64, grid=2, **SMALL))
    image = drawn(1, 1, 8, 8).repeat_interleave(16, 2).repeat_interleave(16, 3)
    found = network(image)
    assert found.shape == (1, 8)
    assert found.norm(dim=1) == pytest.approx(1.0, abs=1e-5)
    half = network(torch.nn.functional.avg_pool2d(image, 2))
    assert float((found * half).sum()) > 0.99


@pytest.mark.parametrize("setting", [{"side": 8}, {"grid": 0}, {"channels": 10**7}])
def test_an_embedding_that_cannot_be_meant_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        ImageEmbedding(**SMALL, **setting)


def test_a_classifier_has_one_logit_a_class() -> None:
    network = ImageClassifier(num_classes=3, **SMALL)
    assert network(drawn(2, 1, 64, 64)).shape == (2, 3)
    assert ImageClassifier(**network.config).config == network.config


@pytest.mark.parametrize("count", [1, 0, 10**6, True])
def test_a_classifier_needs_classes(count: int) -> None:
    with pytest.raises(ValueError, match="num_classes"):
        ImageClassifier(num_classes=count, **SMALL)
