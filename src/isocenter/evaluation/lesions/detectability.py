"""Are small lesions still seen? d' of known nodules before and after any processing.

Lesions go into full-dose scans before the dose is reduced. Each slice is read twice: half of its
places hold a lesion the first time, the other half the second time, each time under fresh noise. So
every place shows its anatomy with and without lesion, and two runs of a slow process give dozens
of pairs. A Gaussian blur stands beside every study: processing is worth something only where blur
does not do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import UnsuitableScan
from isocenter.core.progress import Progress, silent
from isocenter.core.seeds import derived_seed, generator_for
from isocenter.core.spread import spread_evenly
from isocenter.core.volume import Volume
from isocenter.evaluation.lesions.lesions import (
    LESION_KINDS,
    Lesion,
    LesionKind,
    insert_lesions,
    places_without_lesion,
    plan_lesions,
    voxel_of,
)
from isocenter.evaluation.lesions.observer import (
    HotellingObserver,
    bootstrap_d_squared,
    cut_regions,
    held_out_auc,
    hotelling_estimate,
)

Degrade = Callable[[Volume, np.random.Generator], NDArray]
Process = Callable[[Volume], NDArray]

FULL_DOSE = "full dose"
LOW_DOSE = "low dose"
SMALL_MM = 6.0
TOO_FEW_PLACES = "lesion_places"

_LIMITS = (0.025, 0.975)
_LEAST = 0.05  # d' below which a ratio has no meaning
_SEEN = 0.5  # d' from which a kind counts in the overall ratio


@dataclass(frozen=True, kw_only=True)
class DetectabilityRow:
    """How well one kind of lesion is seen in one kind of image.

    Attributes:
        processing: such as "low dose".
        lesion, tissue, diameter_mm, contrast_hu: the kind of lesion.
        num_places: pairs of regions with and without it.
        d_prime, d_prime_low, d_prime_high: with its 95 % bootstrap interval over places. It holds
            for these patients; it does not say how patients differ.
        auc: of held-out places, without any assumption on the distribution.
        ratio, ratio_low, ratio_high: d' over that of the baseline, in the same places.
        contrast_kept: mean of the lesion's own shape that is left, 1 where it is untouched. A
            smoothed or removed lesion shows here even where d' is too large to fall.
    """

    processing: str
    lesion: str
    tissue: str
    diameter_mm: float
    contrast_hu: float
    num_places: int
    d_prime: float
    d_prime_low: float
    d_prime_high: float
    auc: float
    ratio: float
    ratio_low: float
    ratio_high: float
    contrast_kept: float


@dataclass(frozen=True, kw_only=True)
class OverallRatio:
    """Geometric mean of d' ratios over kinds of lesions, with its 95 % interval.

    Attributes:
        group: "all" or "small", those of 6 mm and less. Kinds that the baseline does not show
            (d' of 0.5 or less) are left out.
    """

    processing: str
    group: str
    ratio: float
    ratio_low: float
    ratio_high: float


@dataclass(frozen=True, kw_only=True)
class DetectabilityTable:
    """Every kind of lesion in every kind of image.

    Attributes:
        baseline: what ratios refer to.
        left_out: tissues with too few places, and why.
    """

    baseline: str
    rows: tuple[DetectabilityRow, ...]
    overall: tuple[OverallRatio, ...]
    left_out: tuple[str, ...] = ()

    def row(self, processing: str, kind: LesionKind) -> DetectabilityRow:
        """The row of one kind of lesion in one kind of image."""
        wanted = (processing, kind.name, kind.tissue, kind.diameter_mm, kind.contrast_hu)
        for row in self.rows:
            lesion = (row.lesion, row.tissue, row.diameter_mm, row.contrast_hu)
            if (row.processing, *lesion) == wanted:
                return row
        raise KeyError(f"no row for {processing!r} and {kind}")

    def overall_ratio(self, processing: str, group: str = "all") -> OverallRatio:
        """d' of one kind of image over the baseline's."""
        for row in self.overall:
            if (row.processing, row.group) == (processing, group):
                return row
        raise KeyError(f"no overall ratio for {processing!r} and {group!r}")

    def as_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """What the observer saw at places with and without lesion, for each kind of image.

    Attributes:
        kinds: of each place.
        present, absent: (places, channels) of each kind of image.
        kept: (places,) of each kind of image, share of the lesion that is left; may be empty.
    """

    kinds: tuple[LesionKind, ...]
    present: dict[str, NDArray]
    absent: dict[str, NDArray]
    kept: dict[str, NDArray]


def detectability_study(
    scans: Sequence[Volume],
    *,
    degrade: Degrade | Sequence[Degrade],
    processors: Mapping[str, Process],
    kinds: Sequence[LesionKind] = LESION_KINDS,
    slices: Sequence[Sequence[int]] | None = None,
    slices_per_scan: int = 4,
    context: int = 2,
    repeats: int = 1,
    blur_mm: Sequence[float] = (0.7, 1.4),
    resolution_mm: float = 1.1,
    observer: HotellingObserver | None = None,
    resamples: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
) -> DetectabilityTable:
    """d' of known lesions at full dose, at low dose, after each process and after a plain blur.

    Args:
        scans: full-dose scans. A lesion is placed and read in one slice of a slab of
            ``2 * context + 1`` slices; that slab is all that ``degrade`` and the processes see.
        degrade: slab and generator to HU at the lower dose, same shape; one for all scans or one
            for each. It is called twice a slice and repeat.
        processors: names to functions from the low-dose slab to HU, either of the slab's shape or
            of its central slice alone (row, column). Called as often as ``degrade``.
        slices: indices to read in each scan; where None, ``slices_per_scan`` spread over it.
        repeats: readings of a slice with fresh lesions and noise.
        blur_mm: standard deviations of the Gaussian controls.
        resolution_mm: in-plane blur of inserted lesions, see :class:`Lesion`.
        progress: called with slices done and slices in all.

    Raises:
        UnsuitableScan: no tissue offers enough places.
    """
    observer = observer or HotellingObserver()
    degraders = [degrade] * len(scans) if callable(degrade) else list(degrade)
    if len(degraders) != len(scans):
        raise ValueError(
            f"{len(degraders)} functions were given to lower the dose of {len(scans)} scans; give "
            "one for all or one for each"
        )
    if slices is None:
        slices = [spread_evenly(len(scan.array), slices_per_scan) for scan in scans]
    work = [
        (number, index, repeat)
        for number, indices in enumerate(slices)
        for index in indices
        for repeat in range(repeats)
    ]
    images = _controls(blur_mm) | dict(processors)
    pairs = []
    tell = progress or silent
    tell(0, len(work))
    for done, (number, index, repeat) in enumerate(work):
        run_seed = derived_seed(seed, number, index, repeat)
        lesions = plan_lesions(
            scans[number],
            slice_index=index,
            kinds=kinds,
            resolution_mm=resolution_mm,
            separation_mm=observer.roi_mm,
            border_mm=observer.roi_mm / 2 + 1,
            seed=run_seed,
        )
        slab = slab_around(scans[number], index, context=context)
        pairs.append(_read_slab(slab, lesions, degraders[number], images, observer, run_seed))
        tell(done + 1, len(work))
    spacing = scans[0].geometry.spacing_mm[1:]
    return _table(_merge(pairs), observer, spacing, LOW_DOSE, resamples, seed)


def slab_around(volume: Volume, index: int, *, context: int) -> Volume:
    """The slice ``index`` with ``context`` neighbours on each side, edge slices repeated."""
    wanted = np.arange(index - context, index + context + 1)
    inside = np.clip(wanted, 0, len(volume.array) - 1)
    x, y, z = (float(value) for value in volume.geometry.position_mm(float(wanted[0])))
    geometry = replace(
        volume.geometry,
        shape=(len(wanted), *volume.geometry.shape[1:]),
        origin_mm=(x, y, z),
    )
    valid = None if volume.valid is None else volume.valid[inside]
    return replace(volume, array=volume.array[inside], geometry=geometry, valid=valid)


def detectability(
    reference: Volume,
    test: Volume,
    lesions: Sequence[Lesion],
    *,
    observer: HotellingObserver | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> DetectabilityTable:
    """d' of recorded lesions that both series contain, ratios of test over reference.

    Regions without lesion come from other places of the same slices and tissue.

    Raises:
        ValueError: the series differ in shape, or there are too few lesions of any tissue (then
            an :class:`~isocenter.core.errors.UnsuitableScan`).
    """
    if reference.array.shape != test.array.shape:
        raise ValueError(
            f"the series differ in shape: {reference.array.shape} and {test.array.shape}; "
            "give the same slices of both"
        )
    observer = observer or HotellingObserver()
    spacing = reference.geometry.spacing_mm[1:]
    free = places_without_lesion(reference, lesions, separation_mm=observer.roi_mm, seed=seed)
    with_lesion, without = _matched(reference, lesions, free)
    images = {"reference": reference, "test": test}
    kinds = tuple(lesion.kind for lesion, _ in with_lesion)
    present = [voxel for _, voxel in with_lesion]
    pairs = _Pairs(
        kinds=kinds,
        present={name: _look(observer, volume, present) for name, volume in images.items()},
        absent={name: _look(observer, volume, without) for name, volume in images.items()},
        kept={},
    )
    return _table(pairs, observer, spacing, "reference", resamples, seed)


def _controls(blur_mm: Sequence[float]) -> dict[str, Process]:
    def blur(sigma_mm: float) -> Process:
        return lambda slab: ndimage.gaussian_filter(
            _central(slab.array), [sigma_mm / step for step in slab.geometry.spacing_mm[1:]]
        )

    return {f"gaussian blur {sigma:g} mm": blur(sigma) for sigma in blur_mm}


def _central(image_hu: NDArray) -> NDArray:
    return image_hu if image_hu.ndim == 2 else image_hu[len(image_hu) // 2]


def _read_slab(
    slab: Volume,
    lesions: Sequence[Lesion],
    degrade: Degrade,
    images: Mapping[str, Process],
    observer: HotellingObserver,
    seed: int,
) -> _Pairs:
    """Two readings of one slab, each lesion in one of them."""
    spacing = slab.geometry.spacing_mm[1:]
    places = [np.rint(voxel_of(lesion.position_mm, slab.geometry))[1:] for lesion in lesions]
    centres = np.array(places, dtype=int).reshape(-1, 2)
    first = generator_for(seed, "half").permutation(len(lesions)) % 2 == 0
    readings = []
    for number, chosen in enumerate((first, ~first)):
        here = [lesion for lesion, inside in zip(lesions, chosen, strict=True) if inside]
        noise = generator_for(seed, "noise", number)
        readings.append(_processed(insert_lesions(slab, here), degrade, images, noise))
    return _paired(readings[0], readings[1], lesions, centres, first, observer, spacing)


def _processed(
    slab: Volume, degrade: Degrade, images: Mapping[str, Process], noise: np.random.Generator
) -> dict[str, NDArray]:
    """The central slice in each kind of image."""
    low = replace(slab, array=degrade(slab, noise))
    central = {FULL_DOSE: _central(slab.array), LOW_DOSE: _central(low.array)}
    return central | {name: _central(np.asarray(process(low))) for name, process in images.items()}


def _paired(
    reading: Mapping[str, NDArray],
    other: Mapping[str, NDArray],
    lesions: Sequence[Lesion],
    centres: NDArray,
    in_first: NDArray,
    observer: HotellingObserver,
    spacing_mm: tuple[float, float],
) -> _Pairs:
    half_size = observer.half_size(spacing_mm)
    swapped = in_first[:, None]
    pairs = _Pairs(kinds=tuple(lesion.kind for lesion in lesions), present={}, absent={}, kept={})
    shape = cut_regions(reading[FULL_DOSE] - other[FULL_DOSE], centres, half_size=half_size)
    energy = np.sum(shape**2, axis=(1, 2))
    for name in reading:
        a = observer.responses(reading[name], centres, spacing_mm=spacing_mm)
        b = observer.responses(other[name], centres, spacing_mm=spacing_mm)
        pairs.present[name] = np.where(swapped, a, b)
        pairs.absent[name] = np.where(swapped, b, a)
        change = cut_regions(reading[name] - other[name], centres, half_size=half_size)
        pairs.kept[name] = np.sum(change * shape, axis=(1, 2)) / energy
    return pairs


def _merge(pairs: Sequence[_Pairs]) -> _Pairs:
    names = pairs[0].present
    return _Pairs(
        kinds=tuple(kind for part in pairs for kind in part.kinds),
        present={n: np.concatenate([part.present[n] for part in pairs]) for n in names},
        absent={n: np.concatenate([part.absent[n] for part in pairs]) for n in names},
        kept={n: np.concatenate([part.kept[n] for part in pairs]) for n in names},
    )


def _look(observer: HotellingObserver, volume: Volume, voxels: Sequence[NDArray]) -> NDArray:
    spacing = volume.geometry.spacing_mm[1:]
    return np.concatenate(
        [
            observer.responses(volume.array[int(voxel[0])], voxel[None, 1:], spacing_mm=spacing)
            for voxel in voxels
        ]
    )


def _matched(
    volume: Volume, lesions: Sequence[Lesion], free: Mapping[str, NDArray]
) -> tuple[list[tuple[Lesion, NDArray]], list[NDArray]]:
    """Lesions with their voxels, and as many places without, tissue by tissue."""
    with_lesion: list[tuple[Lesion, NDArray]] = []
    without: list[NDArray] = []
    for tissue, places in free.items():
        of_tissue = [lesion for lesion in lesions if lesion.kind.tissue == tissue]
        for lesion, place in zip(of_tissue, places, strict=False):
            voxel = np.rint(voxel_of(lesion.position_mm, volume.geometry)).astype(int)
            with_lesion.append((lesion, voxel))
            without.append(place)
    if not with_lesion:
        raise ValueError("there is no lesion with a lesion-free place of its tissue in its slice")
    return with_lesion, without


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """One kind of lesion in one kind of image, before comparison with others."""

    kind: LesionKind
    num_places: int
    d_prime: float
    drawn: NDArray
    auc: float
    contrast_kept: float


def _table(
    pairs: _Pairs,
    observer: HotellingObserver,
    spacing_mm: tuple[float, float],
    baseline: str,
    resamples: int,
    seed: int,
) -> DetectabilityTable:
    internal = observer.internal_covariance(spacing_mm)
    measured: dict[str, list[_Measured]] = {name: [] for name in pairs.present}
    left_out = []
    needed = 4 * observer.num_channels
    for tissue in sorted({kind.tissue for kind in pairs.kinds}):
        here = np.array([kind.tissue == tissue for kind in pairs.kinds])
        if here.sum() < needed:
            left_out.append(f"{tissue}: {here.sum()} places found, {needed} are needed")
            continue
        for name in pairs.present:
            measured[name] += _measure(pairs, name, here, internal, resamples, seed)
    if not measured[baseline]:
        raise UnsuitableScan(
            f"too few places for the observer ({'; '.join(left_out) or 'none found'}); "
            "give more slices, scans or repeats",
            reason=TOO_FEW_PLACES,
        )
    return DetectabilityTable(
        baseline=baseline,
        rows=tuple(
            _row(name, *both)
            for name in measured
            for both in zip(measured[name], measured[baseline], strict=True)
        ),
        overall=tuple(
            _overall(name, group, measured[name], measured[baseline], limit_mm)
            for name in measured
            for group, limit_mm in (("all", np.inf), ("small", SMALL_MM))
        ),
        left_out=tuple(left_out),
    )


def _measure(
    pairs: _Pairs,
    name: str,
    here: NDArray,
    internal_covariance: NDArray,
    resamples: int,
    seed: int,
) -> list[_Measured]:
    """Every kind of lesion of one tissue in one kind of image."""
    of_place = [kind for kind, chosen in zip(pairs.kinds, here, strict=True) if chosen]
    kinds = sorted(set(of_place), key=lambda kind: (kind.diameter_mm, abs(kind.contrast_hu)))
    task = np.array([kinds.index(kind) for kind in of_place])
    present, absent = pairs.present[name][here], pairs.absent[name][here]
    whole = hotelling_estimate(present, absent, task=task, internal_covariance=internal_covariance)
    drawn = bootstrap_d_squared(
        present,
        absent,
        draws=_draws_within(task, resamples, seed),
        task=task,
        internal_covariance=internal_covariance,
    )
    areas = held_out_auc(present, absent, task=task, internal_covariance=internal_covariance)
    kept = pairs.kept[name][here] if pairs.kept else np.full(len(task), np.nan)
    return [
        _Measured(
            kind=kind,
            num_places=int(np.sum(task == number)),
            d_prime=float(whole.d_prime[number]),
            drawn=np.sqrt(np.maximum(drawn[:, number], 0)),
            auc=float(areas[number]),
            contrast_kept=float(kept[task == number].mean()),
        )
        for number, kind in enumerate(kinds)
    ]


def _draws_within(task: NDArray, resamples: int, seed: int) -> NDArray:
    """(resamples, places) how often each place counts, the number of each kind unchanged."""
    rng = generator_for(seed, "bootstrap")
    draws = np.zeros((resamples, len(task)))
    for number in np.unique(task):
        members = np.flatnonzero(task == number)
        draws[:, members] = rng.multinomial(
            len(members), np.full(len(members), 1 / len(members)), size=resamples
        )
    return draws


def _row(name: str, measured: _Measured, base: _Measured) -> DetectabilityRow:
    low, high = np.quantile(measured.drawn, _LIMITS)
    ratios = np.exp(_log_ratio(measured.drawn, base.drawn))
    ratio_low, ratio_high = np.quantile(ratios, _LIMITS)
    return DetectabilityRow(
        processing=name,
        lesion=measured.kind.name,
        tissue=measured.kind.tissue,
        diameter_mm=measured.kind.diameter_mm,
        contrast_hu=measured.kind.contrast_hu,
        num_places=measured.num_places,
        d_prime=measured.d_prime,
        d_prime_low=float(low),
        d_prime_high=float(high),
        auc=measured.auc,
        ratio=float(np.exp(_log_ratio(measured.d_prime, base.d_prime))),
        ratio_low=float(ratio_low),
        ratio_high=float(ratio_high),
        contrast_kept=measured.contrast_kept,
    )


def _overall(
    name: str,
    group: str,
    measured: Sequence[_Measured],
    base: Sequence[_Measured],
    limit_mm: float,
) -> OverallRatio:
    both = [
        (m, b)
        for m, b in zip(measured, base, strict=True)
        if m.kind.diameter_mm <= limit_mm and b.d_prime > _SEEN
    ]
    if not both:
        return OverallRatio(
            processing=name, group=group, ratio=np.nan, ratio_low=np.nan, ratio_high=np.nan
        )
    middle = np.mean([_log_ratio(m.d_prime, b.d_prime) for m, b in both])
    drawn = np.mean([_log_ratio(m.drawn, b.drawn) for m, b in both], axis=0)
    low, high = np.exp(np.quantile(drawn, _LIMITS))
    return OverallRatio(
        processing=name,
        group=group,
        ratio=float(np.exp(middle)),
        ratio_low=float(low),
        ratio_high=float(high),
    )


def _log_ratio(d_prime: NDArray | float, base: NDArray | float) -> NDArray:
    """Finite also where chance left a d' of zero."""
    return np.log(np.maximum(d_prime, _LEAST)) - np.log(np.maximum(base, _LEAST))
