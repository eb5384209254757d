"""Plaques of multiple sclerosis, with sizes, shapes and places as in real masks.

The numbers below were measured in the consensus masks of 29 patients (2759 lesions of at least 3
mm³, 26-neighborhood, 1 mm MNI space) of the MR database of the University of Ljubljana: Lesjak et
al., Neuroinformatics 16:51, 2018 (CC BY). Distances are to the lateral ventricles of an average
anatomy, and rates are over those of white matter at that distance. What plaques do to tissue:
Larsson et al., Magn. Reson. Med. 11:337, 1989 (T1, T2); Horsfield et al., Magn. Reson. Med. 36:393,
1996 and Christiansen et al., Acta Neurol. Scand. 87:195, 1993 (diffusion). About one in ten takes
up agent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.physics.mr_tissues import TissueValues
from isocenter.physics.phantom.anatomy import COARSE, WHITE, Anatomy, members, noise_over, sampled
from isocenter.physics.phantom.choices import PLAQUE
from isocenter.physics.phantom.lesions import (
    Box,
    Lesion,
    box_around,
    offsets,
    soft_below,
)


@dataclass(frozen=True, kw_only=True)
class PlaqueStatistics:
    """What masks of real patients showed.

    Attributes:
        log_load, log_count: mean and deviation of the logarithm of all volume in mm³ and of the
            number of lesions of a patient.
        correlation: of both.
        log_volume: mean and deviation of the logarithm of one lesion's volume in mm³.
        distance_mm: edges of rings around the lateral ventricles.
        rate: of lesions' centers in each ring over that of white matter.
        large_rate: the same of lesions above 300 mm³.
        axes: of the second and the third axis over the first: mean and deviation.
        outward: median cosine between the long axis and the way out from the ventricle.
        below_tentorium: share of lesions.
    """

    log_load: tuple[float, float] = (9.02, 1.50)
    log_count: tuple[float, float] = (4.16, 0.90)
    correlation: float = 0.77
    log_volume: tuple[float, float] = (3.20, 1.41)
    distance_mm: tuple[float, ...] = (0, 2, 4, 6, 8, 10, 13, 16, 20, 25, 30, 40, 60)
    rate: tuple[float, ...] = (
        2.15, 1.36, 1.16, 1.20, 1.11, 1.07, 1.22, 0.99, 0.91, 0.71, 0.64, 0.44,
    )  # fmt: skip
    large_rate: tuple[float, ...] = (
        7.1, 3.0, 1.6, 1.35, 1.0, 0.77, 0.95, 0.54, 0.5, 0.3, 0.15, 0.05,
    )  # fmt: skip
    axes: tuple[tuple[float, float], ...] = ((0.60, 0.18), (0.38, 0.15))
    outward: float = 0.74
    below_tentorium: float = 0.037


STATISTICS = PlaqueStatistics()
BELOW = ("cerebellar white matter", "brainstem")
_LARGE_MM3, _LEAST_MM3, _MOST_MM3 = 300.0, 3.0, 30_000.0
_MOST_PLAQUES = 250
_ACTIVE_SHARE = 0.1
_EDGE = 0.16  # of a soft border, over the radius
_ALONG_VENTRICLE = 3.0  # how far a large lesion keeps to the ventricle rather than leaving it


def grow_plaques(
    anatomy: Anatomy, rng: np.random.Generator, *, count: int | None = None
) -> list[Lesion]:
    """Plaques of one patient.

    Args:
        anatomy: of a head without them.
        rng: draws how many, where, how large and how bright.
        count: of lesions; drawn where it is None.
    """
    sizes = _sizes(rng, count)
    noise = noise_over(anatomy, rng, wave_mm=7.0)
    places = _Places(anatomy)
    grown = (_grown(anatomy, places, noise, float(size), rng) for size in sizes)
    return [lesion for lesion in grown if lesion is not None]


def _sizes(rng: np.random.Generator, count: int | None) -> NDArray:
    """Volumes in mm³, the largest first."""
    known = STATISTICS
    both = rng.standard_normal(2)
    both[1] = known.correlation * both[0] + np.sqrt(1 - known.correlation**2) * both[1]
    both = both.clip(-1.6, 1.6)
    if count is None:
        drawn = np.exp(known.log_count[0] + known.log_count[1] * both[1])
        count = int(np.clip(np.rint(drawn), 3, _MOST_PLAQUES))
    volumes = np.exp(rng.normal(*known.log_volume, count)).clip(_LEAST_MM3, None)
    load = np.exp(known.log_load[0] + known.log_load[1] * both[0])
    # What single lesions leave of the load lies in a few confluent ones.
    missing = max(load - volumes.sum(), 0.0)
    if missing > _LARGE_MM3:
        shares = rng.dirichlet(np.ones(min(4, count)) * 1.5)
        volumes[: len(shares)] += shares * missing
    return np.sort(volumes.clip(_LEAST_MM3, _MOST_MM3))[::-1]


class _Places:
    """White matter, coarsely, with the rate of plaques in it."""

    def __init__(self, anatomy: Anatomy) -> None:
        coarse = anatomy.coarse
        self._voxels = np.argwhere(members(*WHITE)[coarse])
        index = tuple(self._voxels.T)
        ring = np.digitize(anatomy.ventricle_mm[index], STATISTICS.distance_mm[1:-1])
        self._small = np.array(STATISTICS.rate)[ring]
        self._large = np.array(STATISTICS.large_rate)[ring]
        self._below = np.argwhere(members(*BELOW)[coarse])

    def draw(self, rng: np.random.Generator, *, large: bool) -> NDArray:
        """A voxel of the head, (3,)."""
        if not large and len(self._below) and rng.random() < STATISTICS.below_tentorium:
            voxel = self._below[rng.integers(len(self._below))]
        else:
            rate = self._large if large else self._small
            voxel = self._voxels[rng.choice(len(self._voxels), p=rate / rate.sum())]
        place: NDArray = voxel * COARSE + COARSE // 2 + rng.uniform(-1, 1, 3)
        return place


def _grown(
    anatomy: Anatomy, places: _Places, noise: NDArray, volume: float, rng: np.random.Generator
) -> Lesion | None:
    """One lesion of about that volume, None where there is no white matter for it."""
    large = volume > _LARGE_MM3
    center = places.draw(rng, large=large)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    box = box_around(center, 2.5 * radius + 3, anatomy.tissues.shape)
    away = _stretched(box, center, _directions(anatomy, center, rng), rng)
    if large:
        beside = sampled(anatomy.ventricle_mm, box)
        away = np.sqrt(0.35 * away**2 + (_ALONG_VENTRICLE * np.maximum(beside - 1, 0)) ** 2)
    level = away * np.exp(0.22 * noise[box])
    white = members(*WHITE, *BELOW)[anatomy.tissues[box]]
    inside = np.sort(level[white])
    if not inside.size:
        return None
    threshold = float(inside[min(int(volume), inside.size - 1)])
    share = soft_below(level, threshold, max(_EDGE * threshold, 0.4)) * white
    if share.max() < 0.5:
        return None
    active = bool(rng.random() < _ACTIVE_SHARE and volume > 20)
    water = rng.uniform(0.15, 1.0)  # how much more water than white matter has
    return Lesion(
        name=PLAQUE,
        box=box,
        share=share,
        factors=TissueValues(
            1 + 0.75 * water,
            1.3 + 0.65 * water,
            1.3 + 0.6 * water,
            1.04 + 0.12 * water,
            1.08 + 0.5 * water,
        ),
        agent_mm=float(rng.uniform(0.15, 0.45)) if active else 0.0,
        facts={"water": round(float(water), 3), "active": float(active)},
    )


def _directions(anatomy: Anatomy, center: NDArray, rng: np.random.Generator) -> NDArray:
    """(3, 3) unit vectors; the first, the long axis, tends to point away from the ventricle."""
    coarse = np.clip((center / COARSE).astype(int), 2, np.array(anatomy.ventricle_mm.shape) - 3)
    around = anatomy.ventricle_mm[tuple(slice(c - 2, c + 3) for c in coarse)]
    out = np.array([part.mean() for part in np.gradient(around)])
    out /= max(float(np.linalg.norm(out)), 1e-6)
    drawn = rng.standard_normal((3, 3))
    drawn[0] = drawn[0] / np.linalg.norm(drawn[0]) + STATISTICS.outward * rng.choice([-1, 1]) * out
    axes, _ = np.linalg.qr(drawn.T)
    vectors: NDArray = axes.T
    return vectors


def _stretched(box: Box, center: NDArray, axes: NDArray, rng: np.random.Generator) -> NDArray:
    """Distance from the center in an ellipsoid's own measure; its volume is that of the sphere."""
    second, third = (float(np.clip(rng.normal(*one), 0.25, 1)) for one in STATISTICS.axes)
    lengths = np.array([1.0, max(second, third), min(second, third)])
    lengths /= np.prod(lengths) ** (1 / 3)
    z, y, x = offsets(box, center)
    squared = sum(
        ((axis[0] * z + axis[1] * y + axis[2] * x) / length) ** 2
        for axis, length in zip(axes, lengths, strict=True)
    )
    return np.sqrt(squared)
