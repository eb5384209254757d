"""What the report says of an enhanced CT: CT windows, noise, HU by tissue, intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocenter.core.acquisition import Acquisition, CtAcquisition
from isocenter.core.outputs import HOUNSFIELD
from isocenter.core.volume import Geometry, SliceSource
from isocenter.evaluation.ct.hu import TissueChange
from isocenter.image.ct_noise import ANATOMY_BELOW_PER_MM
from isocenter.image.ct_tissue import body_mask
from isocenter.tasks.ct_enhance.observations import EnhancedSlice, Observations, Observer
from isocenter.tasks.ct_enhance.outputs import ENHANCED
from isocenter.tasks.ct_enhance.rules import ScanMeasures
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.report.content import (
    Check,
    Facts,
    Page,
    Panel,
    Paragraph,
    Part,
    Pictures,
    Plot,
    Plots,
    Section,
    Table,
    Tile,
)
from isocenter.tasks.report.pictures import (
    Box,
    Scale,
    box_around,
    middle_of,
    panel,
    pictures,
)
from isocenter.tasks.report.plots import AFTER_COLOR, BEFORE_COLOR, Curve, line_plot
from isocenter.tasks.report.words import count, number, signed, title
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Observed, SliceResult

LARGEST_HU_CHANGE = 2.0
# Single voxels of metal or bright bone often lie at the end of the range before any change.
LARGEST_CLIPPED_SHARE = 1e-5
# Bone is left out: its range holds edges and contrast medium, whose mean follows sharpness.
JUDGED_TISSUES = ("lung", "fat", "muscle", "liver", "blood")
MARGIN_MM = 12.0
DETAIL_MM = 110.0
LUNG = Scale.window("lung window", center=-600, width=1500, unit=HOUNSFIELD.name)
SOFT_TISSUE = Scale.window("soft-tissue window", center=40, width=400, unit=HOUNSFIELD.name)


class EnhanceObserver:
    """Watches an enhancement and fills its report."""

    def __init__(
        self,
        scan: SliceSource,
        settings: EnhanceSettings,
        suitability: Suitability,
        card: Mapping[str, Any],
    ) -> None:
        geometry = scan.geometry
        self._facts = EnhanceFacts(
            geometry=geometry,
            acquisition=scan.acquisition,
            settings=settings,
            suitability=suitability,
            card=card,
        )
        self._observer = Observer(num_slices=geometry.shape[0], spacing_mm=geometry.spacing_mm[1:])

    def take(self, result: SliceResult) -> None:
        """Look at one slice."""
        self._observer.take(result)

    def observed(self, num_clipped: Mapping[str, int]) -> Observed:
        """What was seen, as figures and as a page."""
        seen = self._observer.observations(num_clipped=num_clipped[ENHANCED.name])
        return Observed(facts=seen.as_dict(), page=page_of(seen, self._facts))


@dataclass(frozen=True, kw_only=True)
class EnhanceFacts:
    """What is known of a run before its first slice.

    Attributes:
        geometry, acquisition: of the scan.
        settings: of the run.
        suitability: what the guard measured.
        card: of the model.
    """

    geometry: Geometry
    acquisition: Acquisition
    settings: EnhanceSettings
    suitability: Suitability
    card: Mapping[str, Any]


def page_of(seen: Observations, facts: EnhanceFacts) -> Page:
    """Everything that the report says of one enhanced scan."""
    return Page(
        title="CT enhancement report",
        banner="The enhanced series was made by a model from a low-dose CT; read it beside the "
        "original, never instead of it.",
        headline=headline(seen),
        checks=(_check_numbers(seen.tissues), _check_noise(seen), _check_clipping(seen)),
        caution="The checks compare the result with its own input; they cannot show that no "
        "structure was lost or added.",
        tiles=tuple(_tiles(seen, facts)),
        sections=(
            Section(title="Images", parts=tuple(_images(seen, facts.geometry))),
            Section(title="Noise", parts=tuple(_noise(seen, facts.geometry))),
            Section(
                title="Numbers kept, and how sure the model is",
                parts=tuple(_numbers(seen, facts)),
            ),
        ),
        rules_note=_rules_note(facts),
        forced_note="Figures on the model's card do not hold for this scan, nor does the coverage "
        "of its intervals.",
        shown_of_card=("coverage",),
        setting_notes={"strength": strength_words(facts.settings)},
    )


def headline(seen: Observations) -> str:
    """What happened, in one or two plain sentences."""
    parts = [_noise_sentence(seen.noise_before_hu, seen.noise_after_hu)]
    worst = largest_change(seen.tissues)
    if worst is not None:
        parts.append(
            f"Mean HU moved by at most {abs(worst.change_hu):.1f} HU in any soft-tissue or lung "
            f"range ({worst.tissue})."
        )
    return " ".join(parts)


def _noise_sentence(before: float, after: float) -> str:
    if math.isnan(before) or math.isnan(after):
        return "Noise could not be measured, since no even soft tissue was found."
    percent = 100 * (after / before - 1) if before > 0 else 0.0
    if abs(percent) < 0.5:
        return f"Noise in the quietest soft tissue stayed at {before:.1f} HU."
    verb = "fell" if percent < 0 else "rose"
    change = f"{before:.1f} to {after:.1f} HU ({signed(percent, 0)} %)"
    return f"Noise in the quietest soft tissue {verb} from {change}."


def largest_change(tissues: Sequence[TissueChange]) -> TissueChange | None:
    """The judged tissue whose mean moved most."""
    judged = [each for each in tissues if each.tissue in JUDGED_TISSUES]
    return max(judged, key=lambda each: abs(each.change_hu), default=None)


def strength_words(settings: EnhanceSettings) -> str:
    """What the strength means."""
    strength, samples = settings.strength, settings.samples
    if strength == 0:
        return "the model's mean, without restored texture"
    source = "one sample" if samples == 1 else f"the average of {samples} samples"
    if strength == 1:
        return f"{source}, with restored texture"
    return f"{100 - 100 * strength:.0f} % the model's mean, {100 * strength:.0f} % {source}"


# Checks


def _check_numbers(tissues: Sequence[TissueChange]) -> Check:
    question = f"Were mean HU kept within {LARGEST_HU_CHANGE:g} HU (lung and soft tissue)?"
    worst = largest_change(tissues)
    if worst is None:
        return Check(question=question, answer="No range held enough voxels.", passed=None)
    return Check(
        question=question,
        answer=f"Largest change {signed(worst.change_hu, 1)} HU, in {worst.tissue}.",
        passed=abs(worst.change_hu) <= LARGEST_HU_CHANGE,
    )


def _check_noise(seen: Observations) -> Check:
    question = "Is there no more noise than before?"
    before, after = seen.noise_before_hu, seen.noise_after_hu
    if math.isnan(before) or math.isnan(after):
        return Check(question=question, answer="Could not be measured.", passed=None)
    return Check(
        question=question,
        answer=f"{before:.1f} HU before, {after:.1f} HU after.",
        passed=after <= before * 1.005,
    )


def _check_clipping(seen: Observations) -> Check:
    share = seen.num_clipped / seen.num_voxels if seen.num_voxels else 0.0
    answer = f"{_clipped(seen)} were clipped to it." if seen.num_clipped else "None was clipped."
    return Check(
        question="Did the new values fit the range that the series can store?",
        answer=answer,
        passed=share <= LARGEST_CLIPPED_SHARE,
    )


def _clipped(seen: Observations) -> str:
    return f"{count(seen.num_clipped)} of {count(seen.num_voxels)} voxels"


# Tiles


def _tiles(seen: Observations, facts: EnhanceFacts) -> Iterator[Tile]:
    before, after = (each.mean_frequency_per_mm for each in (seen.noise.reference, seen.noise.test))
    muscle = next((each for each in seen.tissues if each.tissue == "muscle"), None)
    rows, columns = facts.geometry.shape[1:]
    yield Tile(
        value=f"{number(seen.noise_before_hu)} → {number(seen.noise_after_hu)} HU",
        meaning="noise in the quietest soft tissue, before → after",
    )
    yield Tile(
        value=f"{number(before, 2)} → {number(after, 2)}",
        meaning="mean frequency of the noise, cycles/mm",
    )
    yield Tile(
        value=f"± {number(muscle.half_width_median_hu)} HU" if muscle else "–",
        meaning="90 % interval of a voxel in muscle, median",
    )
    yield Tile(
        value=f"{facts.settings.strength:.6g}",
        meaning=f"strength: {strength_words(facts.settings)}",
    )
    yield Tile(
        value=str(seen.num_slices),
        meaning=f"slices of {rows} × {columns}, {count(seen.num_clipped)} voxels clipped",
    )


# Images


def difference_scale(seen: Observations) -> Scale:
    """Symmetric around zero, three times the input's noise, rounded up to 10 HU."""
    noise = seen.noise_before_hu
    limit = 100.0 if np.isnan(noise) else max(20.0, 10 * np.ceil(0.3 * noise))
    return Scale(label="after − before", low=-limit, high=limit, unit="HU", colors="diverging")


def uncertainty_scale(seen: Observations) -> Scale:
    """From zero to nearly the largest half-width in the slices shown, rounded up to 10 HU."""
    tops = [
        np.percentile(piece.half_width_hu[piece.valid], 99.5)
        for piece in seen.pictures
        if piece.valid.any()
    ]
    high = max(10.0, 10 * np.ceil(max(tops, default=0) / 10))
    return Scale(label="half of 90 % interval", low=0, high=high, unit="HU", colors="sequential")


def _images(seen: Observations, geometry: Geometry) -> Iterator[Part]:
    yield Paragraph(
        text="Every picture shows pixels of the series, cropped to the patient. The difference is "
        "after − before: where it looks like noise, noise was removed; where it shows anatomy, "
        "compare with care. Uncertainty is half of the model's 90 % interval for the standard-dose "
        "value."
    )
    extra = (difference_scale(seen), uncertainty_scale(seen))
    for piece in seen.pictures:
        yield _slice_pictures(piece, seen.num_slices, geometry, extra)
    if seen.pictures:
        yield _detail(seen.pictures[len(seen.pictures) // 2], geometry, extra)


def _slice_pictures(
    piece: EnhancedSlice, num_slices: int, geometry: Geometry, extra: tuple[Scale, Scale]
) -> Pictures:
    """Before and after at two windows, with the difference and the uncertainty beside them."""
    box = _patient_box(piece, geometry)
    pairs = [_before_after(piece, box, window) for window in (LUNG, SOFT_TISSUE)]
    added = _difference_and_uncertainty(piece, box, extra)
    rows = [(*pair, one) for pair, one in zip(pairs, added, strict=True)]
    return pictures(f"Slice {piece.index + 1} of {num_slices}", rows, box, geometry)


def _detail(piece: EnhancedSlice, geometry: Geometry, extra: tuple[Scale, Scale]) -> Pictures:
    """The middle of a slice, large enough to see single pixels."""
    box = middle_of(
        _patient_box(piece, geometry), side_mm=DETAIL_MM, spacing_mm=geometry.spacing_mm[1:]
    )
    row = (
        *_before_after(piece, box, SOFT_TISSUE),
        *_difference_and_uncertainty(piece, box, extra),
    )
    heading = f"Detail of slice {piece.index + 1}, single pixels visible"
    return pictures(heading, [row], box, geometry, pixels=True)


def _patient_box(piece: EnhancedSlice, geometry: Geometry) -> Box:
    body = body_mask(piece.before_hu, valid=piece.valid)
    return box_around(body, margin_mm=MARGIN_MM, spacing_mm=geometry.spacing_mm[1:])


def _before_after(piece: EnhancedSlice, box: Box, window: Scale) -> tuple[Panel, Panel]:
    where = f"Slice {piece.index + 1}"
    return (
        panel("Before", piece.before_hu[box], window, where=where),
        panel("After", piece.image_hu[box], window, where=where),
    )


def _difference_and_uncertainty(
    piece: EnhancedSlice, box: Box, scales: tuple[Scale, Scale]
) -> tuple[Panel, Panel]:
    where = f"Slice {piece.index + 1}"
    change = piece.image_hu[box] - piece.before_hu[box]
    return (
        panel("Difference", change, scales[0], where=where),
        panel("Uncertainty", piece.half_width_hu[box], scales[1], where=where),
    )


# Noise


def _noise(seen: Observations, geometry: Geometry) -> Iterator[Part]:
    level = Plot(title="Level", caption="slice by slice", svg=_level_plot(seen))
    yield Plots(plots=(level, *_spectrum_plots(seen)))
    yield Paragraph(text=" ".join(_noise_words(seen, geometry)))


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
    """Radial power, and both curves scaled to the same area: texture apart from strength."""
    before, after = seen.spectrum_before, seen.spectrum_after
    if before is None or after is None:
        return
    sides = ((before, "before", BEFORE_COLOR), (after, "after", AFTER_COLOR))
    x_label = "spatial frequency (cycles/mm)"
    curves, shapes = [], []
    for spectrum, name, color in sides:
        noise = spectrum.radial_frequency_per_mm > ANATOMY_BELOW_PER_MM
        frequency = spectrum.radial_frequency_per_mm[noise]
        power = spectrum.radial_power_hu2_mm2[noise]
        curves.append(Curve(name=name, x=list(frequency), y=list(power), color=color))
        area = np.trapezoid(power, frequency)
        if area > 0:
            shapes.append(Curve(name=name, x=list(frequency), y=list(power / area), color=color))
    yield Plot(
        title="Power spectrum",
        caption="radial",
        svg=line_plot(
            curves,
            x_label=x_label,
            y_label="power (HU² mm²)",
            description="Radial noise power spectrum before and after",
        ),
    )
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


def _noise_words(seen: Observations, geometry: Geometry) -> Iterator[str]:
    count = len(seen.noise.of_slices)
    where = "one slice" if count == 1 else f"{count} slices spread over the series"
    yield (
        "Level and mean frequency: of the quietest soft tissue above "
        f"{ANATOMY_BELOW_PER_MM:g} cycles/mm, median over {where}; every noise figure on this page "
        "is by this meter, that of section 4 too."
    )
    if seen.spectrum_before is not None:
        yield (
            f"Spectra: {seen.spectrum_before.num_regions} regions of even soft tissue, the same "
            "before and after, above that frequency. They say at which frequencies noise was "
            "removed; they hold fine anatomy too, so no level is taken from them."
        )
    yield (
        "One scan alone cannot tell noise from fine anatomy, so the level after is an upper limit."
    )
    if seen.continuity is not None:
        yield (
            "Neighbouring slices differed inside the body by "
            f"{number(seen.continuity.reference)} HU on average before and by "
            f"{number(seen.continuity.test)} HU after "
            f"({number(geometry.spacing_mm[0], 2)} mm apart)."
        )


# Numbers


def _numbers(seen: Observations, facts: EnhanceFacts) -> Iterator[Part]:
    if seen.tissues:
        yield _tissue_table(seen.tissues)
    else:
        yield Paragraph(text="No tissue range held enough voxels to be judged.", note=False)
    yield Paragraph(
        text="The names say which tissue a range of HU usually holds; no organ was segmented, and "
        "contrast medium moves organs between ranges. Voxels are sorted by the smoothed mean of "
        "both images; specks and borders are left out. The interval is for the value that a "
        "standard-dose scan would show in that voxel."
    )
    if "coverage" in facts.card:
        yield Facts(heading="Does the interval keep its word?", value=facts.card["coverage"])
        if facts.suitability.broken:
            yield Paragraph(
                text="This scan was forced: the interval was not calibrated for it and may be too "
                "narrow.",
                note=False,
            )
    yield Paragraph(
        text=f"{_clipped(seen)} were clipped to the range that the file format can store; "
        f"{count(seen.num_unmeasured)} voxels hold no measurement (padding, outside the scanner's "
        "circle) and were kept as they were.",
        note=False,
    )


def _tissue_table(tissues: Sequence[TissueChange]) -> Table:
    return Table(
        columns=(
            "Tissue range",
            "HU from … to",
            "Voxels n",
            "Mean before, HU",
            "Mean after, HU",
            "Change, HU",
            "90 % interval,\nmedian ± HU",
            "90 % interval,\n95th percentile ± HU",
        ),
        rows=tuple(
            (
                title(each.tissue),
                f"{number(each.range_hu[0], 0)} … {number(each.range_hu[1], 0)}",
                count(each.num_voxels),
                number(each.before_hu),
                number(each.after_hu),
                signed(each.change_hu, 2),
                number(each.half_width_median_hu),
                number(each.half_width_p95_hu),
            )
            for each in tissues
        ),
        strong=5,
    )


def _rules_note(facts: EnhanceFacts) -> str:
    measures: ScanMeasures = facts.suitability.measures
    num_slices = len(measures.slices)
    parts = [
        f"Noise and cross-section are medians over {num_slices} "
        f"{'slice' if num_slices == 1 else 'slices'}, measured before any work; section 2 looks at "
        "more slices by the same meter."
    ]
    acquisition = facts.acquisition
    if isinstance(acquisition, CtAcquisition):
        if acquisition.tube_voltage_kv:
            parts.append(f"Tube voltage {number(acquisition.tube_voltage_kv, 0)} kV.")
        if acquisition.exposure_mas:
            parts.append(f"Exposure {number(acquisition.exposure_mas, 0)} mAs.")
    if acquisition.manufacturer:
        names = (acquisition.manufacturer, acquisition.manufacturer_model)
        parts.append(f"Scanner: {' '.join(name for name in names if name)}.")
    return " ".join(parts)
