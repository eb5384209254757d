"""What the report says of an enhanced CT: CT windows, noise, HU by tissue, intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isocenter.core.acquisition import Acquisition, CtAcquisition
from isocenter.core.volume import Geometry, SliceSource
from isocenter.evaluation.ct.hu import RegionChange
from isocenter.image.ct_regions import DENSE, FAT, LUNG, RegionKind
from isocenter.modelpack.ct_enhance.measured import Measured
from isocenter.tasks.ct_enhance.measured_sections import (
    PROMISED,
    contrast_parts,
    coverage_parts,
    interval_words,
)
from isocenter.tasks.ct_enhance.noise_sections import noise_parts
from isocenter.tasks.ct_enhance.observations import Observations, Observer
from isocenter.tasks.ct_enhance.outputs import ENHANCED
from isocenter.tasks.ct_enhance.places import ChangedPlace
from isocenter.tasks.ct_enhance.rules import ScanMeasures
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.ct_enhance.viewing import LUNG_WINDOW, SOFT_TISSUE, viewer_of
from isocenter.tasks.report.content import (
    Check,
    Look,
    Page,
    Paragraph,
    Part,
    Places,
    Section,
    Table,
    Tile,
)
from isocenter.tasks.report.words import count, number, signed
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Observed, SliceResult

LARGEST_HU_CHANGE = 2.0
INDEPENDENT_MM2 = 9.0
# Single voxels of metal or bright bone often lie at the end of the range before any change.
LARGEST_CLIPPED_SHARE = 1e-5
NUM_PLACES = 4
LEAST_CHANGE_HU = 5.0


class EnhanceObserver:
    """Watches an enhancement and fills its report."""

    def __init__(
        self,
        scan: SliceSource,
        settings: EnhanceSettings,
        suitability: Suitability,
        card: Mapping[str, Any],
        measured: Measured | None = None,
    ) -> None:
        measures: ScanMeasures = suitability.measures
        self._facts = EnhanceFacts(
            geometry=scan.geometry,
            acquisition=scan.acquisition,
            settings=settings,
            suitability=suitability,
            card=card,
            measured=measured,
        )
        self._observer = Observer(scan.geometry, body_rows=measures.body_rows)

    def take(self, result: SliceResult) -> None:
        """Look at one slice."""
        self._observer.take(result)

    def observed(self, num_clipped: Mapping[str, int]) -> Observed:
        """What was seen, as figures and as a page."""
        seen = self._observer.observations(num_clipped=num_clipped[ENHANCED.name])
        facts = seen.as_dict() | {"interval": interval_facts(self._facts.measured)}
        return Observed(facts=facts, page=page_of(seen, self._facts))


@dataclass(frozen=True, kw_only=True)
class EnhanceFacts:
    """What is known of a run before its first slice.

    Attributes:
        geometry, acquisition: of the scan.
        settings: of the run.
        suitability: what the guard measured.
        card: of the model.
        measured: figures of the model, where there are any.
    """

    geometry: Geometry
    acquisition: Acquisition
    settings: EnhanceSettings
    suitability: Suitability
    card: Mapping[str, Any]
    measured: Measured | None = None


def interval_facts(measured: Measured | None) -> dict[str, Any]:
    """What the interval promises and what it held, for the record; null where not measured."""
    coverage = measured.coverage if measured else None
    return {
        "promised": coverage.promised if coverage else PROMISED,
        "measured": {each.name: each.pooled for each in coverage.sets} if coverage else None,
    }


def page_of(seen: Observations, facts: EnhanceFacts) -> Page:
    """Everything that the report says of one enhanced scan."""
    return Page(
        title="CT enhancement report",
        banner="The enhanced series was made by a model from a low-dose CT; read it beside the "
        "original, never instead of it.",
        headline=headline(seen),
        checks=(_check_numbers(seen), _check_noise(seen), _check_clipping(seen)),
        caution="The checks compare the result with its own input; they cannot show that no "
        "structure was lost or added.",
        tiles=tuple(_tiles(seen, facts)),
        sections=(
            Section(title="Images", parts=tuple(_images(seen, facts))),
            Section(title="Noise", parts=tuple(noise_parts(seen))),
            Section(
                title="Numbers kept, and how sure the model is",
                parts=tuple(_numbers(seen, facts)),
            ),
            Section(
                title="Faint small lesions: how much contrast is left",
                parts=tuple(
                    contrast_parts(
                        facts.measured,
                        noise_hu=seen.noise_before_hu,
                        strength=facts.settings.strength,
                    )
                ),
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
    worst = largest_change(judged_regions(seen))
    if worst is not None:
        parts.append(
            f"Mean HU of even regions moved by at most {abs(worst.change_hu):.1f} HU "
            f"({label_of(worst.kind)})."
        )
    return " ".join(parts)


def label_of(kind: RegionKind) -> str:
    """A kind of region in words: what was measured, where its name alone does not say it."""
    low, high = (number(limit, 0) for limit in kind.range_hu)
    if kind in (LUNG, FAT):
        return kind.name.lower()
    return f"{kind.name.lower()} of {low} to {high} HU"


def _noise_sentence(before: float, after: float) -> str:
    if math.isnan(before) or math.isnan(after):
        return "Noise could not be measured, since no even soft tissue was found."
    percent = 100 * (after / before - 1) if before > 0 else 0.0
    if abs(percent) < 0.5:
        return f"Noise in the quietest soft tissue stayed at {before:.1f} HU."
    verb = "fell" if percent < 0 else "rose"
    change = f"{before:.1f} to {after:.1f} HU ({signed(percent, 0)} %)"
    return f"Noise in the quietest soft tissue {verb} from {change}."


def judged_regions(seen: Observations) -> tuple[RegionChange, ...]:
    """Kinds of region whose mean tells a shift from noise.

    Dense matter is left out: it holds edges and contrast medium, whose mean follows sharpness. So
    are few voxels in much noise, taken as independent where they lie 3 mm apart.
    """
    return tuple(
        each
        for each in seen.regions
        if each.kind is not DENSE and not _standard_error(seen, each) > LARGEST_HU_CHANGE
    )


def _standard_error(seen: Observations, region: RegionChange) -> float:
    """Of the mean, from the noise before; NaN where that was not measured."""
    independent = min(1.0, seen.views.pixel_mm2 / INDEPENDENT_MM2) * region.num_voxels
    return seen.noise_before_hu / math.sqrt(independent)


def largest_change(regions: Sequence[RegionChange]) -> RegionChange | None:
    """The kind of region whose mean moved most."""
    return max(regions, key=lambda each: abs(each.change_hu), default=None)


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


def _check_numbers(seen: Observations) -> Check:
    question = f"Were mean HU of even regions kept within {LARGEST_HU_CHANGE:g} HU (bone aside)?"
    worst = largest_change(judged_regions(seen))
    if worst is None:
        return Check(
            question=question,
            answer="No even region is large enough for its mean to be told from noise.",
            passed=None,
            advice="Measure HU in the original and in the result yourself, in the same places.",
            looks=_look_at_middle(seen, "side"),
        )
    return Check(
        question=question,
        answer=f"Largest change {signed(worst.change_hu, 1)} HU, in {label_of(worst.kind)}.",
        passed=abs(worst.change_hu) <= LARGEST_HU_CHANGE,
        advice="Take HU of such regions from the original series. At a strength above 0, run again "
        "with a lower --strength; what moves still is the model's own shift.",
        looks=_look_at_shift(seen, worst),
    )


def _look_at_shift(seen: Observations, worst: RegionChange) -> tuple[Look, ...]:
    """The slice in which these regions moved most."""
    shown = {index: shift for index, shift in worst.slices_hu.items() if index in _shown(seen)}
    shifts = shown or worst.slices_hu
    if not shifts:
        return _look_at_middle(seen, "difference")
    index = max(shifts, key=lambda each: abs(shifts[each]))
    window = LUNG_WINDOW if worst.kind is LUNG else SOFT_TISSUE
    return (_look(seen, index, "difference", window.name),)


def _check_noise(seen: Observations) -> Check:
    question = "Is there no more noise than before?"
    before, after = seen.noise_before_hu, seen.noise_after_hu
    if math.isnan(before) or math.isnan(after):
        return Check(
            question=question,
            answer="Could not be measured.",
            passed=None,
            advice="There is no even soft tissue to measure it in: compare both series by eye.",
            looks=_look_at_middle(seen, "side"),
        )
    return Check(
        question=question,
        answer=f"{before:.1f} HU before, {after:.1f} HU after.",
        passed=after <= before * 1.005,
        advice="The enhancement gains nothing here: use the original series, or run again with a "
        "lower --strength.",
        looks=_look_at_noise(seen),
    )


def _look_at_noise(seen: Observations) -> tuple[Look, ...]:
    """The slice whose noise grew most."""
    grown = {
        each.index: each.test.level_hu / each.reference.level_hu
        for each in seen.noise.of_slices
        if each.reference.level_hu > 0 and each.index in _shown(seen)
    }
    return (_look(seen, max(grown, key=lambda each: grown[each]), "swipe"),) if grown else ()


def _check_clipping(seen: Observations) -> Check:
    share = seen.num_clipped / seen.num_voxels if seen.num_voxels else 0.0
    answer = f"{_clipped(seen)} were clipped to it." if seen.num_clipped else "None was clipped."
    return Check(
        question="Did the new values fit the range that the series can store?",
        answer=answer,
        passed=share <= LARGEST_CLIPPED_SHARE,
        advice="Such voxels lie in metal or very bright bone, or the range is narrow. Read and "
        "measure the original there.",
        looks=_look_at_middle(seen, "side"),
    )


def _clipped(seen: Observations) -> str:
    return f"{count(seen.num_clipped)} of {count(seen.num_voxels)} voxels"


def _shown(seen: Observations) -> tuple[int, ...]:
    return seen.views.indices


def _look(
    seen: Observations,
    index: int,
    layer: str,
    window: str = "",
    at: tuple[int, int] | None = None,
) -> Look:
    """A link to the frame that lies nearest to a slice."""
    frame = seen.views.frame_near(index)
    place = f", row {at[0] + 1}, column {at[1] + 1}" if at else ""
    return Look(
        text=f"slice {seen.views.indices[frame] + 1}{place}",
        frame=frame,
        layer=layer,
        window=window,
        at=at,
    )


def _look_at_middle(seen: Observations, layer: str) -> tuple[Look, ...]:
    shown = _shown(seen)
    return (_look(seen, shown[len(shown) // 2], layer),) if shown else ()


# Tiles


def _tiles(seen: Observations, facts: EnhanceFacts) -> Iterator[Tile]:
    before, after = (each.mean_frequency_per_mm for each in (seen.noise.reference, seen.noise.test))
    soft = [each for each in seen.regions if each.kind not in (LUNG, FAT, DENSE)]
    most = max(soft, key=lambda each: each.num_voxels, default=None)
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
        value=f"± {number(most.half_width_median_hu)} HU" if most else "–",
        meaning=f"{interval_words(facts.measured)} of a voxel"
        + (f", median in {label_of(most.kind)}" if most else ""),
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


def _images(seen: Observations, facts: EnhanceFacts) -> Iterator[Part]:
    viewer = viewer_of(
        seen.views, facts.geometry, seen.regions, interval=interval_words(facts.measured)
    )
    if viewer is None:
        return
    yield Paragraph(
        text="The difference is after − before: where it looks like noise, noise was removed; "
        "where it shows anatomy, compare with care. Its scale and that of the uncertainty are the "
        "same in every report."
    )
    yield viewer
    yield Paragraph(
        text=f"{len(seen.views.indices)} of {seen.num_slices} slices, with every pixel of the "
        "scan; HU are rounded to whole numbers, the uncertainty to quarters. Everything that a "
        "model made is marked on the picture."
    )
    places = _places(seen)
    if places is None:
        yield Paragraph(
            text=f"In the slices shown, no place changed by {LEAST_CHANGE_HU:g} HU or more on "
            "average over about 6 mm."
        )
    else:
        yield Paragraph(
            text="Look here first: the largest changes among the slices shown, averaged over about "
            "6 mm, where noise is small. In the viewer, a and b show after and before in turn. "
            "What is seen before and gone or changed after is to be read from the original.",
            note=False,
        )
        yield places


def _places(seen: Observations) -> Places | None:
    changed = [each for each in seen.changed if abs(each.change_hu) >= LEAST_CHANGE_HU]
    largest = sorted(changed, key=lambda each: -abs(each.change_hu))[:NUM_PLACES]
    if not largest:
        return None
    return Places(places=tuple((_look_at_place(seen, each), _said(each)) for each in largest))


def _look_at_place(seen: Observations, place: ChangedPlace) -> Look:
    window = LUNG_WINDOW if place.around_hu < -400 else SOFT_TISSUE
    return _look(seen, place.index, "side", window.name, (place.row, place.column))


def _said(place: ChangedPlace) -> str:
    return (
        f"{signed(place.change_hu, 0)} HU where the scan has {number(place.around_hu, 0)} HU; "
        f"in the whole slice ± {number(place.typical_hu)} HU."
    )


# Numbers


def _numbers(seen: Observations, facts: EnhanceFacts) -> Iterator[Part]:
    if seen.regions:
        yield _region_table(seen.regions, interval_words(facts.measured))
    else:
        yield Paragraph(text="No even region held enough voxels to be judged.", note=False)
    yield Paragraph(text=" ".join(_region_words(seen.regions)))
    yield from coverage_parts(
        facts.measured, promise=facts.card.get("coverage"), forced=bool(facts.suitability.broken)
    )
    yield Paragraph(
        text=f"{_clipped(seen)} were clipped to the range that the file format can store; "
        f"{count(seen.num_unmeasured)} voxels hold no measurement (padding, outside the scanner's "
        "circle) and were kept as they were.",
        note=False,
    )


def _region_words(regions: Sequence[RegionChange]) -> Iterator[str]:
    yield (
        "Regions are even, larger than 6 mm and away from borders, found in the mean of both "
        "images; soft tissue lies outside of bone."
    )
    if any(each.kind is LUNG for each in regions):
        yield "Lung is a large space of such values inside the body."
    yield (
        "Nothing is named after an organ that values cannot tell: with contrast medium the same "
        "organ lies in another range. The interval is for the value that a standard-dose scan "
        "would show in that voxel."
    )


def _region_table(regions: Sequence[RegionChange], interval: str) -> Table:
    return Table(
        columns=(
            "Even regions",
            "HU from … to",
            "Voxels n",
            "Mean before, HU",
            "Mean after, HU",
            "Change, HU",
            f"{interval.replace(' (', chr(10) + '(')},\nmedian ± HU",
            "95th percentile\n± HU",
        ),
        rows=tuple(
            (
                each.kind.name,
                f"{number(each.kind.range_hu[0], 0)} … {number(each.kind.range_hu[1], 0)}",
                count(each.num_voxels),
                number(each.before_hu),
                number(each.after_hu),
                signed(each.change_hu, 2),
                number(each.half_width_median_hu),
                number(each.half_width_p95_hu),
            )
            for each in regions
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
