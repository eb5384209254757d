"""Stage two of CT enhancement: the texture that a standard-dose scan would have, by a short bridge.

Axes: B batch, C channel, H row, W column. Images are HU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.image.ct_noise import NUM_BANDS
from isocenter.modelpack.ct_enhance.mean import HU_SCALE, MeanAndSpread, padded
from isocenter.networks.restoration_unet import RestorationUNet

# A 90 % interval of a normal variable is this many standard deviations wide.
_INTERVAL_WIDTH = 3.29
_LEAST_SPREAD_HU = 1.0
_NUM_BINS = 48
_BODY_HU = -950.0


def spread_hu(estimate: MeanAndSpread) -> Tensor:
    """Posterior standard deviation, smoothed so that dividing by it makes no pattern of its own."""
    deviation = (estimate.below + estimate.above) / _INTERVAL_WIDTH
    smooth = functional.avg_pool2d(deviation, 9, 1, 4, count_include_pad=False)
    return smooth.clamp_min(_LEAST_SPREAD_HU)


def radial_colour(removed_BCHW: Tensor, inside_BCHW: Tensor) -> Tensor:
    """Radial amplitude spectrum of the noise that stage one took away, (B, _NUM_BINS).

    The same kernel coloured the noise of the standard dose, so this is the colour to start from.
    Frequencies run evenly from 0 to the corner of the Fourier plane.
    """
    masked = (removed_BCHW - removed_BCHW.mean(dim=(-2, -1), keepdim=True)) * inside_BCHW
    power = torch.fft.rfft2(masked).abs().square().flatten(1)
    bins = _bins(removed_BCHW.shape[-2:], removed_BCHW.device)
    total = power.new_zeros(len(power), _NUM_BINS).index_add(1, bins, power)
    count = power.new_zeros(_NUM_BINS).index_add(0, bins, torch.ones_like(power[0]))
    radial = total / count.clamp_min(1)
    return radial.clamp_min(1e-12).sqrt()


def coloured_noise(white_BCHW: Tensor, colour: Tensor) -> Tensor:
    """White noise filtered to a radial amplitude spectrum, scaled to unit variance."""
    shape = white_BCHW.shape[-2:]
    gain = colour[:, _bins(shape, white_BCHW.device)]
    gain = gain.view(len(white_BCHW), 1, shape[0], shape[1] // 2 + 1)
    noise = torch.fft.irfft2(torch.fft.rfft2(white_BCHW) * gain, s=tuple(shape))
    return noise / noise.std(dim=(-2, -1), keepdim=True).clamp_min(1e-6)


def _bins(shape: torch.Size | tuple[int, ...], device: torch.device) -> Tensor:
    rows = torch.fft.fftfreq(shape[-2], device=device)[:, None]
    columns = torch.fft.rfftfreq(shape[-1], device=device)[None]
    radius = torch.hypot(rows, columns).flatten() / 0.7072
    return (radius * _NUM_BINS).long().clamp_max(_NUM_BINS - 1)


class CtTextureModel(nn.Module):
    """The bridge's network, fed with the mean, the removed noise and the measured texture."""

    def __init__(self, network: RestorationUNet, *, scheduler: MeanBridgeScheduler) -> None:
        super().__init__()
        self.network = network
        self.scheduler = scheduler

    @staticmethod
    def build_network(
        *, widths: list[int], blocks: list[int], time_channels: int
    ) -> RestorationUNet:
        """The network that fits: state, mean and removed noise as channels."""
        return RestorationUNet(
            in_channels=3,
            map_channels=NUM_BANDS,
            out_channels=1,
            widths=widths,
            blocks=blocks,
            time_channels=time_channels,
        )

    def velocity(
        self, state: Tensor, time_B: Tensor, *, middle: Tensor, estimate: MeanAndSpread
    ) -> Tensor:
        """Velocity of the normalized residual at a time, (B, 1, H, W)."""
        removed = (middle - estimate.mean) / estimate.level
        images = torch.cat([state, estimate.mean / HU_SCALE, removed], dim=1)
        return self.network(images, estimate.log_bands, time_B).to(estimate.mean.dtype)

    def start(self, white: Tensor, *, middle: Tensor, estimate: MeanAndSpread) -> Tensor:
        """Noise of the colour that stage one removed, of unit variance."""
        spread = spread_hu(estimate)
        smooth = functional.avg_pool2d(estimate.mean, 9, 1, 4, count_include_pad=False)
        removed = (middle - estimate.mean) / spread
        return coloured_noise(white, radial_colour(removed, smooth > _BODY_HU))

    def sample(
        self, white: Tensor, *, middle: Tensor, estimate: MeanAndSpread, steps: int
    ) -> Tensor:
        """One image of the posterior, (B, 1, H, W) HU, from white noise of the same shape."""
        rows, columns = middle.shape[-2:]
        multiple = self.network.multiple
        full = MeanAndSpread(
            **{
                name: padded(getattr(estimate, name), multiple)
                for name in ("anatomy", "mean", "below", "above", "level")
            },
            log_bands=estimate.log_bands,
        )
        middle = padded(middle, multiple)
        noise = self.start(padded(white, multiple), middle=middle, estimate=full)
        residual = self.scheduler.sample(
            lambda state, time_B: self.velocity(state, time_B, middle=middle, estimate=full),
            noise,
            steps=steps,
        )
        image = full.mean + spread_hu(full) * residual
        return image[..., :rows, :columns]
