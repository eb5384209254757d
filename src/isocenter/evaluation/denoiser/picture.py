"""The page of a judged denoiser: images, noise power, sharpness, HU, lesions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from isocenter.evaluation.denoiser.judged import Judged, JudgedCase
from isocenter.evaluation.picture import CT_WINDOWS, around_body
from isocenter.evaluation.plots import (
    DIFFERENCE_COLOR,
    EDGE_COLORS,
    REFERENCE_COLOR,
    TEST_COLOR,
    Curve,
    dress,
    plot_detectability,
    plot_spectra,
    say,
)


def draw_judged(judged: Judged) -> Figure:
    """A page of a judgement; images and curves are those of the first case."""
    case = judged.cases[0]
    figure = Figure(figsize=(17, 9.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    halves: Any = figure.subfigures(2, 1)
    images, curves = halves
    _draw_images(images.subplots(1, 4), case, judged.name)
    noise, sharpness, bias, lesions = curves.subplots(1, 4, width_ratios=(1, 1, 0.9, 1.4))
    _draw_noise(noise, case, judged.name)
    _draw_sharpness(sharpness, case, judged.name)
    _draw_bias(bias, case, judged.name)
    if judged.detectability is None:
        dress(lesions, "Lesions seen", "", "")
        say(lesions, "not measured")
    else:
        plot_detectability(lesions, judged.detectability)
    num_cases = len(judged.cases)
    shown = "" if num_cases == 1 else f"; shown: {case.name}, the first of {num_cases} cases"
    figure.suptitle(f"{judged.name} against the reference{shown}", fontsize=16)
    return figure


def _draw_images(panels: Any, case: JudgedCase, name: str) -> None:
    low, denoised = case.low.example, case.denoised.example
    box = around_body(low)
    window = CT_WINDOWS[0]
    aspect = low.spacing_mm[0] / low.spacing_mm[1]
    shown = (("Reference", low.reference), ("Low dose", low.test), (name, denoised.test))
    for axes, (title, image) in zip(panels, shown, strict=False):
        axes.imshow(image[box], cmap="gray", vmin=window.low, vmax=window.high, aspect=aspect)
        axes.set_title(title, fontsize=12)
    change = (denoised.test - denoised.reference)[box]
    reach = window.reach
    panels[3].imshow(change, cmap="gray", vmin=-reach, vmax=reach, aspect=aspect)
    panels[3].set_title(f"{name} \N{MINUS SIGN} reference, ±{reach:g} HU", fontsize=12)
    for axes in panels:
        axes.set_axis_off()


def _draw_noise(axes: Axes, case: JudgedCase, name: str) -> None:
    dress(axes, "Noise power spectrum", "spatial frequency, 1/mm", "HU² mm²")
    low, denoised = case.low.noise, case.denoised.noise
    if low is None or denoised is None:
        say(axes, "no homogeneous soft tissue found")
        return
    plot_spectra(
        axes,
        [
            Curve("reference", low.reference, REFERENCE_COLOR),
            Curve("low dose", low.test, DIFFERENCE_COLOR),
            Curve(name, denoised.test, TEST_COLOR),
        ],
    )


def _draw_sharpness(axes: Axes, case: JudgedCase, name: str) -> None:
    dress(axes, "Edge sharpness (task transfer function)", "spatial frequency, 1/mm", "")
    sure = [each for each in case.denoised.sharpness.values() if each.is_sure]
    if not sure:
        say(axes, "too few clean edges found")
        return
    for color, each in zip(EDGE_COLORS, sure, strict=False):
        frequency, contrast = each.reference.frequency_per_mm, each.reference.contrast_hu
        axes.plot(frequency, each.reference.transfer, color=color, alpha=0.5)
        label = f"{each.reference.kind.name}, {contrast:.0f} HU: f50 x {each.f50_ratio:.2f}"
        axes.plot(each.test.frequency_per_mm, each.test.transfer, "--", color=color, label=label)
    axes.axhline(0.5, color="#BBBBBB", linewidth=0.8)
    axes.set_xlim(0)
    axes.set_ylim(0, 1.5)
    axes.legend(fontsize=8, frameon=False, title=f"solid: reference, dashed: {name}")


def _draw_bias(axes: Axes, case: JudgedCase, name: str) -> None:
    dress(axes, "HU bias", "grey: ±2 HU", "HU, test \N{MINUS SIGN} reference")
    tissues = list(case.denoised.hu_bias)
    if not tissues:
        say(axes, "no tissue found")
        return
    place = np.arange(len(tissues))
    axes.axhspan(-2, 2, color="#EEEEEE", zorder=0)
    for shift, title, found, color in (
        (-0.2, "low dose", case.low.hu_bias, DIFFERENCE_COLOR),
        (0.2, name, case.denoised.hu_bias, TEST_COLOR),
    ):
        values = [found[tissue].bias_hu if tissue in found else 0.0 for tissue in tissues]
        axes.bar(place + shift, values, width=0.38, color=color, label=title)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(place, tissues)
    axes.legend(fontsize=8, frameon=False)
