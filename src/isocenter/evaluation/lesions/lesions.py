"""Known nodules in real anatomy: where they may lie, what they look like, and putting them in.

They go into the full-dose scan, *before* the dose is reduced, so that noise and processing act on
them as on anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.seeds import derived_seed, generator_for
from isocenter.core.volume import Geometry, Volume
from isocenter.image.ct_tissue import body_mask

_FWHM_PER_SIGMA = 2.3548
_SAMPLE_MM = 0.35
_LOBES = 6


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the tissue around a lesion must be, judged on the slice smoothed by ``smoothing_mm``.

    Attributes:
        low_hu, high_hu: every smoothed pixel within reach lies between them.
        max_spread_hu: largest standard deviation of smoothed pixels within reach.
    """

    low_hu: float
    high_hu: float
    max_spread_hu: float
    smoothing_mm: float = 1.5


# "soft" is liver-like: a homogeneous organ, enhanced or not, which may also be spleen or muscle.
SURROUNDINGS = {
    "lung": Surroundings(low_hu=-985, high_hu=-640, max_spread_hu=60),
    "soft": Surroundings(low_hu=0, high_hu=180, max_spread_hu=12, smoothing_mm=2.0),
}


@dataclass(frozen=True, kw_only=True)
class LesionKind:
    """A lesion to be detected, wherever it lies.

    Attributes:
        name: such as "ground glass".
        tissue: a key of :data:`SURROUNDINGS`.
        contrast_hu: what is added to the tissue in the lesion's interior.
    """

    name: str
    tissue: str
    diameter_mm: float
    contrast_hu: float

    def __post_init__(self) -> None:
        if self.tissue not in SURROUNDINGS:
            raise ValueError(f"tissue must be one of {sorted(SURROUNDINGS)}, got {self.tissue!r}")
        if not self.diameter_mm > 0:
            raise ValueError(f"diameter_mm must be positive, got {self.diameter_mm}")


LESION_KINDS = (
    LesionKind(name="solid", tissue="lung", diameter_mm=4, contrast_hu=600),
    LesionKind(name="part-solid", tissue="lung", diameter_mm=4, contrast_hu=250),
    LesionKind(name="ground glass", tissue="lung", diameter_mm=6, contrast_hu=150),
    LesionKind(name="ground glass", tissue="lung", diameter_mm=8, contrast_hu=100),
    LesionKind(name="hypodense", tissue="soft", diameter_mm=4, contrast_hu=-40),
    LesionKind(name="hypodense", tissue="soft", diameter_mm=6, contrast_hu=-30),
    LesionKind(name="hypodense", tissue="soft", diameter_mm=8, contrast_hu=-20),
    LesionKind(name="hypodense", tissue="soft", diameter_mm=10, contrast_hu=-15),
)


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One inserted lesion, enough to build it again.

    Attributes:
        position_mm: LPS position of its centre.
        lobulation: standard deviation of its radius over directions, as a fraction; its volume
            stays that of the sphere.
        shape_seed: decides the lobes.
        resolution_mm: full width at half maximum of the scan's in-plane blur. The default is that
            of a standard kernel (modulation 0.5 at 0.4/mm).
        slice_thickness_mm: None takes the distance between slices.
    """

    kind: LesionKind
    position_mm: tuple[float, float, float]
    lobulation: float = 0.06
    shape_seed: int = 0
    resolution_mm: float = 1.1
    slice_thickness_mm: float | None = None


def insert_lesions(volume: Volume, lesions: Iterable[Lesion]) -> Volume:
    """A new volume with the lesions added; parts that leave the volume are lost."""
    array = volume.array.astype(np.float32, copy=True)
    for lesion in lesions:
        first, profile = lesion_profile(lesion, volume.geometry)
        to_volume, to_profile = _overlap(first, profile.shape, array.shape)
        array[to_volume] += profile[to_profile]
    return replace(volume, array=array)


def lesion_profile(lesion: Lesion, geometry: Geometry) -> tuple[NDArray, NDArray]:
    """What a lesion adds to the voxels around it, partial volume and the scan's blur included.

    Returns:
        The index of the first voxel (3,), which may lie outside the volume, and the added HU
        (slice, row, column).
    """
    spacing = np.array(geometry.spacing_mm)
    thickness = lesion.slice_thickness_mm or spacing[0]
    centre = voxel_of(lesion.position_mm, geometry)
    radius = lesion.kind.diameter_mm / 2
    reach_mm = radius * (1 + 3 * lesion.lobulation) + np.array(
        [thickness / 2, 2 * lesion.resolution_mm, 2 * lesion.resolution_mm]
    )
    half = np.ceil(reach_mm / spacing).astype(int)
    first = np.rint(centre).astype(int) - half
    # a slice covers its thickness, which may be more or less than the distance to the next one
    covers_mm = np.array([thickness, *spacing[1:]])
    num_samples = np.ceil(covers_mm / _SAMPLE_MM).astype(int)
    slices, rows, columns = (
        _sample_offsets_mm(
            first[k] - centre[k], 2 * half[k] + 1, spacing[k], covers_mm[k], num_samples[k]
        )
        for k in range(3)
    )
    filled = _filled(lesion, slices[:, None, None], rows[:, None], columns)
    per_slice = filled.reshape(-1, num_samples[0], *filled.shape[1:]).mean(axis=1)
    sigma = lesion.resolution_mm / _FWHM_PER_SIGMA / covers_mm[1:] * num_samples[1:]
    blurred = ndimage.gaussian_filter(per_slice, (0, *sigma), mode="constant")
    by_voxel = blurred.reshape(
        len(blurred), -1, num_samples[1], 2 * half[2] + 1, num_samples[2]
    ).mean(axis=(2, 4))
    return first, (lesion.kind.contrast_hu * by_voxel).astype(np.float32)


def _sample_offsets_mm(
    first: float, count: int, spacing_mm: float, covers_mm: float, num_samples: int
) -> NDArray:
    """Positions within each of ``count`` voxels along one axis, from the lesion's centre."""
    centres = (first + np.arange(count)) * spacing_mm
    within = (np.arange(num_samples) + 0.5) / num_samples - 0.5
    return (centres[:, None] + within * covers_mm).ravel().astype(np.float32)


def _filled(lesion: Lesion, slices: NDArray, rows: NDArray, columns: NDArray) -> NDArray:
    """Share of each sample in the lobulated sphere, by offsets in mm that broadcast."""
    distance = np.sqrt(slices**2 + rows**2 + columns**2)
    radius = np.full_like(distance, lesion.kind.diameter_mm / 2)
    if lesion.lobulation > 0:
        near = np.abs(distance / radius - 1) < 4 * lesion.lobulation + 0.1
        offsets = np.stack(np.broadcast_arrays(slices, rows, columns), axis=-1)[near]
        bumps = _lobes(lesion.shape_seed, offsets / distance[near][:, None])
        # mean of (1 + x)^3 over directions is 1 + 3 var(x): divide it out to keep the volume
        radius[near] *= (1 + lesion.lobulation * bumps) / (1 + 3 * lesion.lobulation**2) ** (1 / 3)
    return np.clip((radius - distance) / _SAMPLE_MM + 0.5, 0, 1)


def _lobes(seed: int, direction: NDArray) -> NDArray:
    """A smooth random function of unit vectors (n, 3), of about zero mean and unit variance."""
    rng = generator_for(seed, "lobes")
    axes = rng.standard_normal((3, _LOBES))
    axes /= np.linalg.norm(axes, axis=0)
    signs = rng.choice([-1.0, 1.0], _LOBES)
    cosine = direction @ axes
    legendre = 2.5 * cosine**3 - 1.5 * cosine  # P3, variance 1/7 over the sphere
    return legendre @ signs * np.sqrt(7 / _LOBES)


def _overlap(
    first: NDArray, shape: tuple[int, ...], volume_shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    low = np.clip(first, 0, volume_shape)
    high = np.clip(first + np.array(shape), 0, volume_shape)
    into = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
    out_of = tuple(slice(a - f, max(a, b) - f) for a, b, f in zip(low, high, first, strict=True))
    return into, out_of


def voxel_of(position_mm: Sequence[float], geometry: Geometry) -> NDArray:
    """Slice, row and column index (3,), fractional, of an LPS position."""
    directions = np.array(
        [geometry.slice_direction, geometry.row_direction, geometry.column_direction]
    )
    offset = np.asarray(position_mm) - np.array(geometry.origin_mm)
    return directions @ offset / np.array(geometry.spacing_mm)


def suitable_places(
    image_hu: NDArray,
    *,
    spacing_mm: tuple[float, float],
    tissue: str,
    reach_mm: float,
    separation_mm: float = 25.0,
    border_mm: float = 13.0,
    taken: NDArray | None = None,
    seed: int = 0,
) -> NDArray:
    """Centres in one slice around which the tissue is what a lesion needs, well apart.

    In lung they stay clear of vessels and wall, elsewhere of edges and of other organs.

    Args:
        image_hu: (row, column); a mean over the slices that a lesion would touch is best.
        reach_mm: radius that must be suitable, lesion included.
        separation_mm: least distance between two centres.
        border_mm: least distance to the image's border, so that an observer's region fits.
        taken: (n, 2) centres to stay ``separation_mm`` away from.

    Returns:
        (places, 2) integer rows and columns, in a random order that depends on ``seed``.
    """
    allowed = _suitable(image_hu, spacing_mm, SURROUNDINGS[tissue], reach_mm)
    margin = [int(np.ceil(border_mm / step)) for step in spacing_mm]
    inner = np.zeros_like(allowed)
    inner[margin[0] : -margin[0], margin[1] : -margin[1]] = True
    candidates = np.argwhere(allowed & inner)
    generator_for(seed, "places", tissue).shuffle(candidates)
    return _spread_out(candidates, spacing_mm, separation_mm, taken)


def _suitable(
    image_hu: NDArray,
    spacing_mm: tuple[float, float],
    surroundings: Surroundings,
    reach_mm: float,
) -> NDArray:
    def smooth(image: NDArray, width_mm: float) -> NDArray:
        return ndimage.gaussian_filter(image, [width_mm / step for step in spacing_mm])

    clean = smooth(image_hu.astype(np.float64), surroundings.smoothing_mm)
    in_range = (clean >= surroundings.low_hu) & (clean <= surroundings.high_hu)
    in_range &= body_mask(image_hu)
    clear = ndimage.distance_transform_edt(in_range, sampling=spacing_mm) >= reach_mm
    limited = np.clip(clean, surroundings.low_hu, surroundings.high_hu)
    variance = smooth(limited**2, reach_mm / 2) - smooth(limited, reach_mm / 2) ** 2
    return clear & (variance <= surroundings.max_spread_hu**2)


def _spread_out(
    candidates: NDArray,
    spacing_mm: tuple[float, float],
    separation_mm: float,
    taken: NDArray | None,
) -> NDArray:
    chosen = [] if taken is None else [np.asarray(place) for place in taken]
    num_taken = len(chosen)
    left = candidates
    for place in chosen:
        left = left[_distance(left, place, spacing_mm) >= separation_mm]
    while len(left):
        chosen.append(left[0])
        left = left[_distance(left, left[0], spacing_mm) >= separation_mm]
    return np.array(chosen[num_taken:], dtype=int).reshape(-1, 2)


def _distance(places: NDArray, place: NDArray, spacing_mm: tuple[float, float]) -> NDArray:
    return np.hypot(*((places - place) * np.array(spacing_mm)).T)


def plan_lesions(
    volume: Volume,
    *,
    slice_index: int,
    kinds: Sequence[LesionKind] = LESION_KINDS,
    separation_mm: float = 25.0,
    border_mm: float = 13.0,
    clearance_mm: float = 1.5,
    resolution_mm: float = 1.1,
    seed: int = 0,
) -> list[Lesion]:
    """Lesions centred in one slice, as many as fit apart; the kinds of a tissue take turns.

    Every place suits the largest kind of its tissue, so that all kinds meet the same background.
    """
    spacing = volume.geometry.spacing_mm[1:]
    lesions: list[Lesion] = []
    taken = np.empty((0, 2), dtype=int)
    for tissue in sorted({kind.tissue for kind in kinds}):
        of_tissue = [kind for kind in kinds if kind.tissue == tissue]
        reach = max(kind.diameter_mm for kind in of_tissue) / 2 + clearance_mm
        places = suitable_places(
            _mean_near(volume, slice_index, reach),
            spacing_mm=spacing,
            tissue=tissue,
            reach_mm=reach,
            separation_mm=separation_mm,
            border_mm=border_mm,
            taken=taken,
            seed=derived_seed(seed, slice_index),
        )
        taken = np.concatenate([taken, places])
        start = int(generator_for(seed, "turn", tissue, slice_index).integers(len(of_tissue)))
        lesions += [
            Lesion(
                kind=of_tissue[(start + number) % len(of_tissue)],
                position_mm=_as_vector(volume.geometry.position_mm(slice_index, *place)),
                shape_seed=derived_seed(seed, slice_index, tissue, number),
                resolution_mm=resolution_mm,
                slice_thickness_mm=volume.acquisition.slice_thickness_mm,
            )
            for number, place in enumerate(places)
        ]
    return lesions


def _mean_near(volume: Volume, slice_index: int, reach_mm: float) -> NDArray:
    """Mean of the slices that a lesion of this reach touches, at most two on each side."""
    steps = min(int(reach_mm / volume.geometry.spacing_mm[0]), 2)
    first = max(slice_index - steps, 0)
    return volume.array[first : slice_index + steps + 1].mean(axis=0)


def _as_vector(position_mm: NDArray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in position_mm)
    return x, y, z


def places_without_lesion(
    volume: Volume,
    lesions: Sequence[Lesion],
    *,
    separation_mm: float = 25.0,
    clearance_mm: float = 1.5,
    seed: int = 0,
) -> dict[str, NDArray]:
    """Voxels (places, 3) of each tissue in the lesions' slices, away from every lesion."""
    spacing = volume.geometry.spacing_mm[1:]
    voxels = np.array([np.rint(voxel_of(le.position_mm, volume.geometry)) for le in lesions])
    found: dict[str, NDArray] = {}
    for tissue in sorted({lesion.kind.tissue for lesion in lesions}):
        of_tissue = np.array([lesion.kind.tissue == tissue for lesion in lesions])
        sizes = [lesion.kind.diameter_mm for lesion in lesions if lesion.kind.tissue == tissue]
        reach = max(sizes) / 2 + clearance_mm
        parts = []
        for index in np.unique(voxels[of_tissue, 0]).astype(int):
            places = suitable_places(
                _mean_near(volume, index, reach),
                spacing_mm=spacing,
                tissue=tissue,
                reach_mm=reach,
                separation_mm=separation_mm,
                border_mm=separation_mm / 2 + 1,
                taken=voxels[voxels[:, 0] == index, 1:],
                seed=derived_seed(seed, int(index)),
            )
            parts.append(np.column_stack([np.full(len(places), index), places]))
        found[tissue] = np.concatenate(parts)
    return found
