"""Stage one of CT enhancement: what the standard-dose scan shows on average, and between which
limits.

Axes: B batch, C channel, H row, W column. Images are HU.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from isocenter.image.ct_noise import NUM_BANDS, noise_level_maps
from isocenter.networks.restoration_unet import RestorationUNet

HU_SCALE = 200.0
LOWEST_HU = -1024.0
HIGHEST_HU = 3071.0
_LEAST_LEVEL_HU = 2.0
_LEAST_BAND_HU = 0.2
NUM_ANSWERS = 4
# From the median to the 95 % quantile of a normal variable, in standard deviations.
_TO_QUANTILE = 1.645


@dataclass(frozen=True, kw_only=True)
class MeanAndSpread:
    """What stage one says of a slice, before calibration; all (B, 1, H, W) HU.

    Attributes:
        anatomy: posterior mean of what a scan without noise would show.
        mean: posterior mean of the standard-dose value, which holds a share of the input's noise.
        below, above: distances from the mean down to the 5 % and up to the 95 % quantile.
        noise: standard deviation of the input's noise, as the network sees it.
        level: noise level measured in the input, the unit in which the network answers.
        log_bands: (B, NUM_BANDS, H / 16, W / 16), logarithm of the measured level of each band.
    """

    anatomy: Tensor
    mean: Tensor
    below: Tensor
    above: Tensor
    noise: Tensor
    level: Tensor
    log_bands: Tensor

    def cut(self, rows: int, columns: int) -> MeanAndSpread:
        """The first rows and columns."""
        if self.mean.shape[-2:] == (rows, columns):
            return self
        full_size = (one.name for one in fields(self) if one.name != "log_bands")
        return replace(
            self, **{name: getattr(self, name)[..., :rows, :columns] for name in full_size}
        )


def padded(images_BCHW: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both counts divide by ``multiple``."""
    rows, columns = images_BCHW.shape[-2:]
    pad = (0, -columns % multiple, 0, -rows % multiple)
    return functional.pad(images_BCHW, pad, mode="replicate") if any(pad) else images_BCHW


class CtMeanModel(nn.Module):
    """A network, fed with slices and the noise texture measured in them.

    The network answers in units of the local noise level, so that any dose looks alike to it, and
    answers with the anatomy alone. What a standard dose would add to it follows: the noise of both
    doses is jointly normal with one texture, so a share f of the input's noise, f the dose
    fraction, is the standard dose's best estimate,

        mean = anatomy + f (input - anatomy).

    What is then uncertain are two independent things: a share 1 - f of the anatomy's error, whose
    quantiles the network answers with, and the part of the standard dose's noise that the input
    does not tell, of variance f (1 - f) that of the input's noise, which it answers with too. So
    the interval follows the dose by a law instead of by what doses training happened to show.
    """

    def __init__(self, network: RestorationUNet, *, context: int) -> None:
        super().__init__()
        self.network = network
        self.context = context

    @staticmethod
    def build_network(*, context: int, widths: list[int], blocks: list[int]) -> RestorationUNet:
        """The network that fits: one channel a slice, one for detail, maps of each band."""
        return RestorationUNet(
            in_channels=2 * context + 2,
            map_channels=NUM_BANDS,
            out_channels=NUM_ANSWERS,
            widths=widths,
            blocks=blocks,
        )

    def forward(self, window_BCHW: Tensor, fraction_B: Tensor | None = None) -> MeanAndSpread:
        """Map windows of 2 * context + 1 slices to the middle slice's mean and spread.

        Args:
            window_BCHW: HU.
            fraction_B: dose of the input over the standard dose; 0 where absent.
        """
        rows, columns = window_BCHW.shape[-2:]
        window = padded(window_BCHW, self.network.multiple)
        middle = window[:, self.context : self.context + 1]
        seen = window.clamp(LOWEST_HU, HIGHEST_HU)
        bands = noise_level_maps(seen[:, self.context : self.context + 1])
        level = level_map(bands, window.shape[-2:])
        centre = seen[:, self.context : self.context + 1]
        detail = (centre - functional.avg_pool2d(centre, 5, 1, 2, count_include_pad=False)) / level
        log_bands = (bands.clamp_min(_LEAST_BAND_HU) / 10).log()
        images = torch.cat([seen / HU_SCALE, detail], dim=1)
        answer = self.network(images, log_bands).to(window.dtype)
        below, above, noise = (functional.softplus(answer[:, 1:]) * level).split(1, dim=1)
        anatomy = middle + level * answer[:, :1]
        share = 0.0 if fraction_B is None else fraction_B.view(-1, 1, 1, 1)
        untold = share * (1 - share) * (_TO_QUANTILE * noise).square()
        whole = MeanAndSpread(
            anatomy=anatomy,
            mean=anatomy + share * (middle - anatomy),
            below=_root(((1 - share) * below).square() + untold),
            above=_root(((1 - share) * above).square() + untold),
            noise=noise,
            level=level,
            log_bands=log_bands,
        )
        return whole.cut(rows, columns)


def _root(variance: Tensor) -> Tensor:
    """Square root, limited before as its own slope at zero is infinite."""
    return variance.clamp_min(1e-12).sqrt()


def level_map(bands: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
    """Total noise level at full resolution, (B, 1, H, W) HU, from the levels of the bands."""
    # Limited before the root: where all bands are zero, the root's own slope is infinite.
    total = bands.square().sum(dim=1, keepdim=True).clamp_min(_LEAST_LEVEL_HU**2).sqrt()
    return functional.interpolate(total, tuple(size), mode="bilinear", align_corners=False)
