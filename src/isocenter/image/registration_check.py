"""Is a registration right? Numbers that can be had without knowing the truth, and a verdict.

No single number can tell. Mutual information rises in every registration, right or wrong; a
round trip closes as well where both ways run into the same trap; edges of two heads agree a
little. So the verdict asks for all of them. The limits were set on real heads with planted
motions, on registrations pushed off by known amounts, and on pairs of different patients:
``docs/mr_inputs.md`` says how often they judged wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Volume
from isocenter.image.head_mask import depth_mm, head_mask
from isocenter.image.registration import (
    NO_MOTION,
    Motion,
    RegistrationSettings,
    folded_share,
    points_mm,
    register,
    resample,
)

_BINS = 48
_EDGE_MM = 2.0
_EDGE_SHARE = 0.2
_PEAK_MM = 8.0
_OUTLINE_MM = 12.0


@dataclass(frozen=True, kw_only=True)
class RegistrationLimits:
    """Beyond them a registration has failed.

    Attributes:
        least_covered: share of the fixed head that the moving image covers.
        least_head_overlap: Dice overlap of the two heads where both images are.
        least_edge_peak: edge agreement over that of the same images 8 mm apart.
        least_kept: normalized mutual information beyond 1, after over before; below 1 only where
            the images lay right already, as interpolation costs some.
        most_round_trip_mm: mean distance by which the way there and back misses.
        most_folded: share of the grid that a deformation turns inside out.
    """

    least_covered: float = 0.6
    least_head_overlap: float = 0.85
    least_edge_peak: float = 2.0
    least_kept: float = 0.9
    most_round_trip_mm: float = 2.0
    most_folded: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RegistrationCheck:
    """What was measured of a registration, and what is wrong with it.

    Attributes:
        information_before, information_after: normalized mutual information in the fixed head, 1
            for unrelated images, 2 for the same.
        edges_before, edges_after: see :func:`edge_agreement`.
        edge_peak: ``edges_after`` over the mean of what edges give where the moving image is
            shifted by 8 mm to either side along each axis: 1 where nothing fits.
        covered: share of the fixed head that the moving image covers.
        head_overlap: Dice overlap of the two heads where both images are.
        round_trip_mm: mean distance by which the way there and back misses, over the head; None
            where it was not asked for.
        motion_mm: mean distance by which the head was moved.
        angle_deg: by which it was turned.
        folded: share of the grid that a deformation turns inside out.
        problems: limits that are broken, in words; empty where it passed.
    """

    information_before: float
    information_after: float
    edges_before: float
    edges_after: float
    edge_peak: float
    covered: float
    head_overlap: float
    round_trip_mm: float | None
    motion_mm: float
    angle_deg: float
    folded: float
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems

    def refuse(self) -> None:
        """Go no further with a registration that failed.

        Raises:
            UnsuitableScan: saying every limit that is broken.
        """
        if self.problems:
            raise UnsuitableScan(
                f"the registration failed: {'; '.join(self.problems)}. Look at the picture of it; "
                "give images of one head from one session that overlap",
                reason="registration",
                can_be_forced=True,
            )


def check_registration(
    moving: Volume,
    fixed: Volume,
    motion: Motion,
    *,
    round_trip: bool = True,
    settings: RegistrationSettings | None = None,
    limits: RegistrationLimits | None = None,
) -> RegistrationCheck:
    """Measure a registration and judge it.

    Args:
        moving, fixed, motion: as :func:`isocenter.image.registration.register` took and gave them.
        round_trip: also register back, from the headers' positions, and see where points end.
        settings: of the way back.
        limits: of the verdict.

    Raises:
        UnsuitableScan: an image shows no head.
    """
    heads = head_mask(fixed), head_mask(moving)
    deep = depth_mm(heads[0], fixed.geometry.spacing_mm) > _OUTLINE_MM
    before, after = (_pair(moving, fixed, heads[0], deep, one) for one in (NO_MOTION, motion))
    (edges_before, _), (edges_after, edge_peak) = before.edges(), after.edges()
    points = points_mm(fixed.geometry, heads[0])
    moved = motion.moved_mm(points)
    check = RegistrationCheck(
        information_before=before.information(),
        information_after=after.information(),
        edges_before=edges_before,
        edges_after=edges_after,
        edge_peak=edge_peak,
        covered=after.covered(),
        head_overlap=_head_overlap(heads, moving, fixed, motion, after.valid),
        round_trip_mm=_round_trip_mm(moving, fixed, points, moved, settings)
        if round_trip
        else None,
        motion_mm=float(np.linalg.norm(moved - points, axis=1).mean()),
        angle_deg=motion.angle_deg,
        folded=folded_share(motion, fixed.geometry),
    )
    return replace(check, problems=_problems(check, limits or RegistrationLimits()))


def _problems(check: RegistrationCheck, limits: RegistrationLimits) -> tuple[str, ...]:
    least = limits.least_kept * (check.information_before - 1)
    rules: tuple[tuple[bool, Callable[[], str]], ...] = (
        (
            check.covered < limits.least_covered,
            lambda: (
                f"the moving image covers {check.covered:.0%} of the head, "
                f"{limits.least_covered:.0%} are needed"
            ),
        ),
        (
            check.head_overlap < limits.least_head_overlap,
            lambda: (
                f"the two heads overlap by {check.head_overlap:.2f}, "
                f"{limits.least_head_overlap:.2f} are needed"
            ),
        ),
        (
            check.edge_peak < limits.least_edge_peak,
            lambda: (
                f"edges agree {check.edge_peak:.2f} times as well as {_PEAK_MM:g} mm apart, "
                f"{limits.least_edge_peak:.2f} times is needed"
            ),
        ),
        (
            check.information_after - 1 < least,
            lambda: (
                f"the images share less than before ({check.information_after:.3f} against "
                f"{check.information_before:.3f})"
            ),
        ),
        (
            check.round_trip_mm is not None and check.round_trip_mm > limits.most_round_trip_mm,
            lambda: (
                f"there and back misses by {check.round_trip_mm:.1f} mm, "
                f"{limits.most_round_trip_mm:.1f} are allowed"
            ),
        ),
        (
            check.folded > limits.most_folded,
            lambda: f"the deformation folds {check.folded:.2%} of the image",
        ),
    )
    return tuple(words() for is_broken, words in rules if is_broken)


@dataclass(frozen=True)
class _Pair:
    """Two images on one grid.

    Attributes:
        head: of the fixed image.
        deep: the head without its outline, which any two heads share.
        valid: where the moving image has values.
    """

    fixed: NDArray
    moved: NDArray
    head: NDArray
    deep: NDArray
    valid: NDArray
    spacing_mm: tuple[float, float, float]

    def covered(self) -> float:
        return float(self.valid[self.head].mean())

    def information(self) -> float:
        where = self.head & self.valid
        return normalized_information(self.fixed[where], self.moved[where])

    def edges(self) -> tuple[float, float]:
        """Edge agreement, and by how much it stands out of that 8 mm apart."""
        fixed, moved = (_gradient(one, self.spacing_mm) for one in (self.fixed, self.moved))
        here = _agreement(fixed, moved, self.deep & self.valid)
        apart = []
        for axis, step in enumerate(self.spacing_mm):
            count = round(_PEAK_MM / step) or 1
            for sign in (-1, 1):
                first, second = _shifted(self.deep.shape, axis, sign * count)
                where = self.deep[first] & self.valid[second]
                if where.any():
                    apart.append(_agreement(fixed[:, *first], moved[:, *second], where))
        return here, here / max(float(np.mean(apart)) if apart else 1.0, 1e-6)


def _shifted(
    shape: tuple[int, ...], axis: int, count: int
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Parts of two arrays that lie on each other when one is moved by some voxels."""
    first, second = [slice(None)] * len(shape), [slice(None)] * len(shape)
    size = shape[axis]
    first[axis] = slice(max(0, count), size + min(0, count))
    second[axis] = slice(max(0, -count), size + min(0, -count))
    return tuple(first), tuple(second)


def _pair(moving: Volume, fixed: Volume, head: NDArray, deep: NDArray, motion: Motion) -> _Pair:
    moved = resample(moving, fixed.geometry, motion, interpolation="linear")
    valid = np.ones(moved.array.shape, bool) if moved.valid is None else moved.valid
    return _Pair(fixed.array, moved.array, head, deep, valid, fixed.geometry.spacing_mm)


def normalized_information(first: NDArray, second: NDArray) -> float:
    """Sum of two entropies over the joint one: 1 for unrelated values, 2 for the same.

    Args:
        first, second: values at the same places, of any scale; extremes are cut at 0.5 %.

    Source: Studholme, Hill, Hawkes, Pattern Recognition 32:71, 1999.
    """
    if not first.size:
        return 1.0
    counts, _, _ = np.histogram2d(_levels(first), _levels(second), _BINS, [[0, 1], [0, 1]])
    joint = counts / counts.sum()
    together = _entropy(joint.ravel())
    if together == 0:
        return 1.0
    return (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / together


def _levels(values: NDArray) -> NDArray:
    low, high = np.percentile(values, (0.5, 99.5))
    return np.clip((values - low) / max(float(high - low), 1e-12), 0, 1)


def _entropy(shares: NDArray) -> float:
    held = shares[shares > 0]
    return float(-(held * np.log(held)).sum())


def edge_agreement(
    first: NDArray, second: NDArray, mask: NDArray, spacing_mm: tuple[float, float, float]
) -> float:
    """How far edges of two images run alike, 0 for not at all, 1 for everywhere; of any contrast.

    The squared cosine between the two gradients, where both are edges: a fifth of the voxels, the
    steepest of each. An edge without a partner counts 0. Only directions in the image plane count
    where slices are thick.

    Source: normalized gradient fields, Haber & Modersitzki, MICCAI 2006.
    """
    return _agreement(_gradient(first, spacing_mm), _gradient(second, spacing_mm), mask)


def _agreement(first: NDArray, second: NDArray, mask: NDArray) -> float:
    """Of two fields of gradients, (axis, slice, row, column), inside a mask."""
    if not mask.any():
        return 0.0
    inside = [one[:, mask] for one in (first, second)]
    squares = [(one**2).sum(0) for one in inside]
    edges = [one > np.quantile(one, 1 - _EDGE_SHARE) for one in squares]
    both = edges[0] & edges[1]
    cosines = (inside[0] * inside[1]).sum(0)[both] ** 2 / (squares[0] * squares[1])[both]
    return float(cosines.sum() / max(1, (edges[0] | edges[1]).sum()))


def _gradient(array: NDArray, spacing_mm: tuple[float, float, float]) -> NDArray:
    """(axis, slice, row, column), per millimeter, of an image smoothed in its plane."""
    sigmas = [0.0 if step > _EDGE_MM else _EDGE_MM / 2 / step for step in spacing_mm]
    smooth = ndimage.gaussian_filter(np.asarray(array, np.float32), sigmas)
    axes = [axis for axis, step in enumerate(spacing_mm) if step <= _EDGE_MM] or [0, 1, 2]
    axes = [axis for axis in axes if smooth.shape[axis] > 1]
    return np.stack([np.gradient(smooth, spacing_mm[axis], axis=axis) for axis in axes])


def _head_overlap(
    heads: tuple[NDArray, NDArray], moving: Volume, fixed: Volume, motion: Motion, valid: NDArray
) -> float:
    moving_head = replace(moving, array=heads[1].astype(np.float32), valid=None)
    moved = resample(moving_head, fixed.geometry, motion, interpolation="nearest").array > 0.5
    first, second = heads[0] & valid, moved & valid
    return float(2 * (first & second).sum() / max(1, first.sum() + second.sum()))


def _round_trip_mm(
    moving: Volume,
    fixed: Volume,
    points: NDArray,
    moved: NDArray,
    settings: RegistrationSettings | None,
) -> float:
    """Mean distance between points and where the way there and a rigid way back take them."""
    back = register(fixed, moving, settings=settings)
    return float(np.linalg.norm(back.moved_mm(moved) - points, axis=1).mean())
