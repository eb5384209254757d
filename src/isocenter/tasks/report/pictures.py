"""Slices and curves as PNG data URIs, at the scan's resolution, for reports that stand alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.volume import Geometry
from isocenter.image.ct_tissue import body_mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from isocenter.tasks.ct_enhance.enhance import EnhancedSlice
    from isocenter.tasks.ct_enhance.observations import Observations

MARGIN_MM = 12.0
DETAIL_MM = 110.0
BEFORE_COLOR = "#8a94a0"
AFTER_COLOR = "#0b5cad"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values become colors.

    Attributes:
        label: what is shown, in words.
        low, high: values of the first and last color, in HU.
        colors: name of a matplotlib color map.
    """

    label: str
    low: float
    high: float
    colors: str = "gray"

    @classmethod
    def window(cls, label: str, *, center: float, width: float) -> Scale:
        """A display window as radiologists name it."""
        return cls(label=label, low=center - width / 2, high=center + width / 2)

    @property
    def ticks(self) -> tuple[str, str, str]:
        """Values at the start, middle and end, in words."""
        values = (self.low, (self.low + self.high) / 2, self.high)
        start, middle, end = (f"{value:.0f}".replace("-", "−") for value in values)
        if self.low == -self.high:
            return start, middle, f"+{end}"
        return start, middle, end


LUNG = Scale.window("lung window", center=-600, width=1500)
SOFT_TISSUE = Scale.window("soft-tissue window", center=40, width=400)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One image of the report with all that its legend says."""

    title: str
    picture: str
    scale: Scale
    bar: str
    description: str


@dataclass(frozen=True, kw_only=True)
class SlicePanels:
    """One slice: rows of panels, and letters for the sides of the patient."""

    index: int
    rows: tuple[tuple[Panel, ...], ...]
    aspect: float
    sides: tuple[str, str, str, str]


def difference_scale(observations: Observations) -> Scale:
    """Symmetric around zero, three times the input's noise, rounded up to 10 HU."""
    noise = observations.noise_before_hu
    limit = 100.0 if np.isnan(noise) else max(20.0, 10 * np.ceil(0.3 * noise))
    return Scale(label="after − before", low=-limit, high=limit, colors="RdBu_r")


def uncertainty_scale(observations: Observations) -> Scale:
    """From zero to nearly the largest half-width in the slices shown, rounded up to 10 HU."""
    tops = [
        np.percentile(piece.half_width_hu[piece.valid], 99.5)
        for piece in observations.pictures
        if piece.valid.any()
    ]
    high = max(10.0, 10 * np.ceil(max(tops, default=0) / 10))
    return Scale(label="half of 90 % interval", low=0, high=high, colors="viridis")


def slice_panels(observations: Observations, geometry: Geometry) -> Iterator[SlicePanels]:
    """Panels of every slice that the run kept to show, cropped to the patient."""
    spacing_mm = geometry.spacing_mm[1:]
    difference, uncertainty = difference_scale(observations), uncertainty_scale(observations)
    for piece in observations.pictures:
        rows, columns = _body_box(piece, spacing_mm)
        yield _panels(
            piece, (rows, columns), difference, uncertainty, geometry, scales=(LUNG, SOFT_TISSUE)
        )


def detail_panels(observations: Observations, geometry: Geometry) -> SlicePanels | None:
    """The middle of the middle slice, large enough to see single pixels."""
    if not observations.pictures:
        return None
    piece = observations.pictures[len(observations.pictures) // 2]
    rows, columns = _body_box(piece, geometry.spacing_mm[1:])
    box = tuple(
        _shrink(side, round(DETAIL_MM / step))
        for side, step in zip((rows, columns), geometry.spacing_mm[1:], strict=True)
    )
    difference, uncertainty = difference_scale(observations), uncertainty_scale(observations)
    return _panels(piece, box, difference, uncertainty, geometry, scales=(SOFT_TISSUE,))


def _shrink(side: slice, length: int) -> slice:
    middle = (side.start + side.stop) // 2
    half = min(length, side.stop - side.start) // 2
    return slice(middle - half, middle + max(1, half))


def _panels(
    piece: EnhancedSlice,
    box: tuple[slice, ...],
    difference: Scale,
    uncertainty: Scale,
    geometry: Geometry,
    *,
    scales: tuple[Scale, ...],
) -> SlicePanels:
    before, after = piece.before_hu[box], piece.image_hu[box]
    extra = [
        _panel("Difference", after - before, difference, piece.index),
        _panel("Uncertainty", piece.half_width_hu[box], uncertainty, piece.index),
    ]
    pairs = [
        [
            _panel(name, image, scale, piece.index)
            for name, image in (("Before", before), ("After", after))
        ]
        for scale in scales
    ]
    if len(pairs) == 1:
        rows: tuple[tuple[Panel, ...], ...] = ((*pairs[0], *extra),)
    else:
        rows = tuple((*pair, added) for pair, added in zip(pairs, extra, strict=True))
    height, width = (n * s for n, s in zip(before.shape, geometry.spacing_mm[1:], strict=True))
    return SlicePanels(index=piece.index, rows=rows, aspect=width / height, sides=sides(geometry))


def _panel(title: str, image_hu: NDArray, scale: Scale, index: int) -> Panel:
    return Panel(
        title=title,
        picture=png(image_hu, scale),
        scale=scale,
        bar=png(np.linspace(scale.low, scale.high, 256)[None, :], scale),
        description=f"Slice {index + 1}, {title.lower()}, {scale.label}: "
        f"{scale.low:.0f} to {scale.high:.0f} HU",
    )


def sides(geometry: Geometry) -> tuple[str, str, str, str]:
    """Letters for left, right, top and bottom of the picture: R, L, A, P, H or F."""
    right = _letter(geometry.column_direction)
    bottom = _letter(geometry.row_direction)
    opposite = dict(zip("LRAPHF", "RLPAFH", strict=True))
    return opposite[right], right, opposite[bottom], bottom


def _letter(direction: tuple[float, float, float]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return ("LR", "PA", "HF")[axis][int(direction[axis] < 0)]


def _body_box(piece: EnhancedSlice, spacing_mm: tuple[float, ...]) -> tuple[slice, slice]:
    body = body_mask(piece.before_hu, valid=piece.valid)
    if not body.any():
        return slice(0, body.shape[0]), slice(0, body.shape[1])
    margins = [round(MARGIN_MM / step) for step in spacing_mm]
    rows, columns = np.nonzero(body)
    return (
        _extent(rows, margins[0], body.shape[0]),
        _extent(columns, margins[1], body.shape[1]),
    )


def _extent(places: NDArray, margin: int, size: int) -> slice:
    return slice(max(0, int(places.min()) - margin), min(size, int(places.max()) + 1 + margin))


def png(image_hu: NDArray, scale: Scale) -> str:
    """A (row, column) image as the data URI of an 8-bit PNG with the scale's palette."""
    span = scale.high - scale.low
    levels = np.clip((image_hu - scale.low) / span * 255, 0, 255)
    picture = Image.fromarray(np.rint(levels).astype(np.uint8))
    if scale.colors != "gray":
        picture.putpalette(_palette(scale.colors))
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return _data_uri(stream.getvalue())


def _palette(name: str) -> bytes:
    from matplotlib import colormaps

    colors = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return np.rint(colors * 255).astype(np.uint8).tobytes()


def _data_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def noise_plot(observations: Observations) -> str:
    """Noise of every observed slice before and after, as a data URI."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes()
    slices = [each.index + 1 for each in observations.noise]
    curves = (
        ("before", [each.reference.level_hu for each in observations.noise], BEFORE_COLOR, "o"),
        ("after", [each.test.level_hu for each in observations.noise], AFTER_COLOR, "s"),
    )
    for label, values, color, marker in curves:
        axes.plot(slices, values, color=color, marker=marker, markersize=3.5, label=label)
    axes.set(xlabel="slice", ylabel="noise in even soft tissue (HU)", ylim=(0, None))
    if len(slices) > 1:
        axes.set_xlim(1, observations.num_slices)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xticks(slices)
    return _finish(figure, axes)


def spectrum_plot(observations: Observations) -> str | None:
    """Radial noise power before and after, as a data URI; None where it was not measured."""
    before, after = observations.spectrum_before, observations.spectrum_after
    if before is None or after is None:
        return None
    figure, axes = _axes()
    for spectrum, color, name in ((before, BEFORE_COLOR, "before"), (after, AFTER_COLOR, "after")):
        axes.plot(
            spectrum.radial_frequency_per_mm,
            spectrum.radial_power_hu2_mm2,
            color=color,
            label=f"{name}, mean {spectrum.mean_frequency_per_mm:.2f} /mm",
        )
    axes.set(
        xlabel="spatial frequency (cycles/mm)",
        ylabel="noise power (HU² mm²)",
        xlim=(0, None),
        ylim=(0, None),
    )
    return _finish(figure, axes)


def shape_plot(observations: Observations) -> str | None:
    """Both spectra scaled to the same area, so that texture can be compared apart from strength."""
    before, after = observations.spectrum_before, observations.spectrum_after
    if before is None or after is None:
        return None
    figure, axes = _axes()
    for spectrum, color, name in ((before, BEFORE_COLOR, "before"), (after, AFTER_COLOR, "after")):
        area = np.trapezoid(spectrum.radial_power_hu2_mm2, spectrum.radial_frequency_per_mm)
        if area > 0:
            relative = spectrum.radial_power_hu2_mm2 / area
            axes.plot(spectrum.radial_frequency_per_mm, relative, color=color, label=name)
    axes.set(
        xlabel="spatial frequency (cycles/mm)",
        ylabel="share of noise power (mm)",
        xlim=(0, None),
        ylim=(0, None),
    )
    return _finish(figure, axes)


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.9), dpi=200, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    return figure, axes


def _finish(figure: Figure, axes: Axes) -> str:
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return _data_uri(stream.getvalue())
