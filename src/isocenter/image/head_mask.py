"""Where a head is in an MR image, and roughly where its brain is: no network, no template.

What can be said honestly: the head mask is dependable, as air gives next to no signal. The brain
mask is a peeled head: it finds what the dark skull separates from the scalp, and is meant for
statistics that bear some wrong voxels (normalization, the points of a registration), not for
volumes of tissue. Its overlap with masks made by others is measured in ``docs/mr_inputs.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry, Volume

_COARSE_MM = 3.0
_SMOOTHING_MM = 2.0
_CLOSING_MM = 8.0
# Skull over the brain is 4 to 9 mm thick, so an opening of this radius cuts what bridges it.
_BRIDGE_MM = 7.0
_DEEP_MM = 25.0
_SCALP_MM = 15.0
_SKIN_MM = 3.0
_DARKEST, _BRIGHTEST = 0.5, 1.6  # of the brain's median
_LEAST_HEAD_ML = 200.0
_BINS = 256


def head_mask(volume: Volume) -> NDArray:
    """What is not air: the largest body in the image, with all that it encloses.

    Args:
        volume: an MR image of any contrast, of a whole head or of one without its skull.

    Returns:
        Bool, of the volume's shape.

    Raises:
        UnsuitableScan: nothing in it is as large as a part of a head.
    """
    coarse, factors = _coarse(volume)
    body = _body(coarse, _steps_mm(volume.geometry, factors))
    mask = _fine(body, volume.array.shape, factors)
    if mask.sum() * _voxel_ml(volume.geometry) < _LEAST_HEAD_ML:
        raise UnsuitableScan(
            f"the image shows no body of {_LEAST_HEAD_ML:g} mL or more above its background, so "
            "there is no head in it; give an MR image of a head",
            reason="body_part",
        )
    return mask


def brain_mask(volume: Volume, head: NDArray | None = None) -> NDArray:
    """Roughly the brain: what the dark skull separates from the scalp.

    Args:
        volume: T1, T2, PD or FLAIR, with or without skull.
        head: as :func:`head_mask` gives it, made here where it is not given.

    Returns:
        Bool, of the volume's shape; a subset of the head.

    Raises:
        UnsuitableScan: as :func:`head_mask`.
    """
    head = head_mask(volume) if head is None else head
    coarse, factors = _coarse(volume)
    steps = _steps_mm(volume.geometry, factors)
    inside = _shrunk(head.astype(np.float32), factors) > 0.5
    peeled = _peeled(coarse, inside, steps)
    return _fine(peeled, volume.array.shape, factors) & head


def _peeled(values: NDArray, head: NDArray, steps_mm: NDArray) -> NDArray:
    depth = depth_mm(head, steps_mm)
    deep = head & (depth > min(_DEEP_MM, 0.7 * float(depth.max())))
    inner = float(np.median(values[deep]))
    # Bone and air are dark in all contrasts, fat under the skin is bright in most.
    is_fat = (values > _BRIGHTEST * inner) & (depth < _SCALP_MM)
    tissue = head & (values > _DARKEST * inner) & ~is_fat
    cores = _eroded(tissue & (depth > _SKIN_MM), _BRIDGE_MM / 2, steps_mm)
    labels, count = ndimage.label(cores)
    if not count:
        return head
    # The brain is the core that lies deepest, weighted by its size.
    weights = ndimage.sum_labels(depth**2, labels, np.arange(1, count + 1))
    core = labels == 1 + int(np.argmax(weights))
    grown = _dilated(core, _BRIDGE_MM / 2 + 1.0, steps_mm) & tissue
    return _filled_slices(_closed(grown, _CLOSING_MM, steps_mm) & head)


def depth_mm(head: NDArray, steps_mm: NDArray | tuple[float, float, float]) -> NDArray:
    """How far inside the head each voxel lies, 0 outside; the stack's ends are no surface."""
    depth: NDArray = ndimage.distance_transform_edt(_padded(head), sampling=steps_mm)[_INNER]
    return depth


_INNER = (slice(1, -1),) * 3


def _padded(mask: NDArray) -> NDArray:
    """With a border of the nearest slice above and below, of nothing at the sides."""
    ends = np.pad(mask, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return np.pad(ends, ((0, 0), (1, 1), (1, 1)))


def _body(values: NDArray, steps_mm: NDArray) -> NDArray:
    smooth = ndimage.gaussian_filter(values, _SMOOTHING_MM / steps_mm / 2)
    bright = smooth > air_limit(smooth)
    closed = _closed(bright, _CLOSING_MM, steps_mm)
    labels, count = ndimage.label(closed)
    if not count:
        return closed
    sizes = np.bincount(labels.ravel())[1:]
    return _filled_slices(labels == 1 + int(np.argmax(sizes)))


def air_limit(values: NDArray) -> float:
    """A value between air and tissue: Otsu's, of the logarithm, as tissue spreads widely.

    Source: Otsu, IEEE Trans. Syst. Man Cybern. 9:62, 1979.
    """
    top = float(np.percentile(values, 99.5))
    if not top > 0:
        return float("inf")
    levels = np.log(np.clip(values / top, 0.005, 1.0))
    counts, edges = np.histogram(levels, _BINS)
    centers = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centers)
    mean_below = sums[:-1] / np.maximum(below, 1)
    mean_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    return top * float(np.exp(edges[1 + int(np.argmax(between))]))


def _filled_slices(mask: NDArray) -> NDArray:
    """Holes closed slice by slice: a stack is open above and below."""
    return np.stack([ndimage.binary_fill_holes(one) for one in mask])


def _eroded(mask: NDArray, radius_mm: float, steps_mm: NDArray) -> NDArray:
    distance = ndimage.distance_transform_edt(_padded(mask), sampling=steps_mm)[_INNER]
    eroded: NDArray = distance > radius_mm
    return eroded


def _dilated(mask: NDArray, radius_mm: float, steps_mm: NDArray) -> NDArray:
    if not mask.any():
        return mask
    dilated: NDArray = ndimage.distance_transform_edt(~mask, sampling=steps_mm) <= radius_mm
    return dilated


def _closed(mask: NDArray, radius_mm: float, steps_mm: NDArray) -> NDArray:
    """Dilated, then eroded, in room that reaches beyond the image."""
    margin = [(int(np.ceil(radius_mm / step)) + 1,) * 2 for step in steps_mm]
    grown = _dilated(np.pad(mask, margin), radius_mm, steps_mm)
    eroded = ndimage.distance_transform_edt(grown, sampling=steps_mm) > radius_mm
    inner = tuple(slice(first, -last) for first, last in margin)
    closed: NDArray = eroded[inner] | mask
    return closed


def _coarse(volume: Volume) -> tuple[NDArray, tuple[int, int, int]]:
    """Means of blocks of about 2 mm, and the voxels of a block along each axis."""
    first, second, third = (max(1, round(_COARSE_MM / step)) for step in volume.geometry.spacing_mm)
    factors = first, second, third
    return _shrunk(np.asarray(volume.array, np.float32), factors), factors


def _shrunk(values: NDArray, factors: tuple[int, int, int]) -> NDArray:
    margins = [(0, -size % factor) for size, factor in zip(values.shape, factors, strict=True)]
    whole = np.pad(values, margins, mode="edge")
    sizes = [part for size, factor in zip(whole.shape, factors, strict=True)
             for part in (size // factor, factor)]  # fmt: skip
    shrunk: NDArray = whole.reshape(sizes).mean(axis=(1, 3, 5))
    return shrunk


def _fine(mask: NDArray, shape: tuple[int, ...], factors: tuple[int, int, int]) -> NDArray:
    for axis, factor in enumerate(factors):
        mask = np.repeat(mask, factor, axis)
    return mask[: shape[0], : shape[1], : shape[2]]


def _steps_mm(geometry: Geometry, factors: tuple[int, int, int]) -> NDArray:
    return np.array(geometry.spacing_mm) * factors


def _voxel_ml(geometry: Geometry) -> float:
    return float(np.prod(geometry.spacing_mm)) / 1000
