"""The picture of a comparison: images, difference, noise texture, sharpness and HU on one page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from isocenter.evaluation.blur_control import BLUR_CONTROL_MM
from isocenter.evaluation.plots import EDGE_COLORS, curves_of, dress, plot_spectra, say
from isocenter.evaluation.tables import detail_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec

    from isocenter.evaluation.ct import (
        NoiseComparison,
        Region,
        Sharpness,
        TissueBias,
        TransferFunction,
    )
    from isocenter.evaluation.findings import Example, Findings


class Window(NamedTuple):
    """How images are shown, in their unit.

    Attributes:
        low, high: black and white.
        reach: half the width of the difference shown beside.
    """

    name: str
    low: float
    high: float
    reach: float


CT_WINDOWS = (
    Window("soft tissue 400/40", -160.0, 240.0, 100.0),
    Window("lung 1500/\N{MINUS SIGN}600", -1350.0, 150.0, 300.0),
)
_MARGIN_MM = 12.0
_WIDTH, _CURVES_HEIGHT, _GAP, _HEADING, _FOOT = 16.5, 3.9, 0.55, 1.33, 0.6
_LEFT, _RIGHT = 0.045, 0.965


def draw(comparison: Findings) -> Figure:
    """A page of a comparison; save it with ``savefig``."""
    windows = _windows_of(comparison)
    image_height = _image_height(comparison.example)
    is_ct = comparison.unit == "HU"
    heights = [image_height, _GAP] * len(windows)
    if is_ct:
        heights = [*heights[:-1], 1.3 * _GAP, _CURVES_HEIGHT]
    height = sum(heights) + _HEADING + _FOOT
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(heights),
        1,
        height_ratios=heights,
        hspace=0,
        left=_LEFT,
        right=_RIGHT,
        top=1 - _HEADING / height,
        bottom=_FOOT / height,
    )
    _write_heading(figure, comparison)
    for number, window in enumerate(windows):
        _draw_images(figure, grid[2 * number], comparison, window, with_regions=number == 0)
    if is_ct:
        _draw_curves(figure, grid[4], comparison)
    return figure


def _windows_of(comparison: Findings) -> tuple[Window, ...]:
    """CT's own windows, or the range of the first protocol."""
    if comparison.unit == "HU":
        return CT_WINDOWS
    protocol = comparison.fidelity[0].protocol
    return (Window(protocol.name, protocol.low, protocol.high, 0.1 * protocol.data_range),)


def _image_height(example: Example) -> float:
    """Height in inches at which three images side by side fill the width of the page."""
    box = around_body(example)
    rows, columns = ((part.stop - part.start) for part in box)
    shape = rows * example.spacing_mm[0] / (columns * example.spacing_mm[1])
    return shape * _WIDTH * (_RIGHT - _LEFT) / 3.1


def _write_heading(figure: Figure, comparison: Findings) -> None:
    top, line = 1 - 0.3 / figure.get_figheight(), 0.28 / figure.get_figheight()
    figure.text(_LEFT, top, "Test against reference", fontsize=19, weight="bold", va="center")
    num_pairs, (of_reference, of_test) = len(comparison.pairs), comparison.num_slices
    slices = f"slices compared: {num_pairs} (reference {of_reference}, test {of_test})"
    shown = f"shown: slice {comparison.example.reference_index + 1} of the reference"
    figure.text(_RIGHT, top, f"{slices}, {shown}", fontsize=11, va="center", ha="right")
    protocols = {score.protocol.mask_policy for score in comparison.fidelity}
    scores = [
        f"{score.protocol.name}: "
        + ("identical" if math.isinf(score.psnr_db) else f"PSNR {score.psnr_db:.1f} dB")
        + f", SSIM {score.ssim:.3f}, RMSE {score.rmse:.1f} {comparison.unit}".rstrip()
        for score in comparison.fidelity
    ]
    where = f"   ({protocols.pop()})" if len(protocols) == 1 else ""
    figure.text(_LEFT, top - line, "    ".join(scores) + where, fontsize=10, va="center")
    figure.text(_LEFT, top - 2 * line, _what_smoothing_hides(comparison), fontsize=10, va="center")


def _what_smoothing_hides(comparison: Findings) -> str:
    """What belongs beside scores that smoothing can raise."""
    controls = ", ".join(
        f"{score.psnr_db:.1f} dB" for score in comparison.blurred_fidelity if score.rmse > 0
    )
    parts = [f"PSNR of the test blurred by {BLUR_CONTROL_MM:g} mm: {controls}"] if controls else []
    if kept := detail_in_words(comparison):
        blur = comparison.equal_noise_blur
        plain = f" (a plain blur to the same noise: {blur.kept:.2f})" if blur else ""
        parts.append(f"faint detail kept: {kept}{plain}")
    return "    ".join(parts)


def _draw_images(
    figure: Figure,
    place: SubplotSpec,
    comparison: Findings,
    window: Window,
    *,
    with_regions: bool,
) -> None:
    name, low, high, reach = window
    example = comparison.example
    box = around_body(example)
    layout = place.subgridspec(1, 4, width_ratios=(1, 1, 1, 0.03), wspace=0.03)
    panels: Any = layout.subplots()
    reference, test = example.reference[box], example.test[box]
    aspect = example.spacing_mm[0] / example.spacing_mm[1]
    for axes, image, title in zip(panels, (reference, test), ("Reference", "Test"), strict=False):
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, aspect=aspect)
        axes.set_title(f"{title}, {name}", fontsize=12)
    difference = panels[2].imshow(
        test - reference, cmap="gray", vmin=-reach, vmax=reach, aspect=aspect
    )
    panels[2].set_title(
        f"Test \N{MINUS SIGN} reference, ±{reach:g} {comparison.unit}".rstrip(), fontsize=12
    )
    for axes in panels[:3]:
        axes.set_axis_off()
    bar = figure.colorbar(difference, cax=panels[3])
    bar.ax.tick_params(labelsize=9)
    _scale_bar(panels[0], example)
    if with_regions and comparison.noise is not None:
        _outline(panels[0], comparison.noise.regions, example.reference_index, box)


def around_body(example: Example) -> tuple[slice, slice]:
    """The body with a margin, so that little of the page is air."""
    box = []
    for axis, step_mm in enumerate(example.spacing_mm):
        filled = np.flatnonzero(example.body.any(axis=1 - axis))
        size = example.body.shape[axis]
        margin = round(_MARGIN_MM / step_mm)
        first, last = (filled[0], filled[-1]) if filled.size else (0, size - 1)
        box.append(slice(max(0, int(first) - margin), min(size, int(last) + 1 + margin)))
    return box[0], box[1]


def _scale_bar(axes: Axes, example: Example) -> None:
    length = 50.0 / example.spacing_mm[1]
    axes.plot([0.04, 0.04], [0, 0], transform=axes.transAxes, alpha=0)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x, y = left + 0.04 * (right - left), bottom + 0.05 * (top - bottom)
    axes.plot([x, x + length], [y, y], color="white", linewidth=2.5, solid_capstyle="butt")
    axes.text(
        x + length / 2, y - 0.012 * (bottom - top), "50 mm", color="white", ha="center", va="bottom"
    )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def _outline(
    axes: Axes, regions: tuple[Region, ...], slice_index: int, box: tuple[slice, slice]
) -> None:
    for region in regions:
        if region.slice_index == slice_index:
            corner = (region.column - box[1].start - 0.5, region.row - box[0].start - 0.5)
            rows, columns = region.shape
            axes.add_patch(
                Rectangle(corner, columns, rows, fill=False, edgecolor="#F0E442", linewidth=1.2)
            )


def _draw_curves(figure: Figure, place: SubplotSpec, comparison: Findings) -> None:
    panels = place.subgridspec(1, 4, width_ratios=(1.2, 0.42, 1.2, 1.1), wspace=0.26)
    _draw_spectra(
        figure.add_subplot(panels[0]), comparison.noise, comparison.example.reference_index
    )
    _draw_planes(figure, panels[1], comparison.noise)
    _draw_transfer(figure.add_subplot(panels[2]), comparison.sharpness)
    _draw_bias(figure.add_subplot(panels[3]), comparison.hu_bias)


def _draw_spectra(axes: Axes, noise: NoiseComparison | None, shown_slice: int) -> None:
    dress(axes, "Noise power spectrum", "spatial frequency, 1/mm", "HU² mm²")
    if noise is None:
        say(axes, "no homogeneous soft tissue found")
        return
    plot_spectra(axes, curves_of(noise))
    num_shown = sum(region.slice_index == shown_slice for region in noise.regions)
    regions = f"{noise.reference.num_regions} regions, {num_shown} of them above"
    axes.text(
        0.98, 0.72, regions, fontsize=8.5,
        transform=axes.transAxes, ha="right", color="#606060",
    )  # fmt: skip


def _draw_planes(figure: Figure, place: SubplotSpec, noise: NoiseComparison | None) -> None:
    """The two-dimensional spectra, each on its own scale: streaks show as a bright direction."""
    if noise is None:
        return
    both = (("reference", noise.reference), ("test", noise.test))
    panels: Any = place.subgridspec(2, 1, hspace=0.25).subplots()
    for axes, (name, spectrum) in zip(panels, both, strict=True):
        row, column = spectrum.frequency_row_per_mm, spectrum.frequency_column_per_mm
        half_row, half_column = (row[1] - row[0]) / 2, (column[1] - column[0]) / 2
        edges = (
            float(column[0] - half_column),
            float(column[-1] + half_column),
            float(row[-1] + half_row),
            float(row[0] - half_row),
        )
        axes.imshow(spectrum.power_hu2_mm2, cmap="magma", vmin=0, extent=edges, aspect="equal")
        axes.set_title(f"2-D, {name}", fontsize=10)
        axes.set_xticks([-0.5, 0, 0.5] if -column[0] > 0.5 else [-0.2, 0, 0.2])
        axes.set_yticks([])
        axes.tick_params(labelsize=8)
    panels[-1].set_xlabel("1/mm", fontsize=9)


def _draw_transfer(axes: Axes, sharpness: dict[str, Sharpness]) -> None:
    dress(axes, "Edge sharpness (task transfer function)", "spatial frequency, 1/mm", "")
    sure = [each for each in sharpness.values() if each.is_sure]
    if not sure:
        say(axes, "too few clean edges found")
        return
    for color, each in zip(EDGE_COLORS, sure, strict=False):
        reference, test = each.reference, each.test
        error = f" ± {each.f50_ratio_error:.2f}"
        name = f"{reference.kind.name}, {reference.contrast_hu:.0f} HU"
        label = f"{name}\nf50 of test / reference {each.f50_ratio:.2f}{error}"
        axes.plot(*_above_noise(reference), color=color, linewidth=1.5, alpha=0.55)
        axes.plot(*_above_noise(test), "--", color=color, linewidth=2, label=label)
    axes.axhline(0.5, color="#BBBBBB", linewidth=0.8)
    axes.axhline(0.1, color="#BBBBBB", linewidth=0.8)
    axes.set_xlim(0)
    # A curve may overshoot; two lines of legend for each edge lie above all of them.
    highest = max(
        float(np.max(curve.transfer)) for each in sure for curve in (each.reference, each.test)
    )
    axes.set_ylim(0, highest + 0.05 + 0.2 * len(sure))
    axes.set_yticks([0, 0.1, 0.5, 1])
    axes.legend(
        fontsize=9, loc="upper right", frameon=False, title="thin: reference, dashed: test",
        title_fontsize=9,
    )  # fmt: skip


def _above_noise(function: TransferFunction) -> tuple[NDArray, NDArray]:
    """The curve up to where it has fallen to a tenth; beyond lies noise."""
    below = np.flatnonzero(function.transfer < 0.1)
    end = int(below[0]) + 1 if below.size else function.transfer.size
    return function.frequency_per_mm[:end], function.transfer[:end]


def _draw_bias(axes: Axes, bias: dict[str, TissueBias]) -> None:
    dress(axes, "HU bias", "", "HU, test \N{MINUS SIGN} reference")
    if not bias:
        say(axes, "no tissue found")
        return
    values = np.array([each.bias_hu for each in bias.values()])
    intervals = [each.interval_hu for each in bias.values()]
    limits = np.array([[value.low, value.high] for value in intervals])
    reach = np.where(np.isnan(limits), values[:, None], limits)
    place = np.arange(values.size)
    axes.axhspan(-2, 2, color="#EEEEEE", zorder=0)
    axes.bar(place, values, color="#56B4E9", width=0.6, zorder=1.5)
    known = ~np.isnan(limits[:, 0])
    bars = _error_bars(values, reach)[:, known]
    axes.errorbar(place[known], values[known], yerr=bars, fmt="none", ecolor="black", capsize=3)
    axes.axhline(0, color="black", linewidth=0.8, zorder=4)
    extent = max(3.0, 1.25 * float(np.abs(reach).max()))
    axes.set_ylim(-extent, extent)
    for x, value, (low, high) in zip(place.tolist(), values, reach, strict=True):
        above = value >= 0
        edge = (max(high, value) if above else min(low, value)) + (
            0.03 if above else -0.03
        ) * extent
        axes.text(
            x,
            edge,
            _signed(value),
            ha="center",
            va="bottom" if above else "top",
            fontsize=9,
        )
    axes.set_xticks(place, list(bias), fontsize=10)
    intervals_of = "95 % intervals over slices of this scan; " if known.any() else ""
    axes.set_xlabel(f"{intervals_of}grey: ±2 HU", fontsize=9)


def _signed(value: float) -> str:
    """One decimal with its sign; what rounds to zero has none."""
    text = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
    return text[1:] if float(f"{value:.1f}") == 0 else text


def _error_bars(values: NDArray, reach: NDArray) -> NDArray:
    return np.maximum(np.stack([values - reach[:, 0], reach[:, 1] - values]), 0.0)
