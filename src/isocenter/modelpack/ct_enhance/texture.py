"""Stage two of CT enhancement: the texture that a standard-dose scan would have, by a short bridge.

Axes: B batch, C channel, H row, W column. Images are HU.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from isocenter.diffusion.bridge import MeanBridgeScheduler
from isocenter.image.ct_noise import NUM_BANDS
from isocenter.image.spectrum import filtered, frequency_per_mm, low_pass_gain, radial_power
from isocenter.modelpack.ct_enhance.mean import HU_SCALE, MeanAndSpread, padded
from isocenter.networks.restoration_unet import RestorationUNet
from isocenter.physics.noise_texture import direction_windows

# A 90 % interval of a normal variable is this many standard deviations wide.
_INTERVAL_WIDTH = 3.29
_LEAST_SPREAD_HU = 1.0
_NUM_BINS = 48
_BODY_HU = -950.0
# Below, anatomy that stage one took for noise outweighs the noise, which reconstruction's ramp has
# all but taken away; and what is drawn there looks like lesions, not like texture.
COARSE_END_PER_MM = 0.1
# Taken where the spacing is not known, as in training: 0.1 cycles per mm in pixels of 0.7 mm.
_COARSE_END_PER_PIXEL = 0.07
_COARSE_BINS = 10
# Local power is a mean over squares of 8 pixels, five a side.
_DIRECTION_POOL, _DIRECTION_SMOOTH = 8, 5
_MOST_REMOVED = 4.0


def spread_hu(estimate: MeanAndSpread) -> Tensor:
    """Posterior standard deviation, smoothed so that dividing by it makes no pattern of its own."""
    deviation = (estimate.below + estimate.above) / _INTERVAL_WIDTH
    smooth = functional.avg_pool2d(deviation, 9, 1, 4, count_include_pad=False)
    return smooth.clamp_min(_LEAST_SPREAD_HU)


def radial_colour(
    removed_BCHW: Tensor, inside_BCHW: Tensor, coarse_end: float = _COARSE_END_PER_PIXEL
) -> Tensor:
    """Radial amplitude spectrum of the noise that stage one took away, (B, _NUM_BINS).

    The same kernel coloured the noise of the standard dose, so this is the colour to start from.
    Frequencies run evenly from 0 to the corner of the Fourier plane. Below ``coarse_end``, in
    cycles per pixel, power falls in proportion to the frequency at least, as the ramp of
    reconstruction makes it.
    """
    masked = (removed_BCHW - removed_BCHW.mean(dim=(-2, -1), keepdim=True)) * inside_BCHW
    power = radial_power(masked, _bins(masked.shape, masked.device), _NUM_BINS)
    return _below_ramp(power, int(coarse_end / _CORNER * _NUM_BINS)).clamp_min(1e-12).sqrt()


def _below_ramp(power_BN: Tensor, first: int) -> Tensor:
    """Power that before the bin ``first`` is at most what a ramp up to there allows."""
    if first < 1:
        return power_BN
    places = torch.arange(first).to(power_BN) + 0.5
    level = power_BN[:, first : first + 3].mean(dim=1, keepdim=True)
    ramp = level * places / (first + 1.5)
    return torch.cat([torch.minimum(power_BN[:, :first], ramp), power_BN[:, first:]], dim=1)


def coloured_noise(white_BCHW: Tensor, colour: Tensor, directions: Tensor | None = None) -> Tensor:
    """White noise filtered to a radial amplitude spectrum, scaled to unit variance.

    Args:
        white_BCHW: one channel.
        colour: (B, _NUM_BINS), as :func:`radial_colour` gives it.
        directions: (B, NUM_DIRECTIONS, H, W), how much of the power runs in each direction at each
            place, of mean one over the directions; evenly in all where absent.
    """
    shape = white_BCHW.shape[-2:]
    gain = colour[:, _bins(shape, white_BCHW.device)]
    gain = gain.view(len(white_BCHW), 1, shape[0], shape[1] // 2 + 1).clone()
    gain[..., 0, 0] = 0  # the mean is not for the noise to move
    if directions is None:
        noise = filtered(white_BCHW, gain)
    else:
        parts = filtered(white_BCHW, gain * _windows(tuple(shape)).to(gain))
        noise = (parts * directions.sqrt()).sum(dim=1, keepdim=True)
    return noise / noise.std(dim=(-2, -1), keepdim=True).clamp_min(1e-6)


def local_directions(removed_BCHW: Tensor, inside_BCHW: Tensor) -> Tensor:
    """How much of the removed noise's power runs in each direction at each place.

    Streaks of noise behind bone and shoulders point one way, and so must the texture that takes
    their place. Half the resolution is enough to see them.

    Args:
        removed_BCHW: one channel, in units of its local deviation.
        inside_BCHW: 1 where it counts.

    Returns:
        (B, NUM_DIRECTIONS, H, W), of mean one over the directions.
    """
    size = removed_BCHW.shape[-2:]
    seen = removed_BCHW.clamp(-_MOST_REMOVED, _MOST_REMOVED) * inside_BCHW
    half = functional.avg_pool2d(seen, 2, ceil_mode=True)
    rows, columns = half.shape[-2:]
    frequency = frequency_per_mm(half.shape, (1.0, 1.0), device=half.device)
    fine = 1 - low_pass_gain(frequency, 2 * _COARSE_END_PER_PIXEL)
    parts = filtered(half, fine * _windows((rows, columns)).to(half))
    pool = _DIRECTION_POOL // 2
    power = functional.avg_pool2d(parts.square(), pool, ceil_mode=True)
    side = min(_DIRECTION_SMOOTH, *(2 * (count // 2) - 1 for count in power.shape[-2:]))
    if side > 1:
        power = functional.avg_pool2d(power, side, 1, side // 2, count_include_pad=False)
    # A little of every direction, so that where nothing was removed all count alike.
    power = power + 0.02 * power.mean(dim=(1, 2, 3), keepdim=True) + 1e-6
    share = power / power.mean(dim=1, keepdim=True)
    return functional.interpolate(share, size, mode="bilinear", align_corners=False)


@lru_cache(maxsize=4)
def _windows(shape: tuple[int, int]) -> Tensor:
    return torch.from_numpy(direction_windows(shape))


_CORNER = 0.7072


def _bins(shape: torch.Size | tuple[int, ...], device: torch.device) -> Tensor:
    radius = frequency_per_mm(shape, (1.0, 1.0), device=device).flatten() / _CORNER
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

    def start(
        self,
        white: Tensor,
        *,
        middle: Tensor,
        estimate: MeanAndSpread,
        coarse_end: float = _COARSE_END_PER_PIXEL,
    ) -> Tensor:
        """Noise of the colour and the directions that stage one removed, of unit variance."""
        spread = spread_hu(estimate)
        inside = _inside(estimate.mean)
        removed = (middle - estimate.mean) / spread
        colour = radial_colour(removed, inside, coarse_end)
        return coloured_noise(white, colour, local_directions(removed, inside))

    def residual(
        self,
        white: Tensor,
        *,
        middle: Tensor,
        estimate: MeanAndSpread,
        steps: int,
        coarse_end: float = _COARSE_END_PER_PIXEL,
    ) -> Tensor:
        """What one image of the posterior differs by from stage one's mean, (B, 1, H, W) HU.

        Args:
            white: white noise of the slice's shape.
            middle: the slice as it came.
            estimate: what stage one says of it.
            steps: of the bridge.
            coarse_end: where noise too coarse to be drawn begins, cycles per pixel.
        """
        rows, columns = middle.shape[-2:]
        multiple = self.network.multiple
        names = ("anatomy", "mean", "below", "above", "noise", "level")
        full = replace(
            estimate, **{name: padded(getattr(estimate, name), multiple) for name in names}
        )
        middle = padded(middle, multiple)
        noise = self.start(
            padded(white, multiple), middle=middle, estimate=full, coarse_end=coarse_end
        )
        found = self.scheduler.sample(
            lambda state, time_B: self.velocity(state, time_B, middle=middle, estimate=full),
            noise,
            steps=steps,
        )
        return (spread_hu(full) * found)[..., :rows, :columns]

    def sample(
        self, white: Tensor, *, middle: Tensor, estimate: MeanAndSpread, steps: int
    ) -> Tensor:
        """One image of the posterior, (B, 1, H, W) HU, from white noise of the same shape."""
        return estimate.mean + self.residual(white, middle=middle, estimate=estimate, steps=steps)


def without_coarse_excess(
    residual_BCHW: Tensor,
    *,
    removed_BCHW: Tensor,
    mean_BCHW: Tensor,
    share: float | Tensor,
    spacing_mm: tuple[float, float],
) -> Tensor:
    """A sample's residual with no more coarse power than the standard dose's noise has left.

    What a network draws below 0.1 cycles per mm is no texture but blobs the size of lesions. A
    standard dose has a share of the input's noise there, and the mean shows a part of that already;
    only the rest may be drawn.

    Args:
        residual_BCHW: sample minus mean, one channel, HU.
        removed_BCHW: input minus anatomy, HU: the input's noise, as far as it can be seen. Anatomy
            in it is kept out by the ramp, from the level between 0.1 and 0.15 cycles per mm down.
        mean_BCHW: tells where the patient is.
        share: of the power of the input's noise that may be drawn; a number, or one for each
            coefficient of a real FFT.
        spacing_mm: row and column spacing.

    Returns:
        The residual, unchanged from 0.1 cycles per mm on.
    """
    frequency = frequency_per_mm(residual_BCHW.shape, spacing_mm, device=residual_BCHW.device)
    place = frequency / COARSE_END_PER_MM * _COARSE_BINS
    # Which gain is needed counts as a constant, as what calibrates the interval does.
    with torch.no_grad():
        ratio = _noise_over_drawn(residual_BCHW, removed_BCHW, _inside(mean_BCHW), place.long())
        allowed = ratio[:, place.long().clamp_max(_COARSE_BINS - 1)]
        allowed = (allowed * torch.as_tensor(share).to(ratio)).clamp_max(1.0)
        gain = torch.where(place < _COARSE_BINS, allowed, 1.0).sqrt()[:, None]
        gain[..., 0, 0] = 0
    return filtered(residual_BCHW, gain)


def _noise_over_drawn(drawn: Tensor, removed: Tensor, inside: Tensor, place: Tensor) -> Tensor:
    """Power of the input's noise over that of what was drawn, (B, _COARSE_BINS)."""
    top = _COARSE_BINS + _COARSE_BINS // 2
    bins = place.clamp_max(top).flatten()
    given = radial_power(_centred(removed, inside), bins, top + 1)
    level = given[:, _COARSE_BINS:top].mean(dim=1, keepdim=True)
    ramp = level * (torch.arange(_COARSE_BINS).to(level) + 0.5) / (_COARSE_BINS + 2.5)
    noise = torch.minimum(given[:, :_COARSE_BINS], ramp)
    power = radial_power(_centred(drawn, inside), bins, top + 1)[:, :_COARSE_BINS]
    return noise / power.clamp_min(1e-9)


def _centred(images_BCHW: Tensor, inside_BCHW: Tensor) -> Tensor:
    """Without the mean inside, and zero outside."""
    count = inside_BCHW.sum(dim=(-2, -1), keepdim=True).clamp_min(1)
    mean = (images_BCHW * inside_BCHW).sum(dim=(-2, -1), keepdim=True) / count
    return (images_BCHW - mean) * inside_BCHW


def _inside(mean_BCHW: Tensor) -> Tensor:
    smooth = functional.avg_pool2d(mean_BCHW, 9, 1, 4, count_include_pad=False)
    return (smooth > _BODY_HU).to(mean_BCHW)
