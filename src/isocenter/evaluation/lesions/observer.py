"""Model observers: how well a known signal can be told from noise in an image.

:class:`HotellingObserver` looks at regions of real images, so it also judges non-linear processing.
A prediction from noise power and sharpness cannot: it never sees how a faint lesion is treated.

A smoothed image must not look better than the image it came from. An observer that does not undo
the correlation of noise (contrast-to-noise ratio, the non-prewhitening family) can be fooled so.
The Hotelling observer here cannot, in the limit of complete channels: whatever an invertible blur B
does to signal s and noise covariance K, it sees

    d'^2 = (B s)^T (B K B^T + N)^-1 (B s) = s^T (K + B^-1 N B^-T)^-1 s

and its own white noise N, which comes after the blur, makes every blur cost a little
(B^-1 N B^-T >= N where B nowhere amplifies). docs/detectability.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_INTERNAL_NOISE_HU_MM = 4.0


def difference_of_gaussian_channels(
    radius_mm: NDArray,
    *,
    num_channels: int = 10,
    lowest_per_mm: float = 0.01,
    step: float = 1.4,
    bandwidth: float = 1.67,
) -> NDArray:
    """Dense difference-of-Gaussian channels, each of unit norm.

    Args:
        radius_mm: distance of each pixel from the centre, any shape.
        lowest_per_mm: frequency scale of the first channel; each further one is ``step`` times it.
        bandwidth: ratio of the two Gaussians' widths in frequency.

    Returns:
        (pixels, channels), pixels in the order of ``radius_mm.ravel()``.

    Source: Abbey & Barrett, J. Opt. Soc. Am. A 18:473, 2001 (dense DoG channels, in cycles/mm).
    """
    radius_squared = radius_mm.reshape(-1, 1) ** 2
    inner = lowest_per_mm * step ** np.arange(num_channels)
    return _unit_norm(
        _gaussian_of_frequency_width(radius_squared, bandwidth * inner)
        - _gaussian_of_frequency_width(radius_squared, inner)
    )


def _gaussian_of_frequency_width(radius_squared: NDArray, width_per_mm: NDArray) -> NDArray:
    return width_per_mm**2 * np.exp(-2 * np.pi**2 * width_per_mm**2 * radius_squared)


def _unit_norm(channels: NDArray) -> NDArray:
    return channels / np.linalg.norm(channels, axis=0)


@dataclass(frozen=True, kw_only=True)
class HotellingObserver:
    """A channelized Hotelling observer of one slice, with noise of its own.

    Attributes:
        roi_mm: side of the square region it looks at.
        num_channels, lowest_per_mm, step, bandwidth: its difference-of-Gaussian channels. The
            default reaches 99 % of the ideal observer on 4-10 mm nodules in ramp-filtered noise.
        internal_noise_hu_mm: root of the power of its own white noise, in HU mm. The default is
            about 6 HU a pixel at 0.7 mm: a small part of a full-dose scan's noise.
    """

    roi_mm: float = 25.0
    num_channels: int = 10
    lowest_per_mm: float = 0.01
    step: float = 1.4
    bandwidth: float = 1.67
    internal_noise_hu_mm: float = DEFAULT_INTERNAL_NOISE_HU_MM

    def half_size(self, spacing_mm: tuple[float, float]) -> tuple[int, int]:
        """Rows and columns on each side of the central pixel."""
        return (
            int(self.roi_mm / 2 / spacing_mm[0]),
            int(self.roi_mm / 2 / spacing_mm[1]),
        )

    def channels(self, spacing_mm: tuple[float, float]) -> NDArray:
        """(pixels of the region, channels)."""
        half_rows, half_columns = self.half_size(spacing_mm)
        rows = np.arange(-half_rows, half_rows + 1) * spacing_mm[0]
        columns = np.arange(-half_columns, half_columns + 1) * spacing_mm[1]
        return difference_of_gaussian_channels(
            np.hypot(rows[:, None], columns),
            num_channels=self.num_channels,
            lowest_per_mm=self.lowest_per_mm,
            step=self.step,
            bandwidth=self.bandwidth,
        )

    def internal_covariance(self, spacing_mm: tuple[float, float]) -> NDArray:
        """Covariance that the observer's own noise adds to its channels, HU^2 mm^2."""
        channels = self.channels(spacing_mm)
        return self.internal_noise_hu_mm**2 * channels.T @ channels

    def responses(
        self, image_hu: NDArray, centres: NDArray, *, spacing_mm: tuple[float, float]
    ) -> NDArray:
        """What the channels see around each centre.

        Args:
            image_hu: (row, column).
            centres: (places, 2) integer row and column; the whole region must lie in the image.

        Returns:
            (places, channels) in HU mm, so that scans of different pixel size may be pooled.
        """
        regions = cut_regions(image_hu, centres, half_size=self.half_size(spacing_mm))
        channels = self.channels(spacing_mm) * np.sqrt(spacing_mm[0] * spacing_mm[1])
        return regions.reshape(len(regions), len(channels)) @ channels


def cut_regions(image: NDArray, centres: NDArray, *, half_size: tuple[int, int]) -> NDArray:
    """Regions of (2 half_rows + 1, 2 half_columns + 1) pixels around each centre."""
    rows, columns = half_size
    regions = []
    for row, column in np.asarray(centres, dtype=int).reshape(-1, 2):
        inside = (
            rows <= row < image.shape[0] - rows and columns <= column < image.shape[1] - columns
        )
        if not inside:
            raise ValueError(
                f"a region of {2 * rows + 1} x {2 * columns + 1} pixels around {(row, column)} "
                f"leaves the image of {image.shape}; choose places further from its border"
            )
        regions.append(image[row - rows : row + rows + 1, column - columns : column + columns + 1])
    return np.array(regions, dtype=np.float64).reshape(-1, 2 * rows + 1, 2 * columns + 1)


@dataclass(frozen=True, kw_only=True)
class DetectabilityEstimate:
    """d' of each task, and what is needed to set an interval around it.

    Attributes:
        d_squared: (tasks,) corrected for the bias of finite samples; may be negative by chance.
        optimism: (tasks,) what that correction took away.
        template: (tasks, channels) the observer's weights.
    """

    d_squared: NDArray
    optimism: NDArray
    template: NDArray

    @property
    def d_prime(self) -> NDArray:
        """(tasks,), zero where nothing was seen."""
        return np.sqrt(np.maximum(self.d_squared, 0))


def hotelling_estimate(
    present: NDArray,
    absent: NDArray,
    *,
    task: NDArray | None = None,
    internal_covariance: NDArray | float = 0.0,
    weight: NDArray | None = None,
) -> DetectabilityEstimate:
    """d' of one or several tasks that share a background, free of the small-sample bias.

    The plain estimate D^2 = m^T K^-1 m, with m the mean difference and K the pooled covariance, is
    too large: K is taken from n samples, m has noise of its own. For normal channel outputs
    ``(n - p - 1) / n * D^2 - trace(K^-1 cov(m))`` is not (Wunderlich et al., IEEE Trans. Med.
    Imaging 34:453, 2015, for independent samples). Here cov(m) comes from pairs of the same place,
    and n falls from 2 to 1 a place as the two members of a pair share their noise.

    Args:
        present, absent: (places, channels), row i of both the same place, with and without lesion.
        task: (places,) integers 0..tasks-1, which lesion was at each place; all 0 where None.
        internal_covariance: from :meth:`HotellingObserver.internal_covariance`.
        weight: (places,) how often each place counts, for the bootstrap.

    Raises:
        ValueError: too few places for the number of channels.
    """
    num_places, num_channels = present.shape
    task = np.zeros(num_places, dtype=int) if task is None else task
    weight = np.ones(num_places) if weight is None else weight
    if num_places < 2 * num_channels:
        raise ValueError(
            f"{num_places} places are too few for {num_channels} channels; give at least "
            f"{2 * num_channels}, by more slices or repeats"
        )
    member = (task == np.arange(task.max() + 1)[:, None]) * weight  # (tasks, places)
    count = np.maximum(member.sum(axis=1), 1)
    difference = present - absent
    mean_difference = member @ difference / count[:, None]
    spread = difference - mean_difference[task]
    background = absent - np.average(absent, axis=0, weights=weight)
    with_lesion = background + spread
    covariance = (_scatter(background, weight) + _scatter(with_lesion, weight)) / 2
    inverse = np.linalg.inv(covariance + internal_covariance)
    samples = weight.sum() * _samples_per_pair(background, with_lesion, weight, covariance)
    channels_in_use = np.trace(inverse @ covariance)  # those not drowned by internal noise
    plain = np.einsum("tc,cd,td->t", mean_difference, inverse, mean_difference)
    noise_of_mean = np.trace(inverse @ _scatter(spread, weight)) / count
    shrink = max(1 - (channels_in_use + 1) / samples, 0.0)
    corrected = shrink * (plain - noise_of_mean)
    return DetectabilityEstimate(
        d_squared=corrected, optimism=plain - corrected, template=mean_difference @ inverse
    )


def _scatter(values: NDArray, weight: NDArray) -> NDArray:
    return (values * weight[:, None]).T @ values / max(weight.sum() - 1, 1)


def _samples_per_pair(
    background: NDArray, with_lesion: NDArray, weight: NDArray, covariance: NDArray
) -> float:
    """Two independent samples a pair, one where both show the same noise."""
    cross = (background * weight[:, None]).T @ with_lesion / max(weight.sum() - 1, 1)
    solved = np.linalg.pinv(covariance)
    shared = np.trace(solved @ cross @ solved @ cross.T) / len(covariance)
    return float(2 / (1 + min(shared, 1.0)))


def bootstrap_d_squared(
    present: NDArray,
    absent: NDArray,
    *,
    draws: NDArray,
    task: NDArray | None = None,
    internal_covariance: NDArray | float = 0.0,
) -> NDArray:
    """d'^2 of each task in each bootstrap draw, (draws, tasks), around the unbiased estimate.

    A draw repeats places and so adds the small-sample bias a second time; that much is taken off.

    Args:
        draws: (draws, places) how often each place counts. Give the same ones for two kinds of
            processing of the same places, and their ratio has an interval too.
    """
    whole = hotelling_estimate(present, absent, task=task, internal_covariance=internal_covariance)
    drawn = [
        hotelling_estimate(
            present, absent, task=task, internal_covariance=internal_covariance, weight=weight
        ).d_squared
        for weight in draws
    ]
    return np.array(drawn) - whole.optimism


def held_out_auc(
    present: NDArray,
    absent: NDArray,
    *,
    task: NDArray | None = None,
    internal_covariance: NDArray | float = 0.0,
    num_folds: int = 5,
) -> NDArray:
    """Area under the ROC curve of each task (tasks,), at places that the template never saw.

    Needs no assumption on the distribution. It says the same as d' for normal outputs
    (AUC = Phi(d' / sqrt 2)), a little less as the template comes from fewer places, and saturates.
    NaN for a task with fewer places than folds.
    """
    task = np.zeros(len(present), dtype=int) if task is None else task
    areas = np.full(task.max() + 1, np.nan)
    fold = np.array([np.sum(task[:i] == kind) for i, kind in enumerate(task)]) % num_folds
    templates = [
        hotelling_estimate(
            present[fold != k],
            absent[fold != k],
            task=task[fold != k],
            internal_covariance=internal_covariance,
        ).template
        for k in range(num_folds)
    ]
    for number in np.flatnonzero(np.bincount(task) >= num_folds):
        margins = []
        for k, template in enumerate(templates):
            held = (fold == k) & (task == number)
            weights = template[number]
            margins.append((present[held] @ weights)[:, None] - absent[held] @ weights)
        margin = np.concatenate([part.ravel() for part in margins])
        areas[number] = np.mean(margin > 0) + 0.5 * np.mean(margin == 0)
    return areas
