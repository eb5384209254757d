"""Single plots of what was measured, for a page, a notebook or a paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Volume
from isocenter.evaluation.ct.noise_power import (
    NoiseComparison,
    NoisePowerSpectrum,
    homogeneous_regions,
    noise_power_spectrum,
)
from isocenter.evaluation.findings import Findings
from isocenter.evaluation.lesions.detectability import DetectabilityTable

# Told apart by people who cannot tell red from green (Okabe and Ito, 2008).
REFERENCE_COLOR, TEST_COLOR, DIFFERENCE_COLOR = "#404040", "#D55E00", "#999999"
EDGE_COLORS = ("#0072B2", "#009E73", "#CC79A7")


class Curve(NamedTuple):
    """A spectrum and how it is drawn."""

    name: str
    spectrum: NoisePowerSpectrum
    color: str
    style: str = "-"


def noise_power_plot(measured: Findings | NoiseComparison | Volume) -> Figure:
    """Radial noise power over spatial frequency; save it with ``savefig``.

    Args:
        measured: a comparison by :func:`isocenter.evaluate`, its ``noise``, or a volume in HU,
            measured where its soft tissue is least structured.

    Raises:
        UnsuitableScan: there is no even soft tissue to measure noise in, or no HU.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    dress(axes, "Noise power spectrum", "spatial frequency, 1/mm", "HU² mm²")
    plot_spectra(axes, _curves(measured))
    return figure


def detectability_plot(table: DetectabilityTable) -> Figure:
    """d' of every kind of lesion over that of the baseline, with 95 % intervals."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    plot_detectability(figure.add_subplot(), table)
    return figure


def curves_of(noise: NoiseComparison) -> list[Curve]:
    """Reference, test and their difference."""
    return [
        Curve("reference", noise.reference, REFERENCE_COLOR),
        Curve("test", noise.test, TEST_COLOR),
        Curve("test \N{MINUS SIGN} reference", noise.difference, DIFFERENCE_COLOR, ":"),
    ]


def _curves(measured: Findings | NoiseComparison | Volume) -> list[Curve]:
    noise = measured.noise if isinstance(measured, Findings) else measured
    if isinstance(noise, Volume):
        spectrum = _spectrum_of(noise)
        noise = None
        if spectrum is not None:
            return [Curve("scan", spectrum, REFERENCE_COLOR)]
    if noise is None:
        raise UnsuitableScan(
            "Cannot draw noise power: no even soft tissue was found to measure it in. Give a scan "
            "of a body in HU.",
            reason="noise",
        )
    return curves_of(noise)


def _spectrum_of(volume: Volume) -> NoisePowerSpectrum | None:
    if volume.unit != "HU":
        raise UnsuitableScan(
            f"Cannot measure noise power in {volume.unit or 'no unit'}: even tissue is found by "
            "its HU. Accepted are volumes in HU.",
            reason="unit",
        )
    spacing_mm = volume.geometry.spacing_mm
    regions = homogeneous_regions(volume.array, spacing_mm=spacing_mm)
    return noise_power_spectrum(volume.array, regions, spacing_mm=spacing_mm)


def plot_spectra(axes: Axes, curves: Sequence[Curve]) -> None:
    """Radial curves, the mean frequency of each marked by a dashed line."""
    for name, spectrum, color, style in curves:
        frequency, power = spectrum.radial_frequency_per_mm, spectrum.radial_power_hu2_mm2
        mean = spectrum.mean_frequency_per_mm
        label = f"{name}: {spectrum.noise_hu:.1f} HU, mean {mean:.3f}/mm"
        axes.plot(
            frequency,
            power,
            style,
            color=color,
            linewidth=2,
            label=label if math.isfinite(mean) else f"{name}: none",
        )
        if math.isfinite(mean):
            height = float(np.interp(mean, frequency, power))
            axes.plot([mean, mean], [0, height], "--", color=color, linewidth=1)
    axes.set_xlim(0)
    axes.set_ylim(0, 1.35 * (axes.get_ylim()[1] or 1.0))
    axes.legend(fontsize=9, loc="upper right", frameon=False)


def plot_detectability(axes: Axes, table: DetectabilityTable) -> None:
    """Ratios of d' to the baseline: one group a kind of lesion, one mark a kind of image."""
    dress(axes, f"Lesions seen: d' over that of the {table.baseline}", "", "ratio")
    names = [
        name
        for name in dict.fromkeys(row.processing for row in table.rows)
        if name != table.baseline
    ]
    kinds = [row for row in table.rows if row.processing == table.baseline]
    colors = (REFERENCE_COLOR, DIFFERENCE_COLOR, "#56B4E9", TEST_COLOR, *EDGE_COLORS)
    for number, name in enumerate(names):
        rows = [row for row in table.rows if row.processing == name]
        place = np.arange(len(rows)) + 0.7 * ((number + 0.5) / len(names) - 0.5)
        ratio = np.array([row.ratio for row in rows])
        below = ratio - np.array([row.ratio_low for row in rows])
        above = np.array([row.ratio_high for row in rows]) - ratio
        axes.errorbar(
            place,
            ratio,
            yerr=np.maximum([below, above], 0),
            fmt="o",
            markersize=4,
            capsize=2,
            color=colors[number % len(colors)],
            label=name,
        )
    axes.axhline(1, color="#BBBBBB", linewidth=0.8)
    axes.set_xticks(
        range(len(kinds)),
        [f"{row.tissue}\n{row.diameter_mm:g} mm\n{row.contrast_hu:+g} HU" for row in kinds],
        fontsize=7.5,
    )
    axes.legend(fontsize=8, frameon=False)


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """Title, labels and two sides of a frame."""
    axes.set_title(title, fontsize=12)
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def say(axes: Axes, words: str) -> None:
    """Words where a plot would be."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
