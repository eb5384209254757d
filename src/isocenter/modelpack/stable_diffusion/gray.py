"""Values of an image with a unit, and the color pictures in [-1, 1] that Stable Diffusion knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isocenter.core.checks import check_positive

# Shares of red and blue in what a person sees as brightness.
RED, BLUE = 0.299, 0.114
# Channels of a gray picture differ by the autoencoder's error; beyond this it drew in color.
MOST_DIFFERENCE = 8.0 / 255


@dataclass(frozen=True, kw_only=True)
class GrayScale:
    """What black and white stand for.

    Attributes:
        unit: of values, such as "HU"; "" for gray levels.
        center, width: of the window whose ends are black and white.
    """

    unit: str = ""
    center: float = 127.5
    width: float = 255.0

    def __post_init__(self) -> None:
        check_positive("width", self.width)
        if not np.isfinite(self.center):
            raise ValueError(f"center must be a finite number, got {self.center}")

    @property
    def low(self) -> float:
        """What black stands for."""
        return self.center - self.width / 2

    @property
    def high(self) -> float:
        """What white stands for."""
        return self.center + self.width / 2

    def to_network(self, values: NDArray) -> Tensor:
        """(row, column) values as (1, 3, row, column) float32 in [-1, 1], three equal channels.

        What lies beyond the window becomes its ends.
        """
        picture = torch.from_numpy(self.scaled(values))
        return picture[None, None].expand(1, 3, *picture.shape).contiguous()

    def scaled(self, values: NDArray) -> NDArray[np.float32]:
        """Values of any shape in [-1, 1]; what lies beyond the window becomes its ends."""
        scaled = (np.asarray(values, np.float64) - self.center) / (self.width / 2)
        return np.clip(scaled, -1, 1).astype(np.float32)

    def on_square(self, values: NDArray, size: int) -> NDArray:
        """(row, column) values on ``size`` rows and columns: filled up with black, then resized."""
        rows, columns = values.shape
        if (rows, columns) == (size, size):
            return values
        side = max(rows, columns)
        top, left = (side - rows) // 2, (side - columns) // 2
        square = np.full((side, side), self.low, np.float32)
        square[top : top + rows, left : left + columns] = np.clip(values, self.low, self.high)
        resized = functional.interpolate(
            torch.from_numpy(square)[None, None],
            (size, size),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        return resized[0, 0].numpy()

    def to_values(self, picture: Tensor) -> NDArray:
        """(3, row, column) in [-1, 1] as (row, column) float32 values; color as its brightness.

        Source: ITU-R BT.601 (shares of the colors).
        """
        red, green, blue = picture.detach().cpu().double().clamp(-1, 1)
        gray = green + RED * (red - green) + BLUE * (blue - green)  # exact where all are equal
        values = self.center + gray.numpy() * (self.width / 2)
        return values.astype(np.float32)


def color_difference(picture: Tensor) -> float:
    """How far the channels of (3, row, column) in [-1, 1] lie apart, as a share of the range.

    The mean over the picture of the largest less the smallest.
    """
    channels = picture.detach().float().clamp(-1, 1)
    return float((channels.amax(0) - channels.amin(0)).mean() / 2)
