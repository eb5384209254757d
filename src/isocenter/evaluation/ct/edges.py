"""Edge sharpness: task transfer functions from edges that a scan happens to hold.

A phantom would have rods; a patient has skin, pleura, fat against muscle, and cortical bone. The
edges are found on the reference as contours of one HU value, and kept where both sides are flat.
The anatomy's own slope is in the result, so compare images of one scan by their ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.ct.windows import find_body
from isocenter.evaluation.measure import Pair, array_pairs, measure
from isocenter.image.ct_tissue import body_mask

ARC_MM = 8.0
# The contour is drawn at this step, on the reference smoothed by this much, and smoothed along
# itself, so that noise does not wrinkle it.
_CONTOUR_STEP_MM = 0.2
_CONTOUR_SMOOTHING_MM = 0.7
_ALONG_SMOOTHING_MM = 1.5
# Flat: the near and the far half of a side differ by less than this part of the contrast.
_FLATNESS = 0.1
_FEWEST_ARCS = 8
_BINS_A_PIXEL = 4
_LARGEST_RATIO_ERROR = 0.15
# Arcs are dealt to this many groups; leaving each out in turn tells how sure a result is.
_GROUPS = 10


@dataclass(frozen=True, kw_only=True)
class EdgeKind:
    """Which edges belong together: sharpness of non-linear methods depends on contrast.

    Attributes:
        contour_hu: where the edge is drawn.
        dark_hu, bright_hu: ranges of the mean on either side.
        plateau_mm: distance from the edge at which its sides begin.
        reach_mm: distance at which they end.
    """

    name: str
    contour_hu: float
    dark_hu: tuple[float, float]
    bright_hu: tuple[float, float]
    plateau_mm: float = 3.0
    reach_mm: float = 7.0


EDGE_KINDS = (
    EdgeKind(
        name="air or lung to soft tissue",
        contour_hu=-500.0,
        dark_hu=(-1100.0, -700.0),
        bright_hu=(-160.0, 200.0),
    ),
    EdgeKind(
        name="fat to soft tissue",
        contour_hu=-25.0,
        dark_hu=(-160.0, -60.0),
        bright_hu=(10.0, 200.0),
    ),
    EdgeKind(
        name="soft tissue to bone",
        contour_hu=250.0,
        dark_hu=(-20.0, 160.0),
        bright_hu=(350.0, 2500.0),
        plateau_mm=2.0,
        reach_mm=4.0,
    ),
)


@dataclass(frozen=True, kw_only=True)
class EdgeSpread:
    """Sums of the edge spread function over arcs; spreads of one kind and spacing add up.

    Attributes:
        kind: which edges.
        step_mm: width of a bin; the bins are centred on the edge.
        sums, counts: normalized values (0 dark, 1 bright) and number of pixels, (group, bin).
        contrast_hu: sum over arcs of bright minus dark.
        num_arcs: how many arcs were pooled.
    """

    kind: EdgeKind
    step_mm: float
    sums: NDArray
    counts: NDArray
    contrast_hu: float
    num_arcs: int

    def __add__(self, other: EdgeSpread) -> EdgeSpread:
        return replace(
            self,
            sums=self.sums + other.sums,
            counts=self.counts + other.counts,
            contrast_hu=self.contrast_hu + other.contrast_hu,
            num_arcs=self.num_arcs + other.num_arcs,
        )

    @property
    def distance_mm(self) -> NDArray:
        """Centre of each bin, negative on the dark side."""
        num_bins = self.sums.shape[1]
        return (np.arange(num_bins) - num_bins // 2) * self.step_mm

    def without_group(self, group: int) -> EdgeSpread:
        """The same without the arcs of one group; ``num_arcs`` and contrast stay."""
        kept = np.arange(_GROUPS) != group
        return replace(self, sums=self.sums[kept], counts=self.counts[kept])


@dataclass(frozen=True, kw_only=True)
class TransferFunction:
    """Contrast that survives, over spatial frequency.

    Attributes:
        frequency_per_mm, transfer: up to the Nyquist frequency; 1 at frequency zero.
        contrast_hu: mean contrast of the edges in the reference.
        num_arcs: arcs of 8 mm that were pooled.
    """

    kind: EdgeKind
    frequency_per_mm: NDArray
    transfer: NDArray
    contrast_hu: float
    num_arcs: int

    def frequency_at(self, level: float) -> float:
        """Where the transfer first falls to a level, in 1/mm; NaN where it never does."""
        below = np.flatnonzero(self.transfer < level)
        if not below.size or below[0] == 0:
            return math.nan
        last = below[0]
        high, low = self.transfer[last - 1], self.transfer[last]
        step = self.frequency_per_mm[last] - self.frequency_per_mm[last - 1]
        return float(self.frequency_per_mm[last - 1] + step * (high - level) / (high - low))

    @property
    def f50_per_mm(self) -> float:
        """Frequency at which half of the contrast survives."""
        return self.frequency_at(0.5)

    @property
    def f10_per_mm(self) -> float:
        """Frequency at which a tenth of the contrast survives."""
        return self.frequency_at(0.1)


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """Transfer functions of reference and test on the same edges.

    Attributes:
        f50_ratio_error: standard error of ``f50_ratio`` from leaving out a tenth of the arcs in
            turn; NaN where some part gave no f50.
    """

    reference: TransferFunction
    test: TransferFunction
    f50_ratio_error: float = math.nan

    @property
    def is_sure(self) -> bool:
        """Whether there were enough clean edges for the ratio to mean something."""
        return self.f50_ratio_error <= _LARGEST_RATIO_ERROR

    @property
    def f50_ratio(self) -> float:
        """Test over reference at half the contrast; 1 keeps sharpness, below 1 blurs."""
        return self.test.f50_per_mm / self.reference.f50_per_mm

    @property
    def f10_ratio(self) -> float:
        """Test over reference at a tenth of the contrast."""
        return self.test.f10_per_mm / self.reference.f10_per_mm


def edge_spreads(
    reference_hu: NDArray,
    test_hu: NDArray,
    *,
    kind: EdgeKind,
    spacing_mm: tuple[float, float],
    body: NDArray | None = None,
) -> tuple[EdgeSpread, EdgeSpread] | None:
    """Edge spread of both images along the edges of one (row, column) slice of the reference.

    Both are normalized by the reference's sides, so a test that loses contrast shows it.

    Args:
        body: mask of the patient, so that couch and clothes are left out.

    Returns:
        Spread of the reference and of the test; None where no edge fits.
    """
    inside = body_mask(reference_hu) if body is None else body
    contour = _contour(reference_hu, kind, spacing_mm, inside)
    if contour is None:
        return None
    pixels = _pixels_near(contour, reference_hu.shape, kind, spacing_mm)
    arcs = _flat_arcs(reference_hu, pixels, kind, spacing_mm)
    if not arcs.any_kept:
        return None
    images = (reference_hu, test_hu)
    reference, test = (_binned(image, pixels, arcs, kind, spacing_mm) for image in images)
    return reference, test


def task_transfer_function(
    spread: EdgeSpread, *, spacing_mm: tuple[float, float]
) -> TransferFunction | None:
    """Transfer function of a pooled edge spread.

    Derivative, taper from half the reach outwards, Fourier transform, with binning and difference
    divided out. None where fewer than 8 arcs were pooled.

    Source: AAPM Report 233, 2019; Richard et al., Med. Phys. 39:4115, 2012.
    """
    if spread.num_arcs < _FEWEST_ARCS:
        return None
    distance_mm = spread.distance_mm
    sums, counts = spread.sums.sum(axis=0), spread.counts.sum(axis=0)
    seen = counts > 0
    edge = np.interp(distance_mm, distance_mm[seen], sums[seen] / counts[seen])
    line = np.gradient(edge, spread.step_mm) * _taper(distance_mm, spread.kind.reach_mm)
    nyquist = 0.5 / max(spacing_mm)
    frequency = np.linspace(0, nyquist, 101)
    wave = np.exp(-2j * np.pi * frequency[:, None] * distance_mm)
    blur = np.sinc(frequency * spread.step_mm) * np.sinc(2 * frequency * spread.step_mm)
    transfer = np.abs(wave @ line) / blur
    if not transfer[0] > 0:
        return None
    return TransferFunction(
        kind=spread.kind,
        frequency_per_mm=frequency,
        transfer=transfer / transfer[0],
        contrast_hu=spread.contrast_hu / spread.num_arcs,
        num_arcs=spread.num_arcs,
    )


def sharpness_of(
    pooled: tuple[EdgeSpread, EdgeSpread], *, spacing_mm: tuple[float, float]
) -> Sharpness | None:
    """From the pooled spreads of reference and test; None where too few edges were found."""
    sharpness = _sharpness(pooled, spacing_mm)
    if sharpness is None:
        return None
    parts = [
        _sharpness((pooled[0].without_group(group), pooled[1].without_group(group)), spacing_mm)
        for group in range(_GROUPS)
    ]
    ratios = np.array([math.nan if part is None else part.f50_ratio for part in parts])
    error = math.sqrt(_GROUPS - 1) * float(ratios.std())
    return replace(sharpness, f50_ratio_error=error)


def _sharpness(
    spreads: tuple[EdgeSpread, EdgeSpread], spacing_mm: tuple[float, float]
) -> Sharpness | None:
    reference, test = (task_transfer_function(each, spacing_mm=spacing_mm) for each in spreads)
    if reference is None or test is None:
        return None
    return Sharpness(reference=reference, test=test)


class SharpnessMeter:
    """Sharpness of each kind of edge over the pairs that it is given.

    Args:
        kinds: which edges.
    """

    def __init__(self, kinds: Sequence[EdgeKind] = EDGE_KINDS) -> None:
        self._kinds = tuple(kinds)
        self._spacing_mm = (1.0, 1.0)
        self._pooled: dict[str, tuple[EdgeSpread, EdgeSpread]] = {}

    def add(self, pair: Pair, /) -> None:
        """Take in one pair; spreads add up, so memory does not grow.

        Raises:
            ValueError: its pixel spacing is not that of the pairs before.
        """
        if self._pooled and pair.spacing_mm != self._spacing_mm:
            raise ValueError(
                f"edges on pixels of {self._spacing_mm} mm and {pair.spacing_mm} mm cannot be "
                "pooled; measure each series by a meter of its own"
            )
        self._spacing_mm = pair.spacing_mm
        for kind in self._kinds:
            found = edge_spreads(
                pair.reference, pair.test, kind=kind, spacing_mm=pair.spacing_mm, body=pair.body
            )
            if found is not None:
                before = self._pooled.get(kind.name)
                self._pooled[kind.name] = (
                    found if before is None else (before[0] + found[0], before[1] + found[1])
                )

    def result(self) -> dict[str, Sharpness]:
        """Sharpness of each kind of edge that was found often enough."""
        found = {
            name: sharpness_of(pooled, spacing_mm=self._spacing_mm)
            for name, pooled in self._pooled.items()
        }
        return {name: each for name, each in found.items() if each is not None}


def edge_sharpness(
    reference_hu: NDArray,
    test_hu: NDArray,
    *,
    spacing_mm: tuple[float, float, float],
    mask: NDArray | None = None,
    kinds: Sequence[EdgeKind] = EDGE_KINDS,
) -> dict[str, Sharpness]:
    """Sharpness of a volume (slice, row, column), for each kind of edge it holds enough of."""
    meter = SharpnessMeter(kinds)
    measure(
        array_pairs(reference_hu, test_hu, spacing_mm=spacing_mm, mask=mask, find_body=find_body),
        [meter],
    )
    return meter.result()


@dataclass(frozen=True)
class _Contour:
    """Points (row, column in mm), unit normals towards the bright side, and arc of each point."""

    point_mm: NDArray
    normal: NDArray
    arc: NDArray


@dataclass(frozen=True)
class _Pixels:
    """Pixels near a contour: flat index, signed distance, arc."""

    index: NDArray
    distance_mm: NDArray
    arc: NDArray


@dataclass(frozen=True)
class _Arcs:
    """Which arcs are kept, and the HU of their sides."""

    kept: NDArray
    dark_hu: NDArray
    bright_hu: NDArray

    @property
    def any_kept(self) -> bool:
        return bool(self.kept.any())


def _contour(
    image_hu: NDArray, kind: EdgeKind, spacing_mm: tuple[float, float], inside: NDArray
) -> _Contour | None:
    from skimage.measure import find_contours

    sigma = [_CONTOUR_SMOOTHING_MM / step for step in spacing_mm]
    smooth = ndimage.gaussian_filter(image_hu.astype(np.float64), sigma)
    margin = [max(1, round(2.0 / step)) for step in spacing_mm]
    near_body = ndimage.maximum_filter(inside, [2 * pixels + 1 for pixels in margin])
    parts, first_arc = [], 0
    for line in find_contours(smooth, kind.contour_hu, mask=near_body):
        part = _along(line * spacing_mm, first_arc)
        if part is not None:
            parts.append(part)
            first_arc = int(part.arc[-1]) + 1
    if not parts:
        return None
    points = np.concatenate([part.point_mm for part in parts])
    normals = np.concatenate([part.normal for part in parts])
    ahead, behind = (
        ndimage.map_coordinates(smooth, ((points + s * normals) / spacing_mm).T, order=1)
        for s in (0.5, -0.5)
    )
    sign = np.where(ahead >= behind, 1.0, -1.0)
    arc = np.concatenate([part.arc for part in parts])
    return _Contour(points, normals * sign[:, None], arc)


def _along(line_mm: NDArray, first_arc: int) -> _Contour | None:
    """Draw a line again in even steps, smooth it along itself and cut it into arcs."""
    length = np.concatenate([[0.0], np.hypot(*np.diff(line_mm, axis=0).T).cumsum()])
    if length[-1] < 2 * ARC_MM:
        return None
    even = np.arange(0.0, length[-1], _CONTOUR_STEP_MM)
    drawn = np.stack([np.interp(even, length, axis) for axis in line_mm.T], axis=1)
    closed = bool(np.allclose(line_mm[0], line_mm[-1]))
    mode = "wrap" if closed else "nearest"
    sigma = _ALONG_SMOOTHING_MM / _CONTOUR_STEP_MM
    point = ndimage.gaussian_filter1d(drawn, sigma, axis=0, mode=mode)
    tangent = ndimage.gaussian_filter1d(drawn, sigma, axis=0, mode=mode, order=1)
    size = np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.maximum(size, 1e-9)
    return _Contour(point, normal, first_arc + (even / ARC_MM).astype(int))


def _pixels_near(
    contour: _Contour, shape: tuple[int, ...], kind: EdgeKind, spacing_mm: tuple[float, float]
) -> _Pixels:
    from scipy.spatial import KDTree

    grid = np.ones(shape, bool)
    nearest_pixel = np.rint(contour.point_mm / spacing_mm).astype(int)
    nearest_pixel = np.clip(nearest_pixel, 0, np.array(shape) - 1)
    grid[nearest_pixel[:, 0], nearest_pixel[:, 1]] = False
    reach_mm = kind.reach_mm + max(spacing_mm)
    close = np.argwhere(ndimage.distance_transform_edt(grid, sampling=spacing_mm) < reach_mm)
    place_mm = close * np.array(spacing_mm)
    _, nearest = KDTree(contour.point_mm).query(place_mm)
    offset = place_mm - contour.point_mm[nearest]
    signed = (offset * contour.normal[nearest]).sum(axis=1)
    aside = np.abs((offset[:, ::-1] * contour.normal[nearest] * (1, -1)).sum(axis=1))
    # Beyond the end of a line the nearest point lies aside, not ahead.
    ahead = (aside < 1.0) & (np.abs(signed) <= kind.reach_mm)
    index = np.ravel_multi_index(tuple(close[ahead].T), shape)
    return _Pixels(index, signed[ahead], contour.arc[nearest[ahead]])


def _flat_arcs(
    image_hu: NDArray, pixels: _Pixels, kind: EdgeKind, spacing_mm: tuple[float, float]
) -> _Arcs:
    """Keep arcs whose sides are seen, flat and within the ranges of the kind."""
    value = image_hu.ravel()[pixels.index].astype(np.float64)
    num_arcs = int(pixels.arc.max()) + 1 if pixels.arc.size else 0
    middle = (kind.plateau_mm + kind.reach_mm) / 2
    full = ARC_MM * (kind.reach_mm - middle) / (spacing_mm[0] * spacing_mm[1])

    def mean_between(low_mm: float, high_mm: float) -> tuple[NDArray, NDArray, NDArray]:
        chosen = (pixels.distance_mm >= low_mm) & (pixels.distance_mm <= high_mm)
        arc, values = pixels.arc[chosen], value[chosen]
        count = np.bincount(arc, minlength=num_arcs)
        mean = np.bincount(arc, weights=values, minlength=num_arcs) / np.maximum(count, 1)
        square = np.bincount(arc, weights=values**2, minlength=num_arcs) / np.maximum(count, 1)
        variance = np.maximum(square - mean**2, 0.0)
        return mean, variance / np.maximum(count, 1), count > 0.5 * full

    dark_near, dark_near_error, dark_near_seen = mean_between(-middle, -kind.plateau_mm)
    dark_far, dark_far_error, dark_far_seen = mean_between(-kind.reach_mm, -middle)
    bright_near, bright_near_error, bright_near_seen = mean_between(kind.plateau_mm, middle)
    bright_far, bright_far_error, bright_far_seen = mean_between(middle, kind.reach_mm)
    dark, bright = (dark_near + dark_far) / 2, (bright_near + bright_far) / 2
    contrast = bright - dark
    kept = dark_near_seen & dark_far_seen & bright_near_seen & bright_far_seen
    kept &= (dark > kind.dark_hu[0]) & (dark < kind.dark_hu[1])
    kept &= (bright > kind.bright_hu[0]) & (bright < kind.bright_hu[1])
    for near, far, error in (
        (dark_near, dark_far, dark_near_error + dark_far_error),
        (bright_near, bright_far, bright_near_error + bright_far_error),
    ):
        kept &= np.abs(near - far) < _FLATNESS * np.abs(contrast) + 2 * np.sqrt(error)
    return _Arcs(kept, dark, bright)


def _binned(
    image_hu: NDArray,
    pixels: _Pixels,
    arcs: _Arcs,
    kind: EdgeKind,
    spacing_mm: tuple[float, float],
) -> EdgeSpread:
    step_mm = min(spacing_mm) / _BINS_A_PIXEL
    half = math.ceil(kind.reach_mm / step_mm)
    chosen = arcs.kept[pixels.arc]
    arc = pixels.arc[chosen]
    contrast_hu = arcs.bright_hu - arcs.dark_hu
    value = image_hu.ravel()[pixels.index[chosen]].astype(np.float64)
    normalized = (value - arcs.dark_hu[arc]) / contrast_hu[arc]
    num_bins = 2 * half + 1
    bin_of = np.rint(pixels.distance_mm[chosen] / step_mm).astype(int) + half
    bin_of += arc % _GROUPS * num_bins
    sums = np.bincount(bin_of, weights=normalized, minlength=_GROUPS * num_bins)
    counts = np.bincount(bin_of, minlength=_GROUPS * num_bins)
    return EdgeSpread(
        kind=kind,
        step_mm=step_mm,
        sums=sums.reshape(_GROUPS, num_bins),
        counts=counts.reshape(_GROUPS, num_bins),
        contrast_hu=float(contrast_hu[arcs.kept].sum()),
        num_arcs=int(arcs.kept.sum()),
    )


def _taper(distance_mm: NDArray, reach_mm: float) -> NDArray:
    """1 up to half the reach, then a cosine down to 0."""
    outside = np.clip(2 * np.abs(distance_mm) / reach_mm - 1, 0, 1)
    return 0.5 * (1 + np.cos(np.pi * outside))
