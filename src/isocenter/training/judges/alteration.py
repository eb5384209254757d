"""Images altered as a memorized copy, or another scan of the same thing, would be.

What is drawn and what is applied are two steps, so that any altered image can be made again.
Axes: B batch, C channel, H row, W column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from isocenter.core.checks import check_least, check_share

_NODES = 5  # a side of the grid that small bends are drawn on


@dataclass(frozen=True, kw_only=True)
class AlterationSettings:
    """The largest change of each kind; what is drawn lies evenly between none and this.

    Attributes:
        zoom: a share; 0.15 shows from 15 % less to 15 % more.
        shift: as a fraction of the image.
        turn_deg: in the plane.
        bend: of the nodes of a coarse grid, as a fraction of the image.
        mirror: chance of left and right exchanged.
        contrast: a share of the values' distance from their middle.
        brightness: in the images' own units, which run from -1 to 1.
        gamma: largest exponent, whose inverse is the smallest.
        noise: standard deviation, in the images' own units.
        blur: largest standard deviation of a Gaussian, in pixels.
    """

    zoom: float = 0.15
    shift: float = 0.06
    turn_deg: float = 8.0
    bend: float = 0.015
    mirror: float = 0.5
    contrast: float = 0.2
    brightness: float = 0.1
    gamma: float = 1.3
    noise: float = 0.05
    blur: float = 1.0

    def __post_init__(self) -> None:
        for name in ("zoom", "shift", "bend", "mirror", "contrast"):
            check_share(name, getattr(self, name))
        for name in ("turn_deg", "brightness", "noise", "blur"):
            check_least(name, getattr(self, name), 0)
        check_least("gamma", self.gamma, 1)


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """What was drawn for a batch.

    Attributes:
        affine: (B, 2, 3), as ``torch.nn.functional.affine_grid`` takes it.
        bend: (B, 2, nodes, nodes) in units of half the image.
        contrast, brightness, gamma, noise, blur: (B,).
        noise_seed: of the noise itself.
    """

    affine: Tensor
    bend: Tensor
    contrast: Tensor
    brightness: Tensor
    gamma: Tensor
    noise: Tensor
    blur: Tensor
    noise_seed: int


def drawn_alteration(
    count: int, settings: AlterationSettings, generator: torch.Generator
) -> Alteration:
    """Draw what is done to so many images."""

    def even(*shape: int) -> Tensor:
        return 2 * torch.rand(count, *shape, generator=generator) - 1

    angle = torch.deg2rad(settings.turn_deg * even())
    scale = 1 + settings.zoom * even()
    sign = 1 - 2 * (torch.rand(count, generator=generator) < settings.mirror).float()
    shift = 2 * settings.shift * even(2)
    rows = [
        torch.stack([sign * scale * angle.cos(), -scale * angle.sin(), shift[:, 0]], dim=1),
        torch.stack([sign * scale * angle.sin(), scale * angle.cos(), shift[:, 1]], dim=1),
    ]
    return Alteration(
        affine=torch.stack(rows, dim=1),
        bend=2 * settings.bend * even(2, _NODES, _NODES),
        contrast=1 + settings.contrast * even(),
        brightness=settings.brightness * even(),
        gamma=(math.log(settings.gamma) * even()).exp(),
        noise=settings.noise * even().abs(),
        blur=settings.blur * even().abs(),
        noise_seed=int(torch.randint(2**31, (1,), generator=generator)),
    )


def altered(images_BCHW: Tensor, alteration: Alteration) -> Tensor:
    """Apply what was drawn to (B, 1, H, W) in [-1, 1]; beyond the border its pixels go on."""
    size = list(images_BCHW.shape)
    grid = functional.affine_grid(alteration.affine, size, align_corners=False)
    bend = functional.interpolate(
        alteration.bend, tuple(size[-2:]), mode="bicubic", align_corners=True
    )
    grid = grid + bend.permute(0, 2, 3, 1)
    moved = functional.grid_sample(
        images_BCHW, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    unit = ((_blurred(moved, alteration.blur) + 1) / 2).clamp(0, 1)
    bright = 2 * unit.pow(_of_image(alteration.gamma)) - 1
    changed = bright * _of_image(alteration.contrast) + _of_image(alteration.brightness)
    generator = torch.Generator().manual_seed(alteration.noise_seed)
    noise = torch.randn(changed.shape, generator=generator)
    return (changed + _of_image(alteration.noise) * noise).clamp(-1, 1)


def _of_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _blurred(images_BCHW: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian of a width of its own for each image, rows and then columns."""
    reach = max(1, math.ceil(3 * float(sigma.max())))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (steps / sigma.clamp_min(0.05)[:, None]).square())
    weights = weights / weights.sum(dim=1, keepdim=True)
    batch = len(images_BCHW)
    stacked = functional.pad(images_BCHW.transpose(0, 1), (reach,) * 4, mode="replicate")
    along_rows = functional.conv2d(stacked, weights.view(batch, 1, 1, -1), groups=batch)
    both = functional.conv2d(along_rows, weights.view(batch, 1, -1, 1), groups=batch)
    return both.transpose(0, 1)
