"""A KL autoencoder for medical images in two and three dimensions.

Axes: B batch, C channel, then (H row, W column) or (D slice, H row, W column), written ``...``.

MONAI's ``AutoencoderKL`` works on images whose pixels were first folded by two into channels, so
that its finest, most expensive level sees half the rows and columns. Three levels then give f8,
two give f4. Attention is at the coarsest level.

Beside it runs a direct way, one linear layer in and one out, that begins as a block transform: each
latent is a coefficient of the cosine transform of its block, the coarsest ones first. The network
adds little at first and learns what is better, so that a new autoencoder is a usable one already.

Sources: Kingma & Welling, ICLR 2014; Rombach et al., CVPR 2022; Chen et al., ICLR 2025 (shortcuts
without parameters around a deep compression); Ahmed et al., IEEE Trans. Comput. C-23:90, 1974.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from monai.networks.nets.autoencoderkl import AutoencoderKL
from torch import Tensor, nn

# Sizes beyond these are a mistake or an attack: a configuration may come from anywhere.
MOST_CHANNELS = 1024
MOST_LEVELS = 5
MOST_BLOCKS = 8
_FOLD = 2
# Typical deviations, in images from -1 to 1, of the mean of a block and of the coefficient of one
# half wave along it; of f half waves it falls as a power of f. They bring latents near one.
_DEVIATION_OF_MEAN, _DEVIATION_OF_WAVE, _FALL = 0.45, 0.09, 1.3
_FIRST_LOG_VARIANCE = -6.0
_FIRST_SHARE = 0.1  # of what the network would add to the direct way if it began as usual


class LatentDistribution(NamedTuple):
    """A Gaussian for each latent value.

    Attributes:
        mean, deviation: (B, latent_channels, ...), not normalized.
    """

    mean: Tensor
    deviation: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """A latent from standard normal ``noise`` of the same shape."""
        return self.mean + self.deviation * noise

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the standard normal, (B, latent_channels, ...), nats."""
        variance = self.deviation.square()
        return 0.5 * (self.mean.square() + variance - variance.log() - 1)


class Autoencoder(nn.Module):
    """Images to latents and back.

    Args:
        spatial_dims: 2 or 3.
        channels: of each level, from the finest; the last level is the coarsest.
        blocks: residual blocks a level.
        latent_channels: of the latent.
        image_channels: of the image.
        norm_groups: of the group normalization; divides every number of channels.

    Raises:
        ValueError: sizes out of range or that do not fit each other.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        channels: Sequence[int] = (64, 96, 160),
        blocks: int = 1,
        latent_channels: int = 8,
        image_channels: int = 1,
        norm_groups: int = 16,
    ) -> None:
        super().__init__()
        _check(spatial_dims, channels, blocks, latent_channels, image_channels, norm_groups)
        self.config: dict[str, Any] = {
            "spatial_dims": spatial_dims,
            "channels": list(channels),
            "blocks": blocks,
            "latent_channels": latent_channels,
            "image_channels": image_channels,
            "norm_groups": norm_groups,
        }
        self.spatial_dims = spatial_dims
        self.latent_channels = latent_channels
        self.factor = _FOLD * 2 ** (len(channels) - 1)
        folded = image_channels * _FOLD**spatial_dims
        self.network = AutoencoderKL(
            spatial_dims=spatial_dims,
            in_channels=folded,
            out_channels=folded,
            channels=tuple(channels),
            num_res_blocks=blocks,
            attention_levels=(False,) * len(channels),
            latent_channels=latent_channels,
            norm_num_groups=norm_groups,
            use_flash_attention=True,
        )
        kernel = (self.factor,) * spatial_dims
        one = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        other = nn.ConvTranspose2d if spatial_dims == 2 else nn.ConvTranspose3d
        self.direct_in = one(image_channels, latent_channels, kernel, kernel)
        self.direct_out = other(latent_channels, image_channels, kernel, kernel)
        self._begin_as_block_transform()

    def _begin_as_block_transform(self) -> None:
        """Let the network add little yet, and the direct way be a cosine transform.

        Were it nothing at all, no gradient would reach what lies before the last layers.
        """
        last = self.network.decoder.blocks[-1]
        for layer in (last, self.network.quant_conv_mu):
            for parameter in layer.parameters():
                parameter.data.mul_(_FIRST_SHARE)
        for parameter in self.network.quant_conv_log_sigma.parameters():
            parameter.data.mul_(_FIRST_SHARE)
        for name, parameter in self.network.quant_conv_log_sigma.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(parameter, _FIRST_LOG_VARIANCE)
        for way in (self.direct_in, self.direct_out):
            for parameter in way.parameters():
                nn.init.zeros_(parameter)
        waves, deviations = block_waves(
            self.latent_channels, factor=self.factor, spatial_dims=self.spatial_dims
        )
        wide = deviations.view(-1, *[1] * self.spatial_dims)
        pixels = self.factor**self.spatial_dims
        with torch.no_grad():
            self.direct_in.weight[:, 0] = waves / wide / pixels**0.5
            self.direct_out.weight[:, 0] = waves * wide * pixels**0.5

    def encode(self, image: Tensor) -> LatentDistribution:
        """The distribution of latents of images (B, image_channels, ...) in [-1, 1].

        Raises:
            ValueError: an extent that ``factor`` does not divide.
        """
        if any(extent % self.factor for extent in image.shape[2:]):
            raise ValueError(
                f"every extent must be a multiple of {self.factor}, got {tuple(image.shape[2:])}"
            )
        mean, deviation = self.network.encode(folded(image))
        with _exact(image):
            direct = self.direct_in(image.float())
        return LatentDistribution(mean + direct, deviation)

    def decode(self, latent: Tensor) -> Tensor:
        """Images (B, image_channels, ...) of latents (B, latent_channels, ...)."""
        with _exact(latent):
            direct = self.direct_out(latent.float())
        return unfolded(self.network.decode(latent)) + direct

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, LatentDistribution]:
        """Reconstruct images through one draw of their latents."""
        found = self.encode(image)
        return self.decode(found.draw(noise)), found

    def decoder_parameters(self) -> list[nn.Parameter]:
        """What decides an image once the latents are fixed."""
        parts = (self.network.post_quant_conv, self.network.decoder, self.direct_out)
        return [parameter for part in parts for parameter in part.parameters()]

    def latent_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """Extents of the latent of an image with these extents, channels first."""
        return (self.latent_channels, *(extent // self.factor for extent in image_shape))


def block_waves(number: int, *, factor: int, spatial_dims: int) -> tuple[Tensor, Tensor]:
    """The coarsest waves of the cosine transform of a block, and how much images hold of each.

    Args:
        number: of waves; beyond those of a block they are zero.
        factor: pixels along each side of the block.
        spatial_dims: of the block.

    Returns:
        (number, factor, ...) orthonormal waves by rising frequency, and (number,) typical
        deviations of the coefficient over the square root of the pixels of a block.
    """
    places = torch.arange(factor) + 0.5
    waves = torch.stack([torch.cos(torch.pi * k * places / factor) for k in range(factor)])
    waves = waves / waves.norm(dim=1, keepdim=True)
    orders = sorted(
        itertools.product(range(factor), repeat=spatial_dims),
        key=lambda order: (sum(one**2 for one in order), order),
    )[:number]
    found = torch.zeros(number, *[factor] * spatial_dims)
    deviations = torch.ones(number)
    for place, order in enumerate(orders):
        wave = waves[order[0]]
        for one in order[1:]:
            wave = wave[..., None] * waves[one]
        found[place] = wave
        half_waves = sum(one**2 for one in order) ** 0.5
        deviations[place] = (
            _DEVIATION_OF_WAVE * half_waves**-_FALL if half_waves else _DEVIATION_OF_MEAN
        )
    return found, deviations


def _exact(like: Tensor) -> torch.autocast:
    """Half precision is too coarse for what goes straight through."""
    return torch.autocast(like.device.type, enabled=False)


def folded(image: Tensor) -> Tensor:
    """Fold two neighbors along each spatial axis into channels.

    Args:
        image: (B, C, ...), every extent even.

    Returns:
        (B, C * 2^n, ...) of half the extents, n the number of spatial axes.
    """
    dims = image.ndim - 2
    batch, channels, *extents = image.shape
    split = [part for extent in extents for part in (extent // _FOLD, _FOLD)]
    parted = image.reshape(batch, channels, *split)
    order = [0, 1, *range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2)]
    half = [extent // _FOLD for extent in extents]
    return parted.permute(order).reshape(batch, channels * _FOLD**dims, *half)


def unfolded(features: Tensor) -> Tensor:
    """Undo :func:`folded`."""
    dims = features.ndim - 2
    batch, channels, *extents = features.shape
    parted = features.reshape(batch, channels // _FOLD**dims, *[_FOLD] * dims, *extents)
    order = [0, 1, *(axis for k in range(dims) for axis in (2 + dims + k, 2 + k))]
    whole = [extent * _FOLD for extent in extents]
    return parted.permute(order).reshape(batch, channels // _FOLD**dims, *whole)


def _check(
    spatial_dims: int,
    channels: Sequence[int],
    blocks: int,
    latent_channels: int,
    image_channels: int,
    norm_groups: int,
) -> None:
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims is 2 or 3, got {spatial_dims!r}")
    if not 1 <= len(channels) <= MOST_LEVELS:
        raise ValueError(f"1 to {MOST_LEVELS} levels are taken, got {len(channels)}")
    for name, size, most in (
        *(("channels", one, MOST_CHANNELS) for one in channels),
        ("blocks", blocks, MOST_BLOCKS),
        ("latent_channels", latent_channels, MOST_CHANNELS),
        ("image_channels", image_channels, MOST_CHANNELS),
        ("norm_groups", norm_groups, MOST_CHANNELS),
    ):
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= most:
            raise ValueError(f"{name} must be whole and within 1..{most}, got {size!r}")
    if any(one % norm_groups for one in channels):
        raise ValueError(f"norm_groups ({norm_groups}) must divide all channels {list(channels)}")


__all__ = ["Autoencoder", "LatentDistribution", "folded", "unfolded"]
