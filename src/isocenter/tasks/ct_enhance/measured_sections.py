"""What the report says of figures that were measured of its model: coverage and kept contrast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from isocenter.image.ct_tissue import TISSUES
from isocenter.modelpack.ct_enhance.calibration import CLASSES
from isocenter.modelpack.ct_enhance.measured import KeptContrast, Measured, MeasuredCoverage
from isocenter.tasks.report.content import Facts, Paragraph, Part, Plot, Plots, Table
from isocenter.tasks.report.plots import AFTER_COLOR, BEFORE_COLOR, Curve, line_plot
from isocenter.tasks.report.words import number

PROMISED = 0.9
QUIET_COLOR = "#c3ccd5"
NOT_MEASURED = "No measured figures come with this model"


def interval_words(measured: Measured | None) -> str:
    """The interval by what it promises and what it held."""
    if measured is None:
        return f"{100 * PROMISED:.0f} % interval (coverage not measured)"
    coverage = measured.coverage
    return f"{100 * coverage.promised:.0f} % interval (measured: {coverage.shares})"


def coverage_note(measured: Measured | None) -> str:
    """One sentence for terminal, record and DICOM; "" where nothing was measured."""
    if measured is None:
        return ""
    coverage = measured.coverage
    return f"Its {100 * coverage.promised:.0f} % interval held {coverage.in_words()}."


def coverage_parts(measured: Measured | None, *, promise: Any, forced: bool) -> Iterator[Part]:
    """Does the interval keep its word?

    Args:
        promise: what the model's card says of it; None where it says nothing.
        forced: whether the scan is outside what the interval was calibrated for.
    """
    heading = "Does the interval keep its word?"
    said = promise or coverage_note(measured) or "The model's card says nothing of it."
    yield Facts(heading=heading, value=said)
    if measured is None:
        yield Paragraph(
            text=f"{NOT_MEASURED}: how often its interval holds is not known.", note=False
        )
    else:
        yield _coverage_table(measured.coverage)
        yield Paragraph(
            text="Share of voxels whose standard-dose value lay within the interval, in pairs of "
            "scans that the model was not made with; by range of HU, as the interval is calibrated."
        )
    if forced:
        yield Paragraph(
            text="This scan was forced: the interval was not calibrated for it and may be too "
            "narrow.",
            note=False,
        )


def _coverage_table(coverage: MeasuredCoverage) -> Table:
    used = [name for name in CLASSES if any(name in each.tissues for each in coverage.sets)]
    return Table(
        columns=("Measured on", "Patients", "All, %", *(f"{_range(name)}, %" for name in used)),
        rows=tuple(
            (
                each.name,
                str(each.patients),
                _percent(each.pooled),
                *(_percent(each.tissues.get(name)) for name in used),
            )
            for each in coverage.sets
        ),
        strong=2,
    )


def _range(name: str) -> str:
    if name not in TISSUES:
        return "else"
    low, high = TISSUES[name]
    return f"{number(low, 0)} …\n{number(high, 0)} HU"


def _percent(share: float | None) -> str:
    return number(None if share is None else 100 * share, 0)


def contrast_parts(
    measured: Measured | None, *, noise_hu: float, strength: float
) -> Iterator[Part]:
    """How much of a faint lesion's contrast is left, by its size, at this scan's noise."""
    if measured is None:
        yield Paragraph(
            text=f"{NOT_MEASURED}: how much contrast of faint small lesions is left is not known. "
            "Look for such lesions in the original series.",
            note=False,
        )
        return
    contrast = measured.contrast
    if math.isnan(noise_hu):
        yield Paragraph(
            text="The noise of this scan could not be measured, so nothing can be said of faint "
            "small lesions. Look for them in the original series.",
            note=False,
        )
        return
    yield Plots(plots=(_contrast_plot(contrast, noise_hu),))
    yield _contrast_table(contrast, noise_hu)
    yield Paragraph(text=" ".join(_contrast_words(contrast, noise_hu, strength)))


def _contrast_plot(contrast: KeptContrast, noise_hu: float) -> Plot:
    diameters = contrast.diameter_mm
    others = [
        Curve(
            name=f"at {contrast.noise_hu[place]:g} HU",
            x=diameters,
            y=contrast.kept[place],
            color=color,
        )
        for place, color in ((0, QUIET_COLOR), (-1, BEFORE_COLOR))
    ]
    here = Curve(
        name=f"this scan, {noise_hu:.0f} HU",
        x=diameters,
        y=contrast.at(noise_hu),
        color=AFTER_COLOR,
        mark="circle",
    )
    return Plot(
        title="Contrast kept",
        caption=f"lesions of {number(contrast.contrast_hu, 0)} HU, by noise",
        svg=line_plot(
            [*others, here],
            x_label="diameter (mm)",
            y_label="share of contrast kept",
            description="Share of a faint lesion's contrast that is kept, by its diameter",
        ),
    )


def _contrast_table(contrast: KeptContrast, noise_hu: float) -> Table:
    return Table(
        columns=("Diameter", *(f"{each:g} mm" for each in contrast.diameter_mm)),
        rows=(
            (
                f"Contrast kept at this scan's noise, {noise_hu:.0f} HU",
                *(f"{100 * share:.0f} %" for share in contrast.at(noise_hu)),
            ),
            (
                f"Left of {number(contrast.contrast_hu, 0)} HU",
                *(
                    f"{number(contrast.contrast_hu * share, 0)} HU"
                    for share in contrast.at(noise_hu)
                ),
            ),
        ),
    )


def _contrast_words(contrast: KeptContrast, noise_hu: float, strength: float) -> Iterator[str]:
    yield (
        f"Discs of {number(contrast.contrast_hu, 0)} HU were inserted into scans of known noise "
        f"and enhanced at strength {contrast.strength:g}; between noise levels the share is "
        "interpolated. A lesion that loses half of its contrast is easily missed: look for faint "
        "small lesions in the original series too."
    )
    if not contrast.reaches(noise_hu):
        yield (
            f"This scan's noise lies outside the {contrast.noise_hu[0]:g} to "
            f"{contrast.noise_hu[-1]:g} HU that were measured; the nearest level stands for it."
        )
    if strength != contrast.strength:
        yield (
            f"This run has strength {strength:g}; a sample's texture adds noise, and leaves the "
            "average contrast of many samples as it is."
        )
