"""What the viewer of an enhanced CT shows: slices, a reformat, windows that fit what was found.

Scales of difference and interval are the same in every report, so that reports compare.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.outputs import HOUNSFIELD
from isocenter.core.spread import spread_evenly
from isocenter.core.volume import Geometry
from isocenter.evaluation.ct.hu import RegionChange
from isocenter.image.ct_regions import DENSE, LUNG, SOFT_TISSUES
from isocenter.tasks.ct_enhance.enhanced_slice import EnhancedSlice
from isocenter.tasks.report.content import Frame, Layer, Pictures, Plane, Stack, Viewer, Window
from isocenter.tasks.report.pictures import (
    Box,
    Scale,
    box_around,
    panel,
    pictures,
    sides,
    whole,
)
from isocenter.tasks.report.viewer import (
    is_upside_down,
    packed,
    plane_name,
    reformat_sides,
    stored,
)
from isocenter.tasks.report.words import number

MARK = "AI · SYNTHETIC · RESEARCH USE"
DIFFERENCE_HU = 100.0
HALF_WIDTH_HU = 75.0
STEPS_HU = {"before": 1.0, "after": 1.0, "uncertainty": 0.25}

SOFT_TISSUE = Window(name="Soft tissue", center=40, width=400)
LUNG_WINDOW = Window(name="Lung", center=-600, width=1500)
BONE = Window(name="Bone", center=500, width=2000)
NARROW_WIDTH = 150.0

MARGIN_MM = 12.0
# A reformat of fewer slices is a strip that shows nothing.
FEWEST_SLICES_ACROSS = 8
NUM_REFORMATS = 3
NUM_INSTEAD = 3


def layers(interval: str) -> tuple[Layer, ...]:
    """Before, after, difference and uncertainty; ``interval`` names what the last shows half of."""
    return (
        Layer(key="before", letter="b", name="Before", of=("before",)),
        Layer(key="after", letter="a", name="After", of=("after",), mark=MARK),
        Layer(
            key="difference",
            letter="d",
            name="Difference",
            of=("after", "before"),
            mark=MARK,
            palette="diverging",
            low=-DIFFERENCE_HU,
            high=DIFFERENCE_HU,
            caption="after − before",
            sign="+",
        ),
        Layer(
            key="uncertainty",
            letter="u",
            name="Uncertainty",
            of=("uncertainty",),
            mark=MARK,
            palette="sequential",
            low=0.0,
            high=HALF_WIDTH_HU,
            caption=f"half of the {interval}",
            sign="±",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Views:
    """Everything that was kept to be seen.

    Attributes:
        indices: slices of the frames, in order.
        frames: their planes.
        across: rows of the reformats, by row of the slices; each plane (slice, column).
        box: where the patient is in all slices shown.
        slices: a few whole slices, for pictures on paper.
        pixel_mm2: area of a pixel.
    """

    indices: tuple[int, ...]
    frames: tuple[dict[str, Plane], ...]
    across: dict[int, dict[str, NDArray]]
    box: Box
    slices: tuple[EnhancedSlice, ...]
    pixel_mm2: float

    def frame_near(self, index: int) -> int:
        """Number of the frame that lies nearest to a slice."""
        return int(np.argmin(np.abs(np.array(self.indices) - index)))


class ViewKeeper:
    """Keeps what a viewer needs of the slices that stream by, packed; little grows with length.

    Args:
        geometry: of the scan.
        shown: indices of the slices that are kept whole.
        body_rows: first and last row of the patient, where known before the first slice.
    """

    def __init__(
        self,
        geometry: Geometry,
        shown: Sequence[int],
        *,
        body_rows: tuple[int, int] | None = None,
    ) -> None:
        self._shown = frozenset(shown)
        self._spacing_mm = geometry.spacing_mm[1:]
        on_paper = spread_evenly(len(shown), NUM_INSTEAD)
        self._on_paper = frozenset(shown[number] for number in on_paper)
        self._box: Box | None = None
        self._indices: list[int] = []
        self._frames: list[dict[str, Plane]] = []
        self._slices: list[EnhancedSlice] = []
        self._across: dict[int, dict[str, NDArray]] = {
            row: {
                key: np.zeros((geometry.shape[0], geometry.shape[2]), np.int16) for key in STEPS_HU
            }
            for row in reformat_rows(geometry, body_rows)
        }

    def take(self, piece: EnhancedSlice, body: NDArray | None) -> None:
        """Look at one slice, and at where the patient is in it if that was measured."""
        values = {
            "before": piece.before_hu,
            "after": piece.image_hu,
            "uncertainty": piece.half_width_hu,
        }
        for row, planes in self._across.items():
            for key, image in values.items():
                planes[key][piece.index] = stored(image[row], step=STEPS_HU[key])
        if piece.index not in self._shown:
            return
        self._indices.append(piece.index)
        self._frames.append(
            {
                key: packed(stored(image, step=STEPS_HU[key]), step=STEPS_HU[key])
                for key, image in values.items()
            }
        )
        if body is not None and body.any():
            box = box_around(body, margin_mm=MARGIN_MM, spacing_mm=self._spacing_mm)
            self._box = box if self._box is None else _both(self._box, box)
        if piece.index in self._on_paper:
            self._slices.append(piece)

    def views(self) -> Views:
        """What was kept so far."""
        return Views(
            indices=tuple(self._indices),
            frames=tuple(self._frames),
            across=self._across,
            box=self._box or _everything(self._slices),
            slices=tuple(self._slices),
            pixel_mm2=math.prod(self._spacing_mm),
        )


def reformat_rows(geometry: Geometry, body_rows: tuple[int, int] | None) -> tuple[int, ...]:
    """Rows of the slices through which the reformats go, in the middle of the patient."""
    num_slices, num_rows, _ = geometry.shape
    if num_slices < FEWEST_SLICES_ACROSS:
        return ()
    first, last = body_rows or (0, num_rows - 1)
    shares = np.linspace(0.38, 0.62, NUM_REFORMATS)
    return tuple(sorted({int(first + share * (last - first)) for share in shares}))


def _both(first: Box, second: Box) -> Box:
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )
    return rows, columns


def _everything(slices: Sequence[EnhancedSlice]) -> Box:
    return whole(slices[0].before_hu.shape if slices else (1, 1))


def windows_for(regions: Collection[RegionChange]) -> tuple[Window, ...]:
    """Soft tissue, and what fits the kinds of region that were found."""
    found = {each.kind.key: each for each in regions}
    soft = [found[kind.key] for kind in SOFT_TISSUES if kind.key in found]
    windows = [SOFT_TISSUE]
    if soft:
        most = max(soft, key=lambda each: each.num_voxels)
        center = 10.0 * round(most.before_hu / 10)
        windows.append(Window(name="Narrow", center=center, width=NARROW_WIDTH))
    if LUNG.key in found:
        windows.append(LUNG_WINDOW)
    if DENSE.key in found:
        windows.append(BONE)
    return tuple(windows)


def viewer_of(
    views: Views, geometry: Geometry, regions: Collection[RegionChange], *, interval: str
) -> Viewer | None:
    """The viewer of one enhanced scan; None where no slice was kept.

    Args:
        views: what was kept.
        geometry: of the scan.
        regions: what was found in it, which decides the windows.
        interval: what the uncertainty is half of, in words.
    """
    if not views.indices:
        return None
    windows = windows_for(regions)
    shown = layers(interval)
    stacks = [_slices(views, geometry)]
    if views.across:
        stacks.append(_reformats(views, geometry))
    return Viewer(
        unit=HOUNSFIELD.name,
        layers=shown,
        windows=windows,
        stacks=tuple(stacks),
        start="swipe",
        instead=tuple(_instead(views, geometry, windows, shown[2:])),
    )


def _slices(views: Views, geometry: Geometry) -> Stack:
    num_slices, rows, columns = geometry.shape
    frames = tuple(
        Frame(
            heading=f"Slice {index + 1} of {num_slices}",
            shape=(rows, columns),
            spacing_mm=geometry.spacing_mm[1:],
            sides=sides(geometry),
            planes=planes,
        )
        for index, planes in zip(views.indices, views.frames, strict=True)
    )
    (down, across) = views.box
    return Stack(
        name=plane_name(geometry.slice_direction),
        frames=frames,
        focus=(down.start, across.start, down.stop, across.stop),
        start=len(frames) // 2,
    )


def _reformats(views: Views, geometry: Geometry) -> Stack:
    num_slices, num_rows, columns = geometry.shape
    name = plane_name(geometry.row_direction)
    turned = is_upside_down(geometry)
    lines = tuple(float(num_slices - 1 - index if turned else index) for index in views.indices)
    frames = tuple(
        Frame(
            heading=f"{name}, row {row + 1} of {num_rows}",
            shape=(num_slices, columns),
            spacing_mm=(geometry.spacing_mm[0], geometry.spacing_mm[2]),
            sides=reformat_sides(geometry),
            planes={
                key: packed(image[::-1] if turned else image, step=STEPS_HU[key])
                for key, image in planes.items()
            },
            lines=lines,
        )
        for row, planes in views.across.items()
    )
    across = views.box[1]
    return Stack(
        name=name,
        frames=frames,
        focus=(0, across.start, num_slices, across.stop),
        start=len(frames) // 2,
    )


# On paper, and where no script runs


def scale_of(window: Window) -> Scale:
    """A window as the legend of a picture says it."""
    label = f"{window.name.lower()} window, C {number(window.center, 0)} W {window.width:.0f}"
    return Scale.window(label, center=window.center, width=window.width, unit=HOUNSFIELD.name)


def _scale_of_layer(layer: Layer) -> Scale:
    return Scale(
        label=layer.caption,
        low=layer.low,
        high=layer.high,
        unit=HOUNSFIELD.name,
        colors=layer.palette,
    )


def _instead(
    views: Views, geometry: Geometry, windows: Sequence[Window], colored: Sequence[Layer]
) -> Iterator[Pictures]:
    shown = [window for window in windows if window in (SOFT_TISSUE, LUNG_WINDOW)]
    for piece in views.slices:
        yield _pictures_of(piece, geometry, views.box, shown, colored)
    if views.across:
        yield _reformat_pictures(views, geometry)


def _pictures_of(
    piece: EnhancedSlice,
    geometry: Geometry,
    box: Box,
    windows: Sequence[Window],
    colored: Sequence[Layer],
) -> Pictures:
    """Before and after at each window, then difference and interval."""
    where = f"Slice {piece.index + 1}"
    rows = [
        (
            panel("Before", piece.before_hu[box], scale_of(window), where=where),
            panel("After", piece.image_hu[box], scale_of(window), where=where, mark=MARK),
        )
        for window in windows
    ]
    change, interval = (_scale_of_layer(layer) for layer in colored)
    difference = piece.image_hu[box] - piece.before_hu[box]
    rows.append(
        (
            panel("Difference", difference, change, where=where, mark=MARK),
            panel("Uncertainty", piece.half_width_hu[box], interval, where=where, mark=MARK),
        )
    )
    return pictures(f"{where} of {geometry.shape[0]}", rows, box, geometry)


def _reformat_pictures(views: Views, geometry: Geometry) -> Pictures:
    """The middle reformat before and after, in the soft-tissue window."""
    row = sorted(views.across)[len(views.across) // 2]
    turn = slice(None, None, -1 if is_upside_down(geometry) else 1)
    across = views.box[1]
    where = f"{plane_name(geometry.row_direction)}, row {row + 1} of {geometry.shape[1]}"
    panels = (
        panel(
            name,
            views.across[row][key][turn, across] * STEPS_HU[key],
            scale_of(SOFT_TISSUE),
            where=where,
            mark=mark,
        )
        for key, name, mark in (("before", "Before", ""), ("after", "After", MARK))
    )
    height_mm = geometry.shape[0] * geometry.spacing_mm[0]
    return Pictures(
        heading=where,
        rows=(tuple(panels),),
        aspect=(across.stop - across.start) * geometry.spacing_mm[2] / height_mm,
        sides=reformat_sides(geometry),
    )
