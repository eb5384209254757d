"""Two series of the same anatomy, whoever made them: everything we measure, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import UnsuitableScan
from isocenter.core.progress import Progress
from isocenter.core.volume import SliceSource, Volume
from isocenter.evaluation.comparison import (
    COLUMNS,
    Comparison,
    Example,
    NoiseComparison,
    PredictedDetectability,
    Row,
)
from isocenter.evaluation.ct.continuity import (
    PairDifference,
    pair_difference,
    pool_continuity,
)
from isocenter.evaluation.ct.edges import (
    EDGE_KINDS,
    EdgeSpread,
    Sharpness,
    edge_spreads,
    sharpness_of,
)
from isocenter.evaluation.ct.hu import SliceBias, pool_hu_bias, slice_hu_bias
from isocenter.evaluation.ct.noise_power import (
    Region,
    region_power,
    slice_regions,
    spectrum_of,
    without_structured,
)
from isocenter.evaluation.fidelity import PROTOCOLS, Fidelity, Protocol, pool, slice_fidelity
from isocenter.evaluation.lesions.detectability import DetectabilityTable, detectability
from isocenter.evaluation.lesions.lesions import LESION_KINDS, Lesion, LesionKind
from isocenter.evaluation.lesions.observer import prewhitened_detectability
from isocenter.evaluation.matching import matched_slices
from isocenter.image.ct_tissue import BODY_THRESHOLD_HU, body_mask

__all__ = ["COLUMNS", "Comparison", "Row", "evaluate"]

Scan = str | Path | Volume | SliceSource

MOST_PHYSICS_SLICES = 60
BLUR_CONTROL_MM = 0.7
# The edge of lower contrast is nearer to a lesion, if it was measured this well.
_LARGEST_F50_RATIO_ERROR = 0.05
_EDGES_FOR_LESIONS = ("fat to soft tissue", "air or lung to soft tissue")


def evaluate(
    reference: Scan,
    test: Scan,
    *,
    protocols: Sequence[Protocol] = PROTOCOLS,
    lesions: Sequence[Lesion] = (),
    reference_series: str | None = None,
    test_series: str | None = None,
    physics_slices: int = MOST_PHYSICS_SLICES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare a test series with a reference series of the same anatomy.

    Slices are matched by position. One series may be a part of the other; what was compared is in
    the result. Where the body is, which tissue is which, where noise and edges are measured: all is
    decided on the reference.

    Args:
        reference, test: a DICOM file or folder, a volume in HU, or any source of slices.
        lesions: lesions that both series are known to contain, for an observer study.
        reference_series, test_series: which series of a folder with several.
        physics_slices: noise and sharpness are measured on at most so many slices, evenly chosen.
        seed: of the bootstrap.
        progress: called with slices done and slices in all.

    Raises:
        UnsuitableScan: other matrix, pixel spacing, orientation or position, or not in HU.
    """
    first, second = _opened(reference, reference_series), _opened(test, test_series)
    pairs = matched_slices(first.geometry, second.geometry)
    spacing_mm = first.geometry.spacing_mm
    found = _Found(protocols=tuple(protocols), spacing_mm=spacing_mm[1:])
    chosen = _evenly(len(pairs), physics_slices)
    for number, pair in enumerate(pairs):
        found.add(_matched(first, second, pair), physics=number in chosen)
        if progress is not None:
            progress(number + 1, len(pairs))
    noise, sharpness = found.noise(), found.sharpness()
    observed = _observed(first, second, pairs, lesions, seed) if lesions else (None, None)
    return Comparison(
        pairs=tuple(pairs),
        num_slices=(first.geometry.shape[0], second.geometry.shape[0]),
        spacing_mm=spacing_mm,
        acquisitions=(first.acquisition, second.acquisition),
        fidelity=tuple(pool(parts) for parts in found.fidelity),
        fidelity_of_slices=tuple(tuple(parts) for parts in found.fidelity),
        hu_bias=pool_hu_bias(found.bias, seed=seed),
        noise=noise,
        sharpness=sharpness,
        continuity=pool_continuity(found.differences),
        predicted_detectability=_predicted(noise, sharpness),
        detectability=observed[0],
        blurred_detectability=observed[1],
        physics_slices=len(chosen),
        seed=seed,
        example=_example(_matched(first, second, pairs[found.most_telling()]), spacing_mm[1:]),
    )


@dataclass(frozen=True)
class _Pair:
    """One matched pair of slices and the reference's body, all (row, column)."""

    reference_index: int
    reference_hu: NDArray
    test_hu: NDArray
    valid: NDArray
    body: NDArray


@dataclass
class _Found:
    """Everything gathered slice by slice; it holds no image but the last pair."""

    protocols: tuple[Protocol, ...]
    spacing_mm: tuple[float, float]
    bias: list[SliceBias] = field(default_factory=list)
    differences: list[PairDifference] = field(default_factory=list)
    regions: list[tuple[Region, tuple[NDArray, NDArray, NDArray]]] = field(default_factory=list)
    spreads: dict[str, list[tuple[EdgeSpread, EdgeSpread]]] = field(default_factory=dict)
    fidelity: list[list[Fidelity]] = field(default_factory=list)
    _air_and_tissue: list[tuple[int, int]] = field(default_factory=list)
    _last: _Pair | None = None

    def __post_init__(self) -> None:
        self.fidelity = [[] for _ in self.protocols]

    def add(self, pair: _Pair, *, physics: bool) -> None:
        """Measure one pair; neighbours must come one after the other."""
        for protocol, parts in zip(self.protocols, self.fidelity, strict=True):
            mask = pair.body if protocol.mask_policy == "inside the body" else pair.valid
            parts.append(
                slice_fidelity(pair.reference_hu, pair.test_hu, protocol=protocol, mask=mask)
            )
        self.bias += slice_hu_bias(
            pair.reference_hu, pair.test_hu, spacing_mm=self.spacing_mm, body=pair.body
        )
        if physics:
            self._add_noise(pair)
            self._add_edges(pair)
        self._add_difference(pair)
        air = int((pair.body & (pair.reference_hu < BODY_THRESHOLD_HU)).sum())
        self._air_and_tissue.append((air, int(pair.body.sum()) - air))
        self._last = pair

    def noise(self) -> NoiseComparison | None:
        """Spectra over all regions but those far more structured than the rest."""
        kept = set(without_structured([region for region, _ in self.regions]))
        powers = [power for region, power in self.regions if region in kept]
        reference, test, difference = (
            spectrum_of((power[which] for power in powers), spacing_mm=self.spacing_mm)
            for which in range(3)
        )
        if reference is None or test is None or difference is None:
            return None
        return NoiseComparison(
            reference=reference,
            test=test,
            difference=difference,
            regions=tuple(region for region, _ in self.regions if region in kept),
        )

    def sharpness(self) -> dict[str, Sharpness]:
        """Sharpness of each kind of edge that was found often enough."""
        found = {
            name: sharpness_of(spreads, spacing_mm=self.spacing_mm)
            for name, spreads in self.spreads.items()
        }
        return {name: each for name, each in found.items() if each is not None}

    def most_telling(self) -> int:
        """The pair that shows the most of both lung and soft tissue, else the middle one."""
        less = [min(both) for both in self._air_and_tissue]
        best = int(np.argmax(less))
        return best if less[best] > 0.02 * sum(self._air_and_tissue[best]) else len(less) // 2

    def _add_noise(self, pair: _Pair) -> None:
        images = (pair.reference_hu, pair.test_hu, pair.test_hu - pair.reference_hu)
        for region in slice_regions(
            pair.reference_hu,
            spacing_mm=self.spacing_mm,
            body=pair.body,
            slice_index=pair.reference_index,
        ):
            reference, test, difference = (
                region_power(image, region, spacing_mm=self.spacing_mm) for image in images
            )
            self.regions.append((region, (reference, test, difference)))

    def _add_edges(self, pair: _Pair) -> None:
        for kind in EDGE_KINDS:
            spreads = edge_spreads(
                pair.reference_hu,
                pair.test_hu,
                kind=kind,
                spacing_mm=self.spacing_mm,
                body=pair.body,
            )
            if spreads is not None:
                self.spreads.setdefault(kind.name, []).append(spreads)

    def _add_difference(self, pair: _Pair) -> None:
        last = self._last
        if last is not None and pair.reference_index == last.reference_index + 1:
            self.differences.append(
                pair_difference(
                    (last.reference_hu, pair.reference_hu),
                    (last.test_hu, pair.test_hu),
                    masks=(last.body, pair.body),
                )
            )


def _opened(scan: Scan, series: str | None) -> SliceSource:
    if isinstance(scan, str | Path):
        from isocenter.dicom.reading.open import open_ct_series

        return open_ct_series(scan, series=series, accept_enhanced=True)
    if not isinstance(scan, Volume):
        return scan
    if scan.unit != "HU":
        raise UnsuitableScan(
            f"Cannot compare: a volume in {scan.unit!r} arrived. Accepted are volumes in HU; "
            "rescale it first.",
            reason="unit",
        )
    return scan.slices()


def _matched(first: SliceSource, second: SliceSource, pair: tuple[int, int]) -> _Pair:
    reference_hu, test_hu = first.values(pair[0]), second.values(pair[1])
    valid = first.valid(pair[0]) & second.valid(pair[1])
    return _Pair(
        reference_index=pair[0],
        reference_hu=reference_hu,
        test_hu=test_hu,
        valid=valid,
        body=body_mask(reference_hu, valid=valid) & valid,
    )


def _evenly(count: int, most: int) -> frozenset[int]:
    return frozenset(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist())


def _example(pair: _Pair, spacing_mm: tuple[float, float]) -> Example:
    return Example(
        reference_index=pair.reference_index,
        # Copies, so that the whole scan need not stay in memory.
        reference_hu=pair.reference_hu.astype(np.float32),
        test_hu=pair.test_hu.astype(np.float32),
        body=pair.body,
        spacing_mm=spacing_mm,
    )


def _predicted(
    noise: NoiseComparison | None, sharpness: dict[str, Sharpness]
) -> tuple[PredictedDetectability, ...]:
    edge = next(
        (
            name
            for name in _EDGES_FOR_LESIONS
            if name in sharpness and sharpness[name].f50_ratio_error <= _LARGEST_F50_RATIO_ERROR
        ),
        None,
    )
    if noise is None or edge is None:
        return ()
    frequency = sharpness[edge].reference.frequency_per_mm
    blur = np.exp(-2 * (np.pi * BLUR_CONTROL_MM * frequency) ** 2)
    before, after = sharpness[edge].reference.transfer, sharpness[edge].test.transfer
    power_before, power_after = (
        np.interp(frequency, spectrum.radial_frequency_per_mm, spectrum.radial_power_hu2_mm2)
        for spectrum in (noise.reference, noise.test)
    )

    def d_prime(transfer: NDArray, power: NDArray, kind: LesionKind) -> float:
        return prewhitened_detectability(
            frequency,
            transfer,
            frequency,
            power,
            diameter_mm=kind.diameter_mm,
            contrast_hu=kind.contrast_hu,
        )

    return tuple(
        PredictedDetectability(
            kind=kind,
            reference=d_prime(before, power_before, kind),
            test=d_prime(after, power_after, kind),
            control=d_prime(after * blur, power_after * blur**2, kind),
            edge=edge,
        )
        for kind in LESION_KINDS
        if kind.tissue == "soft"
    )


def _observed(
    first: SliceSource,
    second: SliceSource,
    pairs: Sequence[tuple[int, int]],
    lesions: Sequence[Lesion],
    seed: int,
) -> tuple[DetectabilityTable, DetectabilityTable]:
    """The observer on recorded lesions in test and blurred test, where both series have slices."""
    indices = [index for index, _ in pairs]
    if indices != list(range(indices[0], indices[-1] + 1)):
        raise UnsuitableScan(
            "Cannot study lesions: the slices that both series hold have gaps. Accepted is an "
            "unbroken run; leave the lesions out to compare everything else.",
            reason="position",
        )
    origin_mm = first.geometry.position_mm(indices[0])
    geometry = replace(
        first.geometry,
        shape=(len(pairs), *first.geometry.shape[1:]),
        origin_mm=(float(origin_mm[0]), float(origin_mm[1]), float(origin_mm[2])),
    )
    reference, test = (
        Volume(array=np.stack(images), geometry=geometry, unit="HU")
        for images in (
            [first.values(index) for index, _ in pairs],
            [second.values(index) for _, index in pairs],
        )
    )
    sigma = (0.0, *(BLUR_CONTROL_MM / step for step in geometry.spacing_mm[1:]))
    blurred = replace(test, array=ndimage.gaussian_filter(test.array, sigma))
    return (
        detectability(reference, test, lesions, seed=seed),
        detectability(reference, blurred, lesions, seed=seed),
    )
