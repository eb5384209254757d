"""Images of a head: bent, cut into slices, with what a scanner does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.checks import check_least
from isocenter.core.seeds import generator_for
from isocenter.physics.mr_imaging import (
    coil_gain,
    distorted,
    echo_planar_blur,
    echo_planar_shift,
    moved_during_scan,
    thick_slices,
)
from isocenter.physics.mr_signal import rician
from isocenter.physics.phantom.anatomy import upsampled
from isocenter.physics.phantom.choices import ADC, DIFFUSION, LESION_NAMES
from isocenter.physics.phantom.head import SimulatedHead
from isocenter.physics.phantom.sequences import (
    ECHO_PLANAR,
    Sequence,
)
from isocenter.physics.smooth_fields import SlicedField, nodes_for

# Of the whole head, drawn anew for each: none is as it was measured.
_TURN_DEG, _SCALE, _SHEAR, _SHIFT_MM = 7.0, 0.06, 0.03, 4.0
_BEND_MM, _BEND_WAVE_MM = 2.2, 55.0
# A fine bend takes the steps of the map's voxels away, as nobody's cortex has such.
_FINE_MM, _FINE_WAVE_MM = 0.35, 4.0
_NOISE_SHARE = (0.010, 0.028)  # of the signal of the brain
_DIFFUSION_NOISE_SHARE = (0.015, 0.035)  # of that of b0
_AVERAGES = 3.0  # more images are averaged with diffusion weighting
_COIL_STRENGTH = (0.03, 0.12)
_MOTION_SHARE, _MOTION_MM, _MOTION_RUNS = 0.2, (0.15, 0.7), 6
_POINT_SPREAD_MM = (0.35, 0.6)
_FIELD_OF_VIEW_MM = 230.0  # that a matrix of lines is acquired of
_READOUT_OVER_T2 = 0.4
_SCALE_TO = (250.0, 700.0)  # signal of the brain in arbitrary units
_HIGHEST_ADC = 4000.0
_LEAST_B0_SHARE = 0.08  # of the brain's: below, there is nothing to divide
_EDGE_OF_BRAIN = 0.5


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Transverse slices that all contrasts share.

    Attributes:
        shape: slices, rows, columns.
        spacing_mm: between slices, rows and columns.
        thickness_mm: of a slice.
        middle_mm: how far up from the middle of the brain the middle of all slices lies.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    thickness_mm: float
    middle_mm: float = 0.0

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or not min(self.spacing_mm) > 0 or not self.thickness_mm > 0:
            raise ValueError(
                f"needs positive sizes, spacings and thickness, got {self.shape}, "
                f"{self.spacing_mm} and {self.thickness_mm:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Flaws:
    """How far scanning falls short, each over what is usual: 0 for none, 1 for usual.

    Attributes:
        noise: standard deviation.
        others: unevenness of coils, motion, distortion and blur of echo-planar images.
        bending: how far a head is turned, scaled and bent from its map.
    """

    noise: float = 1.0
    others: float = 1.0
    bending: float = 1.0

    def __post_init__(self) -> None:
        for name in ("noise", "others", "bending"):
            check_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """One slice of all contrasts, and what is true there; all (row, column).

    Attributes:
        index: of the slice, from 0.
        images: by contrast, float32; arbitrary units, ADC in µm²/s.
        adc_um2_s: without noise and distortion, thick slices and partial volume included.
        tissues: uint8 numbers of tissues at the middle of the slice.
        lesions: uint8 place in ``LESION_NAMES`` from 1, where a lesion takes half of a voxel.
        brain: bool, brain with its ventricles and narrow sulci.
    """

    index: int
    images: dict[str, NDArray[np.float32]]
    adc_um2_s: NDArray[np.float32]
    tissues: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    brain: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What is drawn for one contrast."""

    sequence: Sequence
    scale: float
    sigma: float
    coil: SlicedField
    coil_strength: float
    shifts_mm: NDArray | None
    point_spread_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """One head in one scanner; slices are made as they are asked for, in any order.

    Attributes:
        head: what is scanned.
        sequences: how, by contrast.
        grid: where.
        seed: decides pose, coils, motion and noise.
        flaws: how far all that goes.
        with_adc: whether the ADC is worked out from b0 and b1000.
    """

    head: SimulatedHead
    sequences: dict[str, Sequence]
    grid: Grid
    seed: int
    flaws: Flaws = field(default_factory=Flaws)
    with_adc: bool = False

    def slices(self) -> Iterator[Slice]:
        """All of them, from the feet up."""
        make = self.prepared()
        for index in range(self.grid.shape[0]):
            yield make(index)

    def prepared(self) -> Callable[[int], Slice]:
        """A call that makes one slice, once what all of them share is worked out.

        Raises:
            ValueError: ADC is wanted without b0 and b1000.
        """
        if self.with_adc and not set(DIFFUSION) <= set(self.sequences):
            raise ValueError("ADC is worked out from b0 and b1000; simulate both")
        return _Prepared(self)


class _Prepared:
    """What all slices of a scan share."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        head = scan.head
        self._pose = _Pose(scan.grid, head, scan.seed, scan.flaws.bending)
        signals = {name: head.signal(one) for name, one in scan.sequences.items()}
        references = {name: head.reference(one) for name, one in signals.items()}
        self._looks = {name: self._look(name, references) for name in signals}
        self._lesions = head.lesion_names
        shape = head.anatomy.tissues.shape
        stack = [*signals.values(), *(head.lesion_share(name) for name in self._lesions)]
        stack.append(upsampled(head.field_ppm, shape))
        stack.append(head.anatomy.brain.astype(np.float32))
        self._stack = np.stack(stack)
        self._b0_reference = references.get("b0", 0.0)

    def _look(self, name: str, references: dict[str, float]) -> _Look:
        scan, flaws = self._scan, self._scan.flaws
        # Both weightings of diffusion come from one sequence.
        shared = "diffusion" if name in DIFFUSION else name
        rng = generator_for(scan.seed, "look", shared)
        reference = references["b0" if name in DIFFUSION and "b0" in references else name]
        sequence = scan.sequences[name]
        is_planar = sequence.kind == ECHO_PLANAR
        share = float(rng.uniform(*(_DIFFUSION_NOISE_SHARE if is_planar else _NOISE_SHARE)))
        if name == "b1000":
            share /= np.sqrt(_AVERAGES)
        scale = float(rng.uniform(*_SCALE_TO)) / max(reference, 1e-6)
        strength = float(rng.uniform(*_COIL_STRENGTH)) * flaws.others
        moves = rng.random() < _MOTION_SHARE and not is_planar
        size = float(rng.uniform(*_MOTION_MM)) * flaws.others
        shifts = np.cumsum(rng.standard_normal((_MOTION_RUNS, 2)), 0) * size / 2
        rows, columns = scan.grid.shape[1:]
        return _Look(
            sequence=sequence,
            scale=scale,
            sigma=share * reference * scale * flaws.noise,
            coil=SlicedField(rng, (scan.grid.shape[0], rows, columns), (2, 3, 3)),
            coil_strength=strength,
            shifts_mm=shifts - shifts.mean(0) if moves and size > 0 else None,
            point_spread_mm=float(rng.uniform(*_POINT_SPREAD_MM)),
        )

    def __call__(self, index: int) -> Slice:
        scan, names = self._scan, list(self._scan.sequences)
        places, middle = self._pose.voxels(index)
        sampled = _sampled(self._stack, places)
        clean = dict(zip(names, sampled, strict=False))
        shares = sampled[len(names) : len(names) + len(self._lesions)]
        field_ppm, brain = sampled[-2], sampled[-1]
        images = {
            name: self._acquired(clean[name], self._looks[name], field_ppm, index, name)
            for name in names
        }
        truth = np.zeros(scan.grid.shape[1:], np.float32)
        if set(DIFFUSION) <= set(clean):
            least = _LEAST_B0_SHARE * self._b0_reference
            truth = _adc(clean["b0"], clean["b1000"], least)
        if scan.with_adc:
            look = self._looks["b0"]
            least = max(_LEAST_B0_SHARE * self._b0_reference * look.scale, 5 * look.sigma)
            images[ADC] = _adc(images["b0"], images["b1000"], least)
        return Slice(
            index=index,
            images=images,
            adc_um2_s=truth,
            tissues=_nearest(scan.head.anatomy.tissues, middle),
            lesions=self._lesion_numbers(shares),
            brain=brain > _EDGE_OF_BRAIN,
        )

    def _acquired(
        self, clean: NDArray, look: _Look, field_ppm: NDArray, index: int, name: str
    ) -> NDArray[np.float32]:
        """One contrast of one slice as the scanner gives it."""
        scan, sequence = self._scan, look.sequence
        pixel_mm = scan.grid.spacing_mm[1:]
        image = clean * np.float32(look.scale)
        image = ndimage.gaussian_filter(image, [look.point_spread_mm / mm for mm in pixel_mm])
        image *= coil_gain(look.coil.plane(index), strength=look.coil_strength)
        if look.shifts_mm is not None:
            image = moved_during_scan(image, look.shifts_mm, spacing_mm=pixel_mm[0])
        if sequence.kind == ECHO_PLANAR and scan.flaws.others > 0:
            image = self._echo_planar(image, sequence, field_ppm)
        rng = generator_for(scan.seed, "noise", name, index)
        noisy = rician(np.maximum(image, 0), look.sigma, rng)
        return noisy.astype(np.float32)

    def _echo_planar(self, image: NDArray, sequence: Sequence, field_ppm: NDArray) -> NDArray:
        scan = self._scan
        shift = echo_planar_shift(
            field_ppm, field_tesla=sequence.field_tesla, readout_ms=sequence.readout_ms
        )
        shift = ndimage.gaussian_filter(shift, 1.5) * scan.flaws.others
        # Places are off by acquired rows, which are larger than those of the image.
        shift *= _FIELD_OF_VIEW_MM / sequence.matrix / scan.grid.spacing_mm[1]
        image = distorted(image, shift)
        whole_mm = scan.grid.shape[1] * scan.grid.spacing_mm[1]
        matrix = int(sequence.matrix * whole_mm / _FIELD_OF_VIEW_MM)
        return echo_planar_blur(image, matrix=min(matrix, *image.shape), decay=_READOUT_OVER_T2)

    def _lesion_numbers(self, shares: NDArray) -> NDArray[np.uint8]:
        """Of the lesion that takes most, where lesions take half of a voxel together."""
        if not len(shares):
            return np.zeros(self._scan.grid.shape[1:], np.uint8)
        numbers = np.array([LESION_NAMES.index(name) + 1 for name in self._lesions], np.uint8)
        return np.where(shares.sum(0) >= 0.5, numbers[shares.argmax(0)], 0).astype(np.uint8)


class _Pose:
    """Which voxels of a head lie where in the images: turned, scaled, sheared and bent."""

    def __init__(self, grid: Grid, head: SimulatedHead, seed: int, amount: float) -> None:
        rng = generator_for(seed, "pose")
        self._grid = grid
        turns = np.deg2rad(rng.uniform(-_TURN_DEG, _TURN_DEG, 3)) * amount
        matrix = _rotation(turns) @ (np.eye(3) + rng.uniform(-_SHEAR, _SHEAR, (3, 3)) * amount)
        matrix = matrix * (1 + rng.uniform(-_SCALE, _SCALE, 3) * amount)
        self._matrix = matrix.astype(np.float32)
        low, high = head.anatomy.cerebrum_box
        slices = head.anatomy.tissues.shape[0]
        self._middle = np.array([(slices - 1) / 2, *((low + high) / 2)[1:]])
        self._middle = self._middle + rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3) * amount
        self._bends = [
            (
                amount * size_mm,
                SlicedField(rng, grid.shape, nodes_for(grid.shape, grid.spacing_mm, wave_mm)),
            )
            for size_mm, wave_mm in ((_BEND_MM, _BEND_WAVE_MM), (_FINE_MM, _FINE_WAVE_MM))
            for _ in range(3)
        ]

    def voxels(self, index: int) -> tuple[NDArray, NDArray]:
        """Voxels of the layers of a slice, (3, layer, row, column), and of its middle."""
        grid = self._grid
        layers = max(1, round(grid.thickness_mm))
        along = (np.arange(layers) + 0.5) / layers - 0.5
        z = (index - (grid.shape[0] - 1) / 2) * grid.spacing_mm[0] + along * grid.thickness_mm
        z += grid.middle_mm
        y, x = (
            (np.arange(n, dtype=np.float32) - (n - 1) / 2) * mm
            for n, mm in zip(grid.shape[1:], grid.spacing_mm[1:], strict=True)
        )
        bend = self._bend(index)
        shape = (layers, len(y), len(x))
        found = np.empty((3, *shape), np.float32)
        for axis in range(3):
            part = self._matrix[axis]
            found[axis] = (
                (part[0] * z.astype(np.float32) + np.float32(self._middle[axis]))[:, None, None]
                + part[1] * y[None, :, None]
                + part[2] * x[None, None]
                + bend[axis]
            )
        return found, found[:, layers // 2]

    def _bend(self, index: int) -> list[NDArray]:
        """Displacement in mm along each axis, (row, column)."""
        found = [np.zeros(self._grid.shape[1:], np.float32) for _ in range(3)]
        for place, (size_mm, smooth) in enumerate(self._bends):
            if size_mm > 0:
                found[place % 3] += np.float32(size_mm) * smooth.plane(index)
        return found


def _adc(b0: NDArray, b1000: NDArray, least: float) -> NDArray[np.float32]:
    """ADC in µm²/s where b0 is above the least that can be divided, 0 elsewhere."""
    present = b0 > max(least, 1e-6)
    ratio = np.where(present, b0, 1.0) / np.where(present, np.maximum(b1000, 1e-3), 1.0)
    found = np.clip(np.log(ratio) * 1e3, 0, _HIGHEST_ADC)
    return np.where(present, found, 0).astype(np.float32)


def _rotation(turns: NDArray) -> NDArray:
    """About the axes of slices, rows and columns, one after the other."""
    whole = np.eye(3)
    for axis, angle in enumerate(turns):
        first, second = (other for other in range(3) if other != axis)
        one = np.eye(3)
        one[first, first] = one[second, second] = np.cos(angle)
        one[first, second], one[second, first] = -np.sin(angle), np.sin(angle)
        whole = whole @ one
    return whole


def _sampled(stack: NDArray[np.float32], places: NDArray) -> NDArray[np.float32]:
    """(channel, row, column) means over the layers of a slice, interpolated; 0 outside the head.

    Args:
        stack: (channel, slice, row, column).
        places: (3, layer, row, column) voxels.
    """
    import torch
    from torch.nn.functional import grid_sample

    sizes = np.array(stack.shape[1:], np.float32)
    share = places * (2 / np.maximum(sizes - 1, 1))[:, None, None, None] - 1
    points = torch.from_numpy(np.ascontiguousarray(np.moveaxis(share[::-1], 0, -1)))
    found = grid_sample(torch.from_numpy(stack)[None], points[None], align_corners=True)
    layers = np.moveaxis(found[0].numpy(), 1, 0)
    whole: NDArray[np.float32] = thick_slices(layers, len(layers))[0]
    return whole


def _nearest(tissues: NDArray[np.uint8], middle: NDArray) -> NDArray[np.uint8]:
    """Tissues at the nearest voxels, 0 outside the head."""
    places = np.rint(middle).astype(np.intp)
    inside = np.ones(places.shape[1:], bool)
    for one, size in zip(places, tissues.shape, strict=True):
        inside &= (one >= 0) & (one < size)
        np.clip(one, 0, size - 1, out=one)
    return np.where(inside, tissues[tuple(places)], 0).astype(np.uint8)


def acquired(contrasts: Iterable[str]) -> list[str]:
    """What must be scanned for contrasts: ADC needs both weightings of diffusion."""
    wanted = list(contrasts)
    wanted += DIFFUSION if ADC in wanted else ()
    return [name for name in dict.fromkeys(wanted) if name != ADC]
