"""What a network makes of a validation pair, for people."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor

WINDOW_HU = (-160.0, 240.0)
DIFFERENCE_HU = (-60.0, 60.0)


def side_by_side(noisy: Tensor, result: Tensor, target: Tensor) -> NDArray:
    """Input, result, target and result minus target of the first image, (row, column) uint8.

    Args:
        noisy, result, target: (B, 1, row, column) HU, shown from -160 to 240 HU; the difference is
            shown from -60 to 60 HU, so that gray is none.
    """
    panels = [_grey(image[0, 0], WINDOW_HU) for image in (noisy, result, target)]
    panels.append(_grey((result - target)[0, 0], DIFFERENCE_HU))
    picture: NDArray = torch.cat(panels, dim=1).cpu().numpy()
    return picture


def _grey(image: Tensor, window: tuple[float, float]) -> Tensor:
    low, high = window
    return ((image.float() - low) / (high - low) * 255).round().clamp(0, 255).to(torch.uint8)
