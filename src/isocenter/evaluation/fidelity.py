"""PSNR, SSIM and RMSE under named protocols: a score without range and mask compares nothing.

In any unit. The windows of CT are in :mod:`isocenter.evaluation.ct.windows`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.measure import Pair, array_pairs, measure

MaskPolicy = Literal["inside the body", "whole image"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which values count, and where.

    Both images are clipped to [low, high] before anything is measured, RMSE included. The data
    range of PSNR and SSIM is the fixed width of that interval, never taken from an image.

    Attributes:
        name: printed beside every score.
        low, high: the interval.
        unit: of the interval and of the images, as :class:`isocenter.core.volume.Volume` has it.
        mask_policy: "inside the body" of the reference, or "whole image".
    """

    name: str
    low: float
    high: float
    unit: str
    mask_policy: MaskPolicy = "inside the body"

    def __post_init__(self) -> None:
        if not self.high > self.low:
            raise ValueError(f"high must exceed low, got {self.low} and {self.high}")
        if self.mask_policy not in ("inside the body", "whole image"):
            raise ValueError(
                f"mask_policy must be 'inside the body' or 'whole image', got {self.mask_policy!r}"
            )

    @property
    def data_range(self) -> float:
        """Width of the interval."""
        return self.high - self.low

    def mask_of(self, pair: Pair) -> NDArray:
        """Where a pair is scored, (row, column)."""
        return pair.body if self.mask_policy == "inside the body" else pair.valid

    def scale(self, image: NDArray) -> NDArray:
        """Clip to the interval and map it to [0, 1], as float64."""
        clipped = np.clip(np.asarray(image, dtype=np.float64), self.low, self.high)
        return (clipped - self.low) / self.data_range


def stated_range(low: float, high: float, *, unit: str) -> Protocol:
    """The protocol of a range that the user states, over the whole image."""
    return Protocol(name="stated range", low=low, high=high, unit=unit, mask_policy="whole image")


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Scores of one slice or of several pooled.

    Attributes:
        protocol: range and mask of all scores.
        num_voxels: how many were inside the mask.
        sum_squared_error: over these, in the unit squared, clipped to the protocol's interval.
        sum_ssim: sum of the SSIM map over these.
        num_slices: how many slices were pooled.
    """

    protocol: Protocol
    num_voxels: int
    sum_squared_error: float
    sum_ssim: float
    num_slices: int = 1

    @property
    def rmse(self) -> float:
        """Root of the mean squared error over all voxels; NaN for an empty mask."""
        return math.sqrt(_ratio(self.sum_squared_error, self.num_voxels))

    @property
    def psnr_db(self) -> float:
        """Infinite for images that are equal inside the interval and mask."""
        if self.rmse == 0:
            return math.inf
        return 20 * math.log10(self.protocol.data_range / self.rmse)

    @property
    def ssim(self) -> float:
        """Mean of the SSIM map over all voxels; NaN for an empty mask."""
        return _ratio(self.sum_ssim, self.num_voxels)


def slice_fidelity(
    reference: NDArray, test: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> Fidelity:
    """Scores of one (row, column) slice.

    Args:
        mask: voxels that count; None counts all. The caller makes it after
            ``protocol.mask_policy``, from the reference alone.
    """
    _same_shape(reference, test, mask)
    inside = np.ones(reference.shape, bool) if mask is None else np.asarray(mask, bool)
    a, b = protocol.scale(reference), protocol.scale(test)
    error = (b - a)[inside] * protocol.data_range
    return Fidelity(
        protocol=protocol,
        num_voxels=int(inside.sum()),
        sum_squared_error=float(error @ error),
        sum_ssim=float(_ssim_map(a, b)[inside].sum()) if inside.any() else 0.0,
    )


def pool(parts: list[Fidelity]) -> Fidelity:
    """Scores over all voxels of several slices of one protocol."""
    protocols = {part.protocol for part in parts}
    if len(protocols) != 1:
        raise ValueError(f"pooling needs scores of one protocol, got {len(protocols)}")
    return Fidelity(
        protocol=protocols.pop(),
        num_voxels=sum(part.num_voxels for part in parts),
        sum_squared_error=math.fsum(part.sum_squared_error for part in parts),
        sum_ssim=math.fsum(part.sum_ssim for part in parts),
        num_slices=sum(part.num_slices for part in parts),
    )


class FidelityScores:
    """Scores of every slice under each protocol.

    Args:
        protocols: each with its own range and mask.
    """

    def __init__(self, protocols: Sequence[Protocol]) -> None:
        self.protocols = tuple(protocols)
        self._of_slices: list[list[Fidelity]] = [[] for _ in self.protocols]

    def add(self, pair: Pair, /) -> None:
        """Take in one pair."""
        for protocol, parts in zip(self.protocols, self._of_slices, strict=True):
            mask = protocol.mask_of(pair)
            parts.append(slice_fidelity(pair.reference, pair.test, protocol=protocol, mask=mask))

    def of_slices(self) -> tuple[tuple[Fidelity, ...], ...]:
        """For each protocol the scores of each slice."""
        return tuple(tuple(parts) for parts in self._of_slices)

    def result(self) -> tuple[Fidelity, ...]:
        """For each protocol the scores over all voxels."""
        return tuple(pool(parts) for parts in self._of_slices)


def fidelity(
    reference: NDArray, test: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> Fidelity:
    """Scores of a slice (row, column) or of a volume (slice, row, column), slice by slice."""
    _same_shape(reference, test, mask)
    if reference.ndim == 2:
        return slice_fidelity(reference, test, protocol=protocol, mask=mask)
    scores = FidelityScores([replace(protocol, mask_policy="inside the body")])
    measure(array_pairs(reference, test, mask=mask), [scores])
    return replace(scores.result()[0], protocol=protocol)


def rmse(
    reference: NDArray, test: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> float:
    """Root mean squared error in the protocol's unit, both images clipped to its interval."""
    _same_shape(reference, test, mask)
    inside = np.ones(reference.shape, bool) if mask is None else np.asarray(mask, bool)
    error = protocol.scale(test[inside]) - protocol.scale(reference[inside])
    return protocol.data_range * math.sqrt(_ratio(float(error @ error), error.size))


def psnr_db(
    reference: NDArray, test: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> float:
    """Peak signal-to-noise ratio against the protocol's data range; infinite if equal."""
    error = rmse(reference, test, protocol=protocol, mask=mask)
    return math.inf if error == 0 else 20 * math.log10(protocol.data_range / error)


def ssim(
    reference: NDArray, test: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> float:
    """Structural similarity, computed slice by slice in two dimensions, averaged in the mask."""
    return fidelity(reference, test, protocol=protocol, mask=mask).ssim


def _ssim_map(reference: NDArray, test: NDArray) -> NDArray:
    """Wang et al., IEEE Trans. Image Process. 13:600, 2004: Gaussian of 1.5 pixels, 11 x 11."""
    from skimage.metrics import structural_similarity

    if min(reference.shape) < 11:
        raise ValueError(f"SSIM needs at least 11 rows and columns, got {reference.shape}")
    _, similarity = structural_similarity(
        reference,
        test,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return similarity


def _ratio(total: float, count: int) -> float:
    return total / count if count else math.nan


def _same_shape(reference: NDArray, test: NDArray, mask: NDArray | None) -> None:
    if reference.ndim not in (2, 3):
        raise ValueError(f"an image has 2 or 3 axes, got shape {reference.shape}")
    if reference.shape != test.shape or (mask is not None and mask.shape != reference.shape):
        shapes = f"{reference.shape}, {test.shape} and {None if mask is None else mask.shape}"
        raise ValueError(f"reference, test and mask must have one shape, got {shapes}")
