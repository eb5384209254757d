"""A vector for each image, near to that of its altered copies and far from all others.

Axes: B batch, C channel, H row, W column.

Images are brought to one small size, so that a copy is found whatever its size; maps are pooled on
a grid and not over the whole image, because where things lie tells one patient from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as functional
from torch import Tensor, nn

from isocenter.networks.feature_network import FeatureNetwork

MOST_CHANNELS = 1024
MOST_SIDE = 512
MOST_GRID = 16


class ImageEmbedding(nn.Module):
    """Unit vectors of gray images.

    Args:
        channels: length of the vectors.
        side: rows and columns that every image is brought to.
        grid: cells a side that the coarsest maps are pooled in.
        widths, blocks: of the :class:`~isocenter.networks.feature_network.FeatureNetwork` inside.

    Raises:
        ValueError: sizes that make no network that could be meant.
    """

    def __init__(
        self,
        *,
        channels: int = 64,
        side: int = 96,
        grid: int = 3,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 1, 2),
    ) -> None:
        super().__init__()
        for name, size, most in (
            ("channels", channels, MOST_CHANNELS),
            ("side", side, MOST_SIDE),
            ("grid", grid, MOST_GRID),
        ):
            if not isinstance(size, int) or not 1 <= size <= most:
                raise ValueError(f"{name} is whole and within 1..{most}, got {size!r}")
        self.features = FeatureNetwork(widths=widths, blocks=blocks)
        if side < self.features.least_side:
            raise ValueError(f"side is at least {self.features.least_side}, got {side}")
        self.config: dict[str, Any] = {
            "channels": channels,
            "side": side,
            "grid": grid,
            **self.features.config,
        }
        self.project = nn.Linear(grid * grid * widths[-1], channels)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Unit vectors, (B, channels), of images (B, 1, H, W) in [-1, 1] of any size."""
        side, grid = self.config["side"], self.config["grid"]
        if tuple(images_BCHW.shape[-2:]) != (side, side):
            images_BCHW = functional.interpolate(
                images_BCHW, (side, side), mode="bilinear", align_corners=False, antialias=True
            )
        coarsest = self.features.maps(images_BCHW)[-1]
        cells = functional.adaptive_avg_pool2d(coarsest, grid).flatten(1)
        return functional.normalize(self.project(cells), dim=1)
