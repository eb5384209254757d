"""Acute infarcts in the territories of the cerebral arteries, and how they look with age.

Territories follow a rule in the box of the cerebrum (see :meth:`Anatomy.normalized`), made after
the maps of Tatu et al., Neurology 50:1699, 1998 and van der Zwan et al., J. Neurosurg. 77:927,
1992; real borders vary widely. Within a territory a branch supplies a wedge that widens towards the
cortex.

What an infarct does to tissue over time lies between the measurements of Schlaug et al., Neurology
49:113, 1997 and Lansberg et al., AJNR 22:637, 2001 (ADC: low within the first hour, lowest at one
to four days, normal again after about ten), of Siemonsen et al., Stroke 40:1612, 2009 (T2 rises
from about four hours on) and of Thomalla et al., Lancet Neurol. 10:978, 2011 (most are not seen on
FLAIR within 3 hours, most are after 6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.physics.mr_tissues import TissueValues
from isocenter.physics.phantom.anatomy import (
    DEEP_GRAY,
    PARENCHYMA,
    WHITE,
    Anatomy,
    members,
    noise_over,
)
from isocenter.physics.phantom.choices import ARTERIES, INFARCT, MOST_HOURS
from isocenter.physics.phantom.lesions import Lesion, box_around, soft_below

# How often each is taken.
_OFTEN = (0.55, 0.08, 0.15, 0.22)
# Normalized places (up, back, side) that a branch comes from, and which way its wedge may point.
_FROM = {"MCA": (-0.12, -0.02, 0.42), "ACA": (0.10, -0.30, 0.04), "PCA": (-0.30, 0.28, 0.16)}
_TOWARDS = {
    "MCA": ((-0.5, -0.9, 0.8), (1.0, 0.9, 1.0)),
    "ACA": ((0.5, -0.9, 0.05), (1.0, 0.6, 0.25)),
    "PCA": ((-0.3, 0.8, 0.0), (0.5, 1.0, 0.5)),
}
_HALF_ANGLE_DEG = (16.0, 45.0)
_BEGINS = (0.0, 0.35)  # along the reach
_LEAST_MM3 = 150.0
_TRIES = 8
_EDGE_MM = 1.0
# Hours since onset, and factors on ADC, T2, T1 and density where cells have died.
_HOURS = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0, 168.0, 240.0, 336.0, MOST_HOURS)
_ADC = (0.85, 0.68, 0.62, 0.58, 0.56, 0.54, 0.53, 0.56, 0.74, 0.98, 1.15, 1.50)
_T2 = (1.00, 1.00, 1.02, 1.10, 1.20, 1.32, 1.45, 1.55, 1.58, 1.58, 1.60, 1.75)
_T1 = (1.00, 1.01, 1.02, 1.05, 1.11, 1.19, 1.28, 1.34, 1.36, 1.36, 1.38, 1.45)
_DENSITY = (1.00, 1.00, 1.00, 1.01, 1.02, 1.04, 1.06, 1.07, 1.08, 1.08, 1.09, 1.12)


def infarct_factors(age_hours: float) -> TissueValues:
    """What an infarct of that age multiplies in brain tissue: T1, T2, T2*, density, ADC.

    Raises:
        ValueError: the age is below 0 or above a month.
    """
    if not 0 <= age_hours <= MOST_HOURS:
        raise ValueError(f"age_hours is from 0 to {MOST_HOURS:g}, got {age_hours:g}")
    t1, t2, density, adc = (
        float(np.interp(age_hours, _HOURS, curve)) for curve in (_T1, _T2, _DENSITY, _ADC)
    )
    return TissueValues(t1, t2, t2, density, adc)


def territory(places: NDArray) -> NDArray[np.uint8]:
    """Which artery supplies places of the cerebrum: 0 MCA, 1 ACA, 2 PCA.

    Args:
        places: (..., 3) normalized: up, back and side, as :meth:`Anatomy.normalized` gives them.
    """
    up, back, side = places[..., 0], places[..., 1], np.abs(places[..., 2])
    # The ACA keeps to the middle in front of the parieto-occipital sulcus, wider at the vertex.
    anterior = (side < 0.20 + 0.22 * np.maximum(up, 0)) & (back < 0.52) & (up > -0.35)
    anterior |= (up > 0.82) & (side < 0.45) & (back < 0.52)
    # The PCA has the occipital lobe, its middle above all, and the underside of the temporal lobe.
    posterior = (back > 0.52) & (side < 0.62 - 0.25 * np.maximum(up, 0)) & (up < 0.62)
    posterior |= (up < -0.55) & (side < 0.55) & (back > -0.25)
    return np.where(posterior, 2, np.where(anterior, 1, 0)).astype(np.uint8)


def grow_infarct(
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    artery: str | None = None,
    age_hours: float | None = None,
) -> Lesion:
    """One infarct.

    Args:
        anatomy: of a head without it.
        rng: draws artery, side, branch, size and, where it is not given, the age.
        artery: of ``ARTERIES``; drawn where it is None.
        age_hours: since onset; drawn from two hours to a week where it is None.

    Raises:
        ValueError: there is no such artery or age, or no room for an infarct.
    """
    if artery is not None and artery not in ARTERIES:
        raise ValueError(f"artery is one of {', '.join(ARTERIES)}, got {artery!r}")
    if age_hours is None:
        age_hours = float(np.exp(rng.uniform(np.log(2.0), np.log(168.0))))
    factors = infarct_factors(age_hours)
    chosen = artery or str(rng.choice(ARTERIES, p=_OFTEN))
    noise = noise_over(anatomy, rng, wave_mm=9.0)
    for _ in range(_TRIES):
        side = float(rng.choice([-1.0, 1.0]))
        grow = _deep if chosen == "deep MCA" else _wedge
        lesion = grow(anatomy, noise, chosen, side, factors, rng)
        if lesion.volume_mm3 >= _LEAST_MM3:
            lesion.facts.update(
                artery=chosen,
                side="left" if side > 0 else "right",
                age_hours=round(age_hours, 2),
            )
            return lesion
    raise ValueError(f"the head has no room for an infarct of the {chosen}")


def _wedge(
    anatomy: Anatomy,
    noise: NDArray,
    artery: str,
    side: float,
    factors: TissueValues,
    rng: np.random.Generator,
) -> Lesion:
    """What a branch supplies: a cone from its origin out to the cortex."""
    mirror = np.array([1.0, 1.0, side])
    origin = anatomy.voxel_at((np.array(_FROM[artery]) + rng.uniform(-0.05, 0.05, 3)) * mirror)
    low, high = _TOWARDS[artery]
    axis = rng.uniform(low, high) * mirror
    axis /= np.linalg.norm(axis)
    half_angle = np.deg2rad(rng.uniform(*_HALF_ANGLE_DEG))
    reach_mm = 1.15 * anatomy.half_width_mm
    box = box_around(origin + axis * reach_mm / 2, 0.75 * reach_mm, anatomy.tissues.shape)
    places = _voxels(box)
    away = places - origin.astype(np.float32)
    distance = np.linalg.norm(away, axis=-1) + 1e-3
    angle = np.arccos(np.clip(away @ axis.astype(np.float32) / distance, -1, 1))
    begins_mm = rng.uniform(*_BEGINS) * reach_mm
    # In mm from the border of the wedge, so that noise and softness mean the same everywhere.
    outside = np.maximum((angle - half_angle) * distance, begins_mm - distance)
    outside = np.maximum(outside, distance - reach_mm * 1.1) + 3.0 * noise[box]
    share = soft_below(outside, 0.0, _EDGE_MM)
    normalized = anatomy.normalized(places) + 0.05 * noise[box][..., None]
    of_artery = territory(normalized) == ("MCA", "ACA", "PCA").index(artery)
    same_side = normalized[..., 2] * side > 0.01
    tissue = anatomy.tissues[box]
    supplied = members(*WHITE, "cortex", "hippocampus", *DEEP_GRAY)[tissue]
    supplied &= of_artery & same_side & ~members("thalamus")[tissue]
    return Lesion(name=INFARCT, box=box, share=share * supplied, factors=factors, facts={})


def _deep(
    anatomy: Anatomy,
    noise: NDArray,
    artery: str,
    side: float,
    factors: TissueValues,
    rng: np.random.Generator,
) -> Lesion:
    """Basal ganglia and the white matter between them, or a lacune in them."""
    center = anatomy.voxel_at(
        (np.array((-0.10, -0.08, 0.32)) + rng.uniform(-0.08, 0.08, 3)) * (1, 1, side)
    )
    radii = rng.uniform(0.3, 1.0) * np.array([15.0, 17.0, 8.0]) * rng.uniform(0.8, 1.2, 3)
    box = box_around(center, float(radii.max()) + 6, anatomy.tissues.shape)
    away = np.linalg.norm((_voxels(box) - center) / radii, axis=-1)
    level = (away - 1) * float(radii.min()) + 2.0 * noise[box]
    tissue = anatomy.tissues[box]
    supplied = members(*PARENCHYMA)[tissue] & ~members("thalamus", "cortex", "brainstem")[tissue]
    share = soft_below(level, 0.0, _EDGE_MM) * supplied
    return Lesion(name=INFARCT, box=box, share=share, factors=factors, facts={})


def _voxels(box: tuple[slice, slice, slice]) -> NDArray[np.float32]:
    """(slice, row, column, 3) places in a box."""
    axes = [np.arange(part.start, part.stop, dtype=np.float32) for part in box]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)
