"""What the report says of noise before and after: level, and spectra where they hold noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from isocenter.evaluation.ct.noise_power import NoisePowerSpectrum
from isocenter.image.ct_noise import ANATOMY_BELOW_PER_MM
from isocenter.tasks.ct_enhance.observations import Observations
from isocenter.tasks.report.content import Paragraph, Part, Plot, Plots
from isocenter.tasks.report.plots import (
    AFTER_COLOR,
    BEFORE_COLOR,
    REMOVED_COLOR,
    Curve,
    line_plot,
)
from isocenter.tasks.report.words import number


def noise_parts(seen: Observations) -> Iterator[Part]:
    """Curves, and how to read them."""
    level = Plot(title="Level", caption="slice by slice", svg=_level_plot(seen))
    yield Plots(plots=(level, *_spectrum_plots(seen)))
    yield Paragraph(text=" ".join(_noise_words(seen)))


def _level_plot(seen: Observations) -> str:
    measured = seen.noise.of_slices
    slices = [each.index + 1 for each in measured]
    before = [each.reference.level_hu for each in measured]
    after = [each.test.level_hu for each in measured]
    return line_plot(
        [
            Curve(name="before", x=slices, y=before, color=BEFORE_COLOR, mark="circle"),
            Curve(name="after", x=slices, y=after, color=AFTER_COLOR, mark="square"),
        ],
        x_label="slice",
        y_label="noise in quietest soft tissue (HU)",
        description="Noise level of each measured slice before and after",
        x_limits=(1, seen.num_slices),
        whole_x=True,
    )


def _spectrum_plots(seen: Observations) -> Iterator[Plot]:
    """Radial power of what holds noise alone, and both curves scaled to the same area."""
    uniform = seen.uniform
    sides = (
        ("before", uniform.before, BEFORE_COLOR),
        ("after", uniform.after, AFTER_COLOR),
        ("removed", uniform.removed, REMOVED_COLOR),
    )
    curves = [_radial(name, spectrum, color) for name, spectrum, color in sides if spectrum]
    x_label = "spatial frequency (cycles/mm)"
    if curves:
        yield Plot(
            title="Power spectrum",
            caption="radial, of even regions",
            svg=line_plot(
                curves,
                x_label=x_label,
                y_label="power (HU² mm²)",
                description="Radial noise power spectra: "
                + ", ".join(each.name for each in curves),
            ),
        )
    shapes = [_of_equal_area(curve) for curve in curves if curve.name != "removed"]
    if len(shapes) == 2:
        yield Plot(
            title="Texture",
            caption="spectra of equal area",
            svg=line_plot(
                shapes,
                x_label=x_label,
                y_label="share of noise power (mm)",
                description="Noise power spectra before and after scaled to the same area",
            ),
        )


def _radial(name: str, spectrum: NoisePowerSpectrum, color: str) -> Curve:
    fine = spectrum.radial_frequency_per_mm > ANATOMY_BELOW_PER_MM
    return Curve(
        name=name,
        x=list(spectrum.radial_frequency_per_mm[fine]),
        y=list(spectrum.radial_power_hu2_mm2[fine]),
        color=color,
    )


def _of_equal_area(curve: Curve) -> Curve:
    points = list(zip(curve.x, curve.y, strict=True))
    area = sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in pairwise(points))
    share = [y / area for y in curve.y] if area > 0 else list(curve.y)
    return Curve(name=curve.name, x=curve.x, y=share, color=curve.color)


def _noise_words(seen: Observations) -> Iterator[str]:
    count = len(seen.noise.of_slices)
    where = "one slice" if count == 1 else f"{count} slices spread over the series"
    yield (
        "Level and mean frequency: of the quietest soft tissue above "
        f"{ANATOMY_BELOW_PER_MM:g} cycles/mm, median over {where}; every noise level on this page "
        "is by this meter, that of section 5 too. One scan alone cannot tell noise from fine "
        "anatomy, so the level after is an upper limit."
    )
    yield from _spectrum_words(seen)


def _spectrum_words(seen: Observations) -> Iterator[str]:
    uniform = seen.uniform
    if not uniform.num_regions:
        yield "There are no spectra: too few even regions of soft tissue were found."
        return
    if uniform.before or uniform.after or uniform.removed:
        yield (
            f"Spectra: the quietest {uniform.num_regions} regions of even soft tissue, the same "
            "for all curves; removed is the spectrum of the difference."
        )
    sides = (
        ("before", uniform.before, uniform.integral_hu[0], seen.noise_before_hu),
        ("after", uniform.after, uniform.integral_hu[1], seen.noise_after_hu),
    )
    for name, spectrum, integral, level in sides:
        if spectrum is None:
            yield (
                f"No spectrum {name}: it would integrate to {number(integral)} HU where the noise "
                f"is {number(level)} HU, so anatomy would be in it."
            )
    if uniform.removed is None:
        yield "No spectrum of what was removed: it holds more than noise, which is worth a look."
