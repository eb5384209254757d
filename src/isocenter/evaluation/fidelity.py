"""PSNR, SSIM and RMSE under named protocols: a score without range and mask compares nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MaskPolicy = Literal["inside the body", "whole image"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which values count, and where.

    Both images are clipped to [low_hu, high_hu] before anything is measured, RMSE included. The
    data range of PSNR and SSIM is the fixed width of that interval, never taken from an image.

    Attributes:
        name: printed beside every score.
        low_hu, high_hu: the interval.
        mask_policy: "inside the body" of the reference, or "whole image".
    """

    name: str
    low_hu: float
    high_hu: float
    mask_policy: MaskPolicy = "inside the body"

    def __post_init__(self) -> None:
        if not self.high_hu > self.low_hu:
            raise ValueError(f"high_hu must exceed low_hu, got {self.low_hu} and {self.high_hu}")
        if self.mask_policy not in ("inside the body", "whole image"):
            raise ValueError(
                f"mask_policy must be 'inside the body' or 'whole image', got {self.mask_policy!r}"
            )

    @property
    def data_range_hu(self) -> float:
        """Width of the interval."""
        return self.high_hu - self.low_hu

    def scale(self, image_hu: NDArray) -> NDArray:
        """Clip to the interval and map it to [0, 1], as float64."""
        clipped = np.clip(np.asarray(image_hu, dtype=np.float64), self.low_hu, self.high_hu)
        return (clipped - self.low_hu) / self.data_range_hu


HU_RANGE = Protocol(name="HU range", low_hu=-1000.0, high_hu=1000.0)
CHEST_WINDOW = Protocol(name="chest window 1500/-600", low_hu=-1350.0, high_hu=150.0)
ABDOMEN_WINDOW = Protocol(name="abdomen window 400/40", low_hu=-160.0, high_hu=240.0)
PROTOCOLS = (HU_RANGE, CHEST_WINDOW, ABDOMEN_WINDOW)


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Scores of one slice or of several pooled.

    Attributes:
        protocol: range and mask of all scores.
        num_voxels: how many were inside the mask.
        sum_squared_error_hu2: over these, after clipping to the protocol's interval.
        sum_ssim: sum of the SSIM map over these.
        num_slices: how many slices were pooled.
    """

    protocol: Protocol
    num_voxels: int
    sum_squared_error_hu2: float
    sum_ssim: float
    num_slices: int = 1

    @property
    def rmse_hu(self) -> float:
        """Root of the mean squared error over all voxels; NaN for an empty mask."""
        return math.sqrt(_ratio(self.sum_squared_error_hu2, self.num_voxels))

    @property
    def psnr_db(self) -> float:
        """Infinite for images that are equal inside the interval and mask."""
        if self.rmse_hu == 0:
            return math.inf
        return 20 * math.log10(self.protocol.data_range_hu / self.rmse_hu)

    @property
    def ssim(self) -> float:
        """Mean of the SSIM map over all voxels; NaN for an empty mask."""
        return _ratio(self.sum_ssim, self.num_voxels)


def slice_fidelity(
    reference_hu: NDArray, test_hu: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> Fidelity:
    """Scores of one (row, column) slice.

    Args:
        mask: voxels that count; None counts all. The caller makes it after
            ``protocol.mask_policy``, from the reference alone.
    """
    _same_shape(reference_hu, test_hu, mask)
    inside = np.ones(reference_hu.shape, bool) if mask is None else np.asarray(mask, bool)
    reference, test = protocol.scale(reference_hu), protocol.scale(test_hu)
    error_hu = (test - reference)[inside] * protocol.data_range_hu
    return Fidelity(
        protocol=protocol,
        num_voxels=int(inside.sum()),
        sum_squared_error_hu2=float(error_hu @ error_hu),
        sum_ssim=float(_ssim_map(reference, test)[inside].sum()) if inside.any() else 0.0,
    )


def pool(parts: list[Fidelity]) -> Fidelity:
    """Scores over all voxels of several slices of one protocol."""
    protocols = {part.protocol for part in parts}
    if len(protocols) != 1:
        raise ValueError(f"pooling needs scores of one protocol, got {len(protocols)}")
    return Fidelity(
        protocol=protocols.pop(),
        num_voxels=sum(part.num_voxels for part in parts),
        sum_squared_error_hu2=math.fsum(part.sum_squared_error_hu2 for part in parts),
        sum_ssim=math.fsum(part.sum_ssim for part in parts),
        num_slices=sum(part.num_slices for part in parts),
    )


def fidelity(
    reference_hu: NDArray, test_hu: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> Fidelity:
    """Scores of a slice (row, column) or of a volume (slice, row, column), slice by slice."""
    _same_shape(reference_hu, test_hu, mask)
    if reference_hu.ndim == 2:
        return slice_fidelity(reference_hu, test_hu, protocol=protocol, mask=mask)
    return pool(
        [
            slice_fidelity(
                reference_hu[index],
                test_hu[index],
                protocol=protocol,
                mask=None if mask is None else mask[index],
            )
            for index in range(len(reference_hu))
        ]
    )


def rmse_hu(
    reference_hu: NDArray, test_hu: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> float:
    """Root mean squared error in HU, both images clipped to the protocol's interval."""
    _same_shape(reference_hu, test_hu, mask)
    inside = np.ones(reference_hu.shape, bool) if mask is None else np.asarray(mask, bool)
    error = protocol.scale(test_hu[inside]) - protocol.scale(reference_hu[inside])
    return protocol.data_range_hu * math.sqrt(_ratio(float(error @ error), error.size))


def psnr_db(
    reference_hu: NDArray, test_hu: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> float:
    """Peak signal-to-noise ratio against the protocol's data range; infinite if equal."""
    error_hu = rmse_hu(reference_hu, test_hu, protocol=protocol, mask=mask)
    return math.inf if error_hu == 0 else 20 * math.log10(protocol.data_range_hu / error_hu)


def ssim(
    reference_hu: NDArray, test_hu: NDArray, *, protocol: Protocol, mask: NDArray | None = None
) -> float:
    """Structural similarity, computed slice by slice in two dimensions, averaged in the mask."""
    return fidelity(reference_hu, test_hu, protocol=protocol, mask=mask).ssim


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
