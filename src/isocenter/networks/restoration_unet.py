"""A U-Net for restoring full-resolution images on a processor without a GPU.

Axes: B batch, C channel, H row, W column.

Pixel-unshuffle by two comes first, so that even the finest level works on half the rows and
columns; few wide levels follow, without normalization layers, which cost as much as the
convolutions on a CPU and hide the absolute level that Hounsfield units carry. A time embedding
makes the same network a denoiser for a bridge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

# Sizes beyond these are a mistake or an attack: a configuration may come from anywhere.
MOST_CHANNELS = 4096
MOST_LEVELS = 8
MOST_BLOCKS = 32


def _check_sizes(name: str, sizes: Sequence[int], least: int, most: int) -> None:
    for size in sizes:
        whole = isinstance(size, int) and not isinstance(size, bool)
        if not whole or not least <= size <= most:
            raise ValueError(f"{name} must be whole and within {least}..{most}, got {size!r}")


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, time_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        _silence(self.second)
        self.scale_shift = nn.Linear(time_channels, 2 * channels) if time_channels else None
        self.limits: tuple[float, float] | None = None
        if self.scale_shift is not None:
            _silence(self.scale_shift)

    def forward(self, features_BCHW: Tensor, time: Tensor | None) -> Tensor:
        hidden = self.first(features_BCHW)
        if self.scale_shift is not None:
            scale, shift = self.scale_shift(time)[:, :, None, None].chunk(2, dim=1)
            hidden = hidden * (1 + scale) + shift
        if self.limits is None:
            return features_BCHW + self.second(functional.silu(hidden))
        inside, after = self.limits
        hidden = functional.silu(hidden.clamp(-inside, inside))
        return (features_BCHW + self.second(hidden)).clamp(-after, after)


class _Level(nn.ModuleList):
    """Residual blocks one after the other."""

    def forward(self, features_BCHW: Tensor, time: Tensor | None) -> Tensor:
        for block in self:
            features_BCHW = block(features_BCHW, time)
        return features_BCHW


def _silence(layer: nn.Module) -> None:
    """Let a layer answer zero, so that training begins at the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def time_embedding(time_B: Tensor, channels: int) -> Tensor:
    """Sinusoidal embedding of a time in [0, 1], (B, channels).

    Source: Vaswani et al., NeurIPS 2017, section 3.5, as used in Ho et al., NeurIPS 2020.
    """
    half = channels // 2
    frequency = torch.exp(-math.log(1000.0) * torch.arange(half, device=time_B.device) / half)
    phase = 1000.0 * time_B[:, None].float() * frequency[None]
    return torch.cat([phase.sin(), phase.cos()], dim=1)


class RestorationUNet(nn.Module):
    """Map images and coarse maps to images of the same size.

    Args:
        in_channels: images at full resolution.
        map_channels: maps at one sixteenth of the resolution, such as noise levels.
        out_channels: images that come out.
        widths: channels of each level, finest (half resolution) first.
        blocks: residual blocks of each level, on the way down and again on the way up; one number
            for all levels or one for each.
        time_channels: size of the time embedding; 0 for a network without time.
        limits: see :meth:`limit_features`.

    Raises:
        ValueError: sizes that are no whole numbers, do not fit each other or make no network that
            could be meant.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        map_channels: int = 0,
        out_channels: int = 1,
        widths: Sequence[int] = (48, 96, 128, 160),
        blocks: int | Sequence[int] = 1,
        time_channels: int = 0,
        limits: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        counts = [blocks] * len(widths) if isinstance(blocks, int) else list(blocks)
        _check_sizes("in_channels", [in_channels], 1, MOST_CHANNELS)
        _check_sizes("map_channels", [map_channels], 0, MOST_CHANNELS)
        _check_sizes("out_channels", [out_channels], 1, MOST_CHANNELS)
        _check_sizes("number of widths", [len(widths)], 1, MOST_LEVELS)
        _check_sizes("widths", widths, 1, MOST_CHANNELS)
        _check_sizes("blocks", counts, 0, MOST_BLOCKS)
        _check_sizes("time_channels", [time_channels], 0, MOST_CHANNELS)
        if len(counts) != len(widths):
            raise ValueError(f"blocks names {len(counts)} levels, widths {len(widths)}")
        if time_channels % 2:
            raise ValueError(f"time_channels must be even, got {time_channels}")
        self.config: dict[str, Any] = {
            "in_channels": in_channels,
            "map_channels": map_channels,
            "out_channels": out_channels,
            "widths": list(widths),
            "blocks": counts,
            "time_channels": time_channels,
        }
        self.time_channels = time_channels
        self.embed = (
            nn.Sequential(
                nn.Linear(time_channels, time_channels),
                nn.SiLU(),
                nn.Linear(time_channels, time_channels),
                nn.SiLU(),
            )
            if time_channels
            else None
        )
        self.stem = nn.Conv2d(4 * in_channels + map_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairwise(widths))
        self.descent = nn.ModuleList(
            _Level(_ResidualBlock(width, time_channels) for _ in range(count))
            for width, count in zip(widths, counts, strict=True)
        )
        self.ascent = nn.ModuleList(
            _Level(_ResidualBlock(width, time_channels) for _ in range(count))
            for width, count in zip(widths[:-1], counts[:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4 * out_channels, 3, padding=1)
        _silence(self.head)
        if limits is not None:
            self.limit_features(np.array(limits))

    def residual_blocks(self) -> list[_ResidualBlock]:
        """All of them, the way down before the way up."""
        return [block for block in self.modules() if isinstance(block, _ResidualBlock)]

    def limit_features(self, limits: NDArray) -> None:
        """Cut features at what real scans gave, so that the network cannot run away on others.

        Without normalization layers a block may amplify a pattern that it never met in training a
        hundredfold, and the next one again. Within the limits nothing changes.

        Args:
            limits: (blocks, 2), largest magnitude inside and after each residual block.

        Raises:
            ValueError: another shape, or a limit that is not positive.
        """
        blocks = self.residual_blocks()
        if limits.shape != (len(blocks), 2):
            raise ValueError(f"limits must be ({len(blocks)}, 2), got {limits.shape}")
        if not (limits > 0).all():  # also refuses NaN
            raise ValueError(f"limits must be positive, got a least one of {limits.min()}")
        pairs = [(round(float(inside), 2), round(float(after), 2)) for inside, after in limits]
        for block, pair in zip(blocks, pairs, strict=True):
            block.limits = pair
        self.config["limits"] = [list(pair) for pair in pairs]

    @property
    def multiple(self) -> int:
        """Rows and columns must be divisible by this."""
        return max(16, 2 ** len(self.config["widths"]))

    def forward(
        self, images_BCHW: Tensor, maps_BCHW: Tensor | None = None, time_B: Tensor | None = None
    ) -> Tensor:
        """Images (B, in_channels, H, W), maps (B, map_channels, H / 16, W / 16), time (B,)."""
        if (self.embed is None) != (time_B is None):
            raise ValueError("time_B belongs to a network with time_channels, and only to one")
        time = None
        if self.embed is not None and time_B is not None:
            time = self.embed(time_embedding(time_B, self.time_channels).to(images_BCHW.dtype))
        features = functional.pixel_unshuffle(images_BCHW, 2)
        if maps_BCHW is not None:
            size = features.shape[-2:]
            maps = functional.interpolate(maps_BCHW, size, mode="bilinear", align_corners=False)
            features = torch.cat([features, maps], dim=1)
        features = features.contiguous(memory_format=torch.channels_last)
        features = self.stem(features)
        skips = []
        for number, level in enumerate(self.descent):
            if number:
                skips.append(features)
                features = self.down[number - 1](features)
            features = level(features, time)
        for number in reversed(range(len(self.ascent))):
            features = skips.pop() + functional.pixel_shuffle(self.up[number](features), 2)
            features = self.ascent[number](features, time)
        return functional.pixel_shuffle(self.head(features), 2)
