"""How unlike two images are to a feature network: a loss that sees texture, not only values."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from isocenter.networks.feature_network import FeatureNetwork


def feature_loss(network: FeatureNetwork, a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of feature vectors of unit length, averaged over pixels and levels.

    As in LPIPS, but by our own network and without weights of channels. The network is to be frozen
    (``requires_grad_(False)``); gradients reach both images.

    Args:
        a, b: (B, 1, H, W) in [-1, 1].

    Returns:
        A scalar, 0 for equal images and at most 4.

    Source: Zhang et al., CVPR 2018, equation 1.
    """
    if a.shape != b.shape:
        raise ValueError(f"images have shapes {tuple(a.shape)} and {tuple(b.shape)}; give pairs")
    both = network.maps(torch.cat([a, b]))
    parts = []
    for maps in both:
        unit = functional.normalize(maps.float(), dim=1, eps=1e-6)
        first, second = unit.chunk(2)
        parts.append((first - second).square().sum(dim=1).mean())
    return torch.stack(parts).mean()
