"""A small network whose features tell images apart: for judging sets, and as a loss.

Axes: B batch, C channel, H row, W column.

Pixel-unshuffle by four comes first, as in the networks that it judges; then levels of residual
bottlenecks, each at half the resolution of the one before. Features of every level count: the
first knows texture, the last knows anatomy. Group normalization sees one image alone, so the
features of an image are the same in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

# Sizes beyond these are a mistake or an attack: a configuration may come from anywhere.
MOST_WIDTH = 1024
MOST_LEVELS = 6
MOST_BLOCKS = 8
FOLD = 4
_GROUPS = 8


class _Bottleneck(nn.Module):
    """Half as many channels inside, which is where the 3 x 3 convolution is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.normalize = nn.GroupNorm(_GROUPS, channels)
        self.narrow = nn.Conv2d(channels, channels // 2, 1)
        self.look = nn.Conv2d(channels // 2, channels // 2, 3, padding=1)
        self.widen = nn.Conv2d(channels // 2, channels, 1)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        hidden = functional.silu(self.narrow(self.normalize(features_BCHW)))
        return features_BCHW + self.widen(functional.silu(self.look(hidden)))


class FeatureNetwork(nn.Module):
    """Features of gray images at several scales.

    Args:
        widths: channels of each level, finest (a quarter of the resolution) first; multiples of 16.
        blocks: bottlenecks of each level.

    Raises:
        ValueError: sizes that make no network that could be meant.
    """

    def __init__(
        self, *, widths: Sequence[int] = (64, 128, 256), blocks: Sequence[int] = (2, 2, 1)
    ) -> None:
        super().__init__()
        _check(widths, blocks)
        self.config: dict[str, Any] = {"widths": list(widths), "blocks": list(blocks)}
        self.stem = nn.Conv2d(FOLD * FOLD, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths)
        )
        self.levels = nn.ModuleList(
            nn.Sequential(*(_Bottleneck(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.settle = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for width in widths)

    @property
    def num_features(self) -> int:
        """Of one image, all levels together."""
        return sum(self.config["widths"])

    @property
    def least_side(self) -> int:
        """Rows and columns that an image needs, so that the coarsest level has four pixels."""
        return 2 * FOLD * 2 ** (len(self.config["widths"]) - 1)

    def maps(self, images_BCHW: Tensor) -> list[Tensor]:
        """Feature maps of each level, finest first.

        Args:
            images_BCHW: (B, 1, H, W) in [-1, 1]; rows and columns of any number from
                ``least_side``. What exceeds a multiple of the coarsest pixel is left out, half of
                it at either border.

        Raises:
            ValueError: another shape.
        """
        features = functional.pixel_unshuffle(self._whole(images_BCHW), FOLD)
        features = self.stem(features.contiguous(memory_format=torch.channels_last))
        found = []
        for number, level in enumerate(self.levels):
            if number:
                features = self.down[number - 1](features)
            features = level(features)
            found.append(functional.silu(self.settle[number](features)))
        return found

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Means of all feature maps, (B, num_features)."""
        return torch.cat([one.mean(dim=(2, 3)) for one in self.maps(images_BCHW)], dim=1)

    def _whole(self, images_BCHW: Tensor) -> Tensor:
        if images_BCHW.ndim != 4 or images_BCHW.shape[1] != 1:
            raise ValueError(f"images must be (B, 1, H, W), got {tuple(images_BCHW.shape)}")
        rows, columns = images_BCHW.shape[-2:]
        if min(rows, columns) < self.least_side:
            raise ValueError(
                f"images need at least {self.least_side} rows and columns, got {rows} x {columns}"
            )
        step = self.least_side // 2
        top, left = rows % step // 2, columns % step // 2
        return images_BCHW[
            ..., top : top + rows // step * step, left : left + columns // step * step
        ]


def _check(widths: Sequence[int], blocks: Sequence[int]) -> None:
    if not 1 <= len(widths) <= MOST_LEVELS or len(blocks) != len(widths):
        raise ValueError(
            f"widths and blocks name 1..{MOST_LEVELS} levels, got {len(widths)} and {len(blocks)}"
        )
    for width in widths:
        if not isinstance(width, int) or not 16 <= width <= MOST_WIDTH or width % 16:
            raise ValueError(f"widths are multiples of 16 up to {MOST_WIDTH}, got {width!r}")
    for count in blocks:
        if not isinstance(count, int) or not 0 <= count <= MOST_BLOCKS:
            raise ValueError(f"blocks are whole and within 0..{MOST_BLOCKS}, got {count!r}")
