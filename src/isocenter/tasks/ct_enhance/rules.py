"""Whether a CT is one that an enhancement model was made for, measured before any work.

Every rule compares a number measured in the scan with the range that the model was trained and
checked on. Two rules belong to the task itself, body CT of adults from lung apex to pelvis: the
header must not name a part outside the trunk, and the cross-section must be one of a trunk. The
second is a cheap test of area, not a recognition of anatomy; it sees heads, necks, limbs and
phantoms of their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.spread import spread_evenly
from isocenter.core.volume import SliceSource
from isocenter.image.ct_noise import measure_noise
from isocenter.image.ct_tissue import body_mask
from isocenter.tasks.suitability import Finding, Suitability

Range = tuple[float, float]

NUM_MEASURED_SLICES = 5
MAX_PIXEL_ASPECT = 1.02
# Adult trunks measure 350 to 1200 cm²; heads, necks and limbs less than 280.
TRUNK_AREA_CM2: Range = (300.0, 2000.0)
# Where the patient reaches the border of the image, a small area says nothing.
MAX_BORDER_FRACTION = 0.05
HEADER_RULES = frozenset(
    {"body_part", "pixel_shape", "pixel_spacing", "field_of_view", "slice_thickness"}
)
BODY_PARTS_OUTSIDE = frozenset(
    "HEAD BRAIN SKULL HEADNECK NECK CSPINE IAC SINUS ORBIT FACE JAW MANDIBLE TMJ TEMPORALBONE EAR "
    "TEETH EXTREMITY LEG ARM KNEE FOOT HAND ANKLE ELBOW WRIST FEMUR TIBIA FIBULA HUMERUS FOREARM "
    "CALF THIGH FINGER TOE".split()
)


class AcceptedRanges(Protocol):
    """What a model accepts, such as ``modelpack.ct_enhance.contract.AcceptedScans``."""

    @property
    def pixel_spacing_mm(self) -> Range: ...
    @property
    def field_of_view_mm(self) -> Range: ...
    @property
    def slice_thickness_mm(self) -> Range: ...
    @property
    def noise_hu(self) -> Range: ...
    @property
    def noise_mean_frequency_per_mm(self) -> Range: ...


@dataclass(frozen=True, kw_only=True)
class ScanMeasures:
    """What was measured in a scan before enhancing it; not-a-number where it could not be.

    Attributes:
        pixel_spacing_mm: row and column spacing.
        field_of_view_mm: the longer side of the image.
        slice_thickness_mm: as the header says, else the distance between slices.
        thickness_from_header: which of the two it is.
        noise_hu, noise_mean_frequency_per_mm: median over the measured slices.
        trunk_area_cm2: median area of the patient's cross-section.
        cut_off: whether the patient reaches the border of the image in most measured slices.
        kernel, body_part: as the header names them, "" where it does not.
        slices: indices of the slices in which noise and area were measured.
        body_rows: first and last row of the patient in these slices; None where none was found.
    """

    pixel_spacing_mm: tuple[float, float]
    field_of_view_mm: float
    slice_thickness_mm: float
    thickness_from_header: bool
    noise_hu: float
    noise_mean_frequency_per_mm: float
    trunk_area_cm2: float
    cut_off: bool
    kernel: str
    body_part: str
    slices: tuple[int, ...]
    body_rows: tuple[int, int] | None = None


def judge_scan_header(series: SliceSource, accepted: AcceptedRanges) -> Suitability:
    """What the header alone tells against a scan; no pixel is decoded for it."""
    findings = judge(_header_measures(series), accepted)
    return Suitability(findings=tuple(one for one in findings if one.rule in HEADER_RULES))


def judge_scan(series: SliceSource, accepted: AcceptedRanges) -> Suitability:
    """Measure a scan and compare it with what a model accepts."""
    measures = measure_scan(series)
    return Suitability(measures=measures, findings=judge(measures, accepted))


def measure_scan(series: SliceSource) -> ScanMeasures:
    """Measure a few slices spread evenly over the series; no other slice is read."""
    slices = spread_evenly(len(series), NUM_MEASURED_SLICES)
    noise_hu, frequency, area, cut_off, body_rows = _measure_slices(series, slices)
    return replace(
        _header_measures(series),
        noise_hu=noise_hu,
        noise_mean_frequency_per_mm=frequency,
        trunk_area_cm2=area,
        cut_off=cut_off,
        slices=slices,
        body_rows=body_rows,
    )


def _header_measures(series: SliceSource) -> ScanMeasures:
    """What is known without looking at a pixel."""
    geometry, acquisition = series.geometry, series.acquisition
    between_mm, row_mm, column_mm = geometry.spacing_mm
    _, num_rows, num_columns = geometry.shape
    thickness = acquisition.slice_thickness_mm
    unknown = float("nan")
    return ScanMeasures(
        pixel_spacing_mm=(row_mm, column_mm),
        field_of_view_mm=max(num_rows * row_mm, num_columns * column_mm),
        slice_thickness_mm=between_mm if thickness is None else thickness,
        thickness_from_header=thickness is not None,
        noise_hu=unknown,
        noise_mean_frequency_per_mm=unknown,
        trunk_area_cm2=unknown,
        cut_off=False,
        kernel=acquisition.kernel if isinstance(acquisition, CtAcquisition) else "",
        body_part=acquisition.body_part,
        slices=(),
    )


def _measure_slices(
    series: SliceSource, slices: Sequence[int]
) -> tuple[float, float, float, bool, tuple[int, int] | None]:
    _, row_mm, column_mm = series.geometry.spacing_mm
    levels, frequencies, areas, borders, rows = [], [], [], [], []
    for index in slices:
        image_hu, valid = series.values(index), series.valid(index)
        noise = measure_noise(image_hu, spacing_mm=(row_mm, column_mm), valid=valid)
        body = body_mask(image_hu, valid=valid)
        levels.append(noise.level_hu)
        frequencies.append(noise.mean_frequency_per_mm)
        areas.append(body.sum() * row_mm * column_mm / 100)
        borders.append(_border_fraction(body, valid))
        rows += np.flatnonzero(body.any(axis=1)).tolist()
    cut_off = float(np.median(borders)) > MAX_BORDER_FRACTION
    body_rows = (min(rows), max(rows)) if rows else None
    return _median(levels), _median(frequencies), _median(areas), cut_off, body_rows


def _median(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")


def _border_fraction(body: NDArray, valid: NDArray) -> float:
    """Share of the border of the measured area (image edge or scanner's circle) that is patient."""
    inner = np.zeros_like(valid)
    inner[1:-1, 1:-1] = (
        valid[1:-1, 1:-1] & valid[:-2, 1:-1] & valid[2:, 1:-1] & valid[1:-1, :-2] & valid[1:-1, 2:]
    )
    border = valid & ~inner
    return float(body[border].mean()) if border.any() else 0.0


def judge(measures: ScanMeasures, accepted: AcceptedRanges) -> tuple[Finding, ...]:
    """Compare measures with accepted ranges, rule by rule; pure, in a fixed order."""
    return (
        _body_part(measures),
        _trunk(measures),
        _pixel_shape(measures),
        _pixel_spacing(measures, accepted.pixel_spacing_mm),
        _field_of_view(measures, accepted.field_of_view_mm),
        _slice_thickness(measures, accepted.slice_thickness_mm),
        _noise(measures, accepted.noise_hu),
        _texture(measures, accepted.noise_mean_frequency_per_mm),
    )


def _within(value: float, limits: Range) -> bool:
    return limits[0] <= value <= limits[1]  # False for not-a-number


def _nearest(value: float, limits: Range) -> float:
    return min(max(value, limits[0]), limits[1])


def _between(limits: Range, digits: int, unit: str) -> str:
    low, high = limits
    if np.isinf(high):
        return "any" if low <= 0 else f"at least {low:.{digits}f} {unit}"
    return f"{low:.{digits}f} to {high:.{digits}f} {unit}"


def _body_part(measures: ScanMeasures) -> Finding:
    name = measures.body_part.strip().upper()
    return Finding(
        rule="body_part",
        label="Body part named in the header",
        measured=name or "none named",
        accepted="parts of the trunk, or none named",
        advice="Choose a scan between lung apex and pelvis.",
        fits="".join(name.split()).replace("_", "") not in BODY_PARTS_OUTSIDE,
    )


def _trunk(measures: ScanMeasures) -> Finding:
    area, (low, high) = measures.trunk_area_cm2, TRUNK_AREA_CM2
    measured = f"{area:.0f} cm²" + (" (cut off by the image border)" if measures.cut_off else "")
    return Finding(
        rule="trunk",
        label="Cross-section of the patient",
        measured=measured,
        accepted=f"{low:.0f} to {high:.0f} cm², the trunk of an adult",
        advice="Heads, necks, limbs and small children are outside what the model was checked on.",
        fits=_within(area, (0.0 if measures.cut_off and area > 0 else low, high)),
    )


def _pixel_shape(measures: ScanMeasures) -> Finding:
    row_mm, column_mm = measures.pixel_spacing_mm
    return Finding(
        rule="pixel_shape",
        label="Shape of the pixels",
        measured=f"{row_mm:.3f} mm x {column_mm:.3f} mm",
        accepted="square",
        advice="Resample to square pixels first.",
        fits=max(row_mm, column_mm) / min(row_mm, column_mm) <= MAX_PIXEL_ASPECT,
    )


def _pixel_spacing(measures: ScanMeasures, limits: Range) -> Finding:
    row_mm, column_mm = measures.pixel_spacing_mm
    farthest = max(measures.pixel_spacing_mm, key=lambda step: abs(step - _nearest(step, limits)))
    return Finding(
        rule="pixel_spacing",
        label="Pixel spacing",
        measured=f"{farthest:.3f} mm",
        accepted=_between(limits, 2, "mm"),
        advice=f"Reconstruct with pixels of {_nearest(farthest, limits):.2f} mm.",
        fits=_within(row_mm, limits) and _within(column_mm, limits),
    )


def _field_of_view(measures: ScanMeasures, limits: Range) -> Finding:
    side = measures.field_of_view_mm
    return Finding(
        rule="field_of_view",
        label="Field of view",
        measured=f"{side:.0f} mm",
        accepted=_between(limits, 0, "mm"),
        advice=f"Reconstruct with a field of view of {_nearest(side, limits):.0f} mm.",
        fits=_within(side, limits),
    )


def _slice_thickness(measures: ScanMeasures, limits: Range) -> Finding:
    thickness = measures.slice_thickness_mm
    source = "" if measures.thickness_from_header else " (distance between slices; none in header)"
    return Finding(
        rule="slice_thickness",
        label="Slice thickness",
        measured=f"{thickness:.2f} mm{source}",
        accepted=_between(limits, 2, "mm"),
        advice=f"Reconstruct with slices of {_nearest(thickness, limits):.2f} mm.",
        fits=_within(thickness, limits),
    )


def _noise(measures: ScanMeasures, limits: Range) -> Finding:
    noise = measures.noise_hu
    if np.isnan(noise):
        advice = "No soft tissue was found to measure it in; check that this is body CT in HU."
    elif noise < limits[0]:
        advice = "The scan is already quieter than the model's inputs; leave it as it is."
    else:
        advice = f"Reconstruct thicker slices or a smoother kernel, to at most {limits[1]:.0f} HU."
    return Finding(
        rule="noise_level",
        label="Noise in the quietest soft tissue",
        measured="nothing" if np.isnan(noise) else f"{noise:.1f} HU",
        accepted=_between(limits, 0, "HU"),
        advice=advice,
        fits=_within(noise, limits),
    )


def _texture(measures: ScanMeasures, limits: Range) -> Finding:
    frequency = measures.noise_mean_frequency_per_mm
    if np.isnan(frequency):
        advice = "No soft tissue was found to measure it in; check that this is body CT in HU."
    else:
        advice = f"Reconstruct with a {'sharper' if frequency < limits[0] else 'smoother'} kernel."
    kernel = f"kernel {measures.kernel}" if measures.kernel else "no kernel named in the header"
    value = "nothing" if np.isnan(frequency) else f"{frequency:.2f} cycles/mm"
    return Finding(
        rule="noise_texture",
        label="Noise texture (mean frequency), which stands for the kernel",
        measured=f"{value} ({kernel})",
        accepted=_between(limits, 2, "cycles/mm"),
        advice=advice,
        fits=_within(frequency, limits),
    )
