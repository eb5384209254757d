"""A low-dose CT series in, an enhanced series with its uncertainty and a report out.

Slices stream through: at any time a few of them are in memory, however long the series is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.progress import Progress, silent
from isocenter.core.record import RunRecord
from isocenter.core.seeds import derived_seed
from isocenter.core.version import __version__, library_versions
from isocenter.core.volume import SliceSource
from isocenter.image.ct_noise import NoiseMeasure
from isocenter.tasks.ct_enhance.observations import Observations, Observer
from isocenter.tasks.result_folder import (
    appearing_at_once,
    earlier_result,
    only_run_for,
    write_record,
    writing_to,
)
from isocenter.tasks.suitability import Suitability, check_suitability

if TYPE_CHECKING:
    from isocenter.dicom.marking import Provenance
    from isocenter.dicom.reading.open import CtSeries
    from isocenter.modelpack.ct_enhance.contract import Enhancer, Estimate

TASK = "ct_enhance"
STRENGTHS = {"low": 0.25, "medium": 0.5, "high": 1.0}
MAX_STEPS = 8
# What the model sees where the scanner measured nothing.
AIR_HU = -1000.0
# Scanners store no less for air, so nothing measured is made lower than this.
LOWEST_HU = -1024.0
SERIES_FOLDER = "enhanced"
UNCERTAINTY_FOLDER = "uncertainty"
REPORT_NAME = "report.html"
UNCERTAINTY_LABEL = "UNCERTAINTY_90"
UNCERTAINTY_MEANING = (
    "Half-width in HU of the 90 % interval of the standard-dose value, around the model's mean "
    "estimate; 0 where the scanner measured nothing."
)


@dataclass(frozen=True, kw_only=True)
class EnhanceSettings:
    """Everything that the user can set and that changes a pixel.

    Attributes:
        strength: 0 gives the model's mean, 1 a sample with the texture of a standard-dose scan.
        samples: how many samples are averaged before blending; more are smoother.
        steps: steps of the bridge for each sample, 1 to 8.
        seed: decides the samples, not negative.
        device: "cpu" or "cuda"; the two may differ in the last bit of a float.
        dose_fraction: dose of the scan over that of a standard one, in (0, 1]; None lets the model
            guess it from the noise, and the guess takes its place.

    Raises:
        InputRefused: a value is outside its range.
    """

    strength: float = 0.0
    samples: int = 1
    steps: int = 4
    seed: int = 0
    device: str = "cpu"
    dose_fraction: float | None = None

    def __post_init__(self) -> None:
        if self.dose_fraction is not None and not 0 < self.dose_fraction <= 1:
            raise InputRefused(
                f"dose_fraction must be above 0 and at most 1, got {self.dose_fraction}; leave it "
                "out where the dose is not known"
            )
        if not 0 <= self.strength <= 1:
            raise InputRefused(f"strength must be from 0 to 1, got {self.strength}")
        _check_count("samples", self.samples, at_least=1)
        _check_count("steps", self.steps, at_least=1, at_most=MAX_STEPS)
        _check_count("seed", self.seed, at_least=0)


def _check_count(name: str, value: int, *, at_least: int, at_most: int | None = None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < at_least or (at_most is not None and value > at_most):
        upper = "" if at_most is None else f" and at most {at_most}"
        raise InputRefused(
            f"{name} must be a whole number of at least {at_least}{upper}, got {value}"
        )


def parse_strength(strength: float | str) -> float:
    """A strength from a number, a number in text, or "low", "medium" or "high".

    Raises:
        InputRefused: it is none of these.
    """
    if isinstance(strength, str) and strength.lower() in STRENGTHS:
        return STRENGTHS[strength.lower()]
    try:
        return float(strength)
    except (TypeError, ValueError):
        names = ", ".join(f"{name} ({value:g})" for name, value in STRENGTHS.items())
        raise InputRefused(
            f"strength must be a number from 0 to 1 or one of {names}, got {strength!r}"
        ) from None


@dataclass(frozen=True, kw_only=True)
class EnhanceResult:
    """Where the results lie and what made them.

    Attributes:
        folder: holds everything below.
        series_folder: the enhanced series, DICOM.
        uncertainty_files: the parametric map, one or more DICOM objects.
        report: self-contained HTML page.
        record: settings, seed, versions and digests.
        warnings: rules that were overridden by ``force``.
        notes: what was left out while reading and what was guessed, in words.
        already_there: True where an earlier run had made this very result, so nothing was written.
    """

    folder: Path
    series_folder: Path
    uncertainty_files: tuple[Path, ...]
    report: Path
    record: RunRecord
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    already_there: bool = False


def enhance(
    input: str | Path,
    output: str | Path,
    *,
    strength: float | str = 0.0,
    samples: int = 1,
    steps: int = 4,
    seed: int = 0,
    dose_fraction: float | None = None,
    model: str | Path | Enhancer | None = None,
    device: str = "cpu",
    series: str | None = None,
    largest_run: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> EnhanceResult:
    """Enhance one low-dose CT series.

    Args:
        input: a DICOM file, a folder or a tree of folders.
        output: folder for the results; new or empty. It appears when everything is written, never
            half. Where it already holds the result of the same scan, model and settings, that is
            checked and returned.
        strength: 0 (the model's mean, smoothest) to 1 (texture of a standard-dose scan), or "low"
            (0.25), "medium" (0.5), "high" (1).
        samples, steps, seed: see :class:`EnhanceSettings`; without effect at strength 0.
        dose_fraction: dose of this scan over that of a standard one, where you know it.
        model: a model folder or a loaded enhancer; None takes the shipped weights.
        device: "cpu", "cuda", "cuda:1" and so on, or "auto".
        series: which series, where ``input`` holds several that fit.
        largest_run: where slices are missing or uneven or files damaged, take the largest even run.
        force: go on with a scan outside the model's range; the warnings are written into the
            report and into every DICOM object.
        progress: called after every slice.

    Raises:
        InputRefused: the input or a setting; nothing has been written.
        ModelRefused: the model folder, or the model gave no numbers.
        OutputRefused: the place to write to.
    """
    from isocenter.dicom.reading.open import open_ct_series

    device = resolve_device(device)
    settings = EnhanceSettings(
        strength=parse_strength(strength),
        samples=samples,
        steps=steps,
        seed=seed,
        device=device.partition(":")[0],
        dose_fraction=dose_fraction,
    )
    if not str(input) or not str(output):
        raise InputRefused("input and output must be named; an empty name is neither")
    final = Path(output).expanduser().resolve()
    scan = open_ct_series(
        Path(input).expanduser(), series=series, run="largest" if largest_run else "all"
    )
    enhancer = _load_model(model, device)
    suitability = check_suitability(scan, enhancer.accepted, force=force)
    if settings.dose_fraction is None:
        settings = replace(settings, dose_fraction=_guessed_fraction(enhancer, suitability))
    record = _record(scan, enhancer, settings, suitability.warnings)
    notes = (*scan.notes, *([] if dose_fraction else [_guess_in_words(settings)]))
    with only_run_for(final):
        if earlier := earlier_result(final, record.digest()):
            return _result(final, _stored_record(earlier["record"]), notes, already_there=True)
        with appearing_at_once(final) as partial:
            _write_results(
                partial, final, scan, enhancer, settings, suitability, record, notes, progress
            )
    return _result(final, record, notes)


def _guessed_fraction(enhancer: Enhancer, suitability: Suitability) -> float:
    measures = suitability.measures
    noise = NoiseMeasure(
        level_hu=measures.noise_hu, mean_frequency_per_mm=measures.noise_mean_frequency_per_mm
    )
    guess = enhancer.guess_dose_fraction(noise, slice_thickness_mm=measures.slice_thickness_mm)
    return round(guess, 4)


def _guess_in_words(settings: EnhanceSettings) -> str:
    return (
        f"The scan was taken to have {100 * (settings.dose_fraction or 1):.0f} % of a standard "
        "dose, as its noise suggests. Where you know the dose, give --dose-fraction: the result "
        "gains by it."
    )


def _load_model(model: str | Path | Enhancer | None, device: str) -> Enhancer:
    if model is None or isinstance(model, str | Path):
        from isocenter.modelpack.folder import load_folder

        folder = None if model is None else Path(model).expanduser()
        enhancer: Enhancer = load_folder(folder, kind="CtEnhancer", device=device)
        return enhancer
    return model


def _record(
    scan: CtSeries, enhancer: Enhancer, settings: EnhanceSettings, warnings: tuple[str, ...]
) -> RunRecord:
    return RunRecord(
        task=TASK,
        product_version=__version__,
        model_name=enhancer.name,
        model_version=enhancer.version,
        weights_sha256=enhancer.weights_sha256,
        settings=asdict(settings),
        source_digest=scan.source_digest(),
        warnings=warnings,
        library_versions=library_versions(),
    )


def _stored_record(content: Mapping[str, Any]) -> RunRecord:
    values = {name: value for name, value in content.items() if name != "digest"}
    return RunRecord(**values | {"warnings": tuple(content.get("warnings", ()))})


def _result(
    final: Path, record: RunRecord, notes: tuple[str, ...], *, already_there: bool = False
) -> EnhanceResult:
    return EnhanceResult(
        folder=final,
        series_folder=final / SERIES_FOLDER,
        uncertainty_files=tuple(sorted((final / UNCERTAINTY_FOLDER).glob("*.dcm"))),
        report=final / REPORT_NAME,
        record=record,
        warnings=record.warnings,
        notes=notes,
        already_there=already_there,
    )


def _write_results(
    partial: Path,
    final: Path,
    scan: CtSeries,
    enhancer: Enhancer,
    settings: EnhanceSettings,
    suitability: Suitability,
    record: RunRecord,
    notes: tuple[str, ...],
    progress: Progress | None,
) -> None:
    from isocenter.tasks.report.page import Report, write_report

    provenance = _provenance(record, enhancer, settings)
    with writing_to(final):
        observations = _write_dicom(partial, scan, enhancer, settings, provenance, progress)
        report = Report(
            record=record,
            card=enhancer.card,
            suitability=suitability,
            observations=observations,
            geometry=scan.geometry,
            acquisition=scan.acquisition,
            notes=notes,
        )
        write_report(report, partial / REPORT_NAME)
        write_record(partial, {"record": record.as_dict(), "observations": observations.as_dict()})


def _provenance(record: RunRecord, enhancer: Enhancer, settings: EnhanceSettings) -> Provenance:
    from isocenter.dicom.marking import Provenance

    return Provenance(
        record=record,
        model_description=(
            f"AI-enhanced from a low-dose CT by Isocenter {record.product_version}, model "
            f"{record.model_name} {record.model_version}, strength {settings.strength:g}."
        ),
        forced_warnings=record.warnings,
        context=enhancer.context,
    )


def _write_dicom(
    partial: Path,
    scan: CtSeries,
    enhancer: Enhancer,
    settings: EnhanceSettings,
    provenance: Provenance,
    progress: Progress | None,
) -> Observations:
    """Write images and uncertainty in one pass: the map's writer draws the slices through."""
    from isocenter.dicom.writing.derived_series import DerivedSeriesWriter, write_parametric_map

    for name in (SERIES_FOLDER, UNCERTAINTY_FOLDER):
        (partial / name).mkdir()
    writer = DerivedSeriesWriter(scan, partial / SERIES_FOLDER, provenance=provenance)
    observer = Observer(num_slices=len(scan), spacing_mm=scan.geometry.spacing_mm[1:])
    report_progress = progress or silent

    def half_widths() -> Iterator[NDArray]:
        report_progress(0, len(scan))
        for piece in enhanced_slices(scan, enhancer, settings):
            num_clipped = writer.write(piece.index, piece.image_hu)
            observer.see(piece, num_clipped=num_clipped)
            yield piece.half_width_hu
            report_progress(piece.index + 1, len(scan))

    write_parametric_map(
        scan,
        partial / UNCERTAINTY_FOLDER,
        half_widths(),
        provenance=provenance,
        label=UNCERTAINTY_LABEL,
        description=UNCERTAINTY_MEANING,
    )
    writer.finish()
    return observer.observations()


@dataclass(frozen=True, kw_only=True)
class EnhancedSlice:
    """One slice before and after.

    Attributes:
        index: place in the series.
        before_hu, image_hu: (row, column), as scanned and enhanced; the same where not valid.
        half_width_hu: (row, column), half of the 90 % interval, 0 where not valid.
        valid: (row, column), False where the scanner wrote no measurement.
    """

    index: int
    before_hu: NDArray
    image_hu: NDArray
    half_width_hu: NDArray
    valid: NDArray


def enhanced_slices(
    scan: SliceSource, enhancer: Enhancer, settings: EnhanceSettings
) -> Iterator[EnhancedSlice]:
    """Enhance slice by slice, first to last; writes nothing.

    Raises:
        ModelRefused: the model gave something else than finite numbers of the slice's shape.
    """
    spacing_mm = scan.geometry.spacing_mm[1:]
    for index, window, before, valid in _windows(scan, enhancer.context):
        estimate = enhancer.estimate(
            window, spacing_mm=spacing_mm, dose_fraction=settings.dose_fraction
        )
        image = _blend(enhancer, window, estimate, index, spacing_mm, settings)
        half_width = (estimate.upper_hu - estimate.lower_hu) / 2
        for result in (image, half_width):
            _check_numbers(result, before.shape, index)
        image = np.maximum(image, np.minimum(before, LOWEST_HU))
        yield EnhancedSlice(
            index=index,
            before_hu=before,
            image_hu=np.where(valid, image, before).astype(np.float32, copy=False),
            half_width_hu=np.where(valid, half_width, 0).astype(np.float32, copy=False),
            valid=valid,
        )


def _windows(scan: SliceSource, context: int) -> Iterator[tuple[int, NDArray, NDArray, NDArray]]:
    """Index, window (2 context + 1, row, column) with edges repeated, slice and its mask."""
    count = scan.geometry.shape[0]
    near: dict[int, tuple[NDArray, NDArray]] = {}
    for index in range(count):
        wanted = np.clip(range(index - context, index + context + 1), 0, count - 1).tolist()
        near = {place: near.get(place) or _slice(scan, place) for place in dict.fromkeys(wanted)}
        window = np.stack([np.where(near[p][1], near[p][0], AIR_HU) for p in wanted])
        yield index, window.astype(np.float32, copy=False), *near[index]


def _slice(scan: SliceSource, index: int) -> tuple[NDArray, NDArray]:
    return scan.values(index), scan.valid(index)


def _blend(
    enhancer: Enhancer,
    window: NDArray,
    estimate: Estimate,
    index: int,
    spacing_mm: tuple[float, float],
    settings: EnhanceSettings,
) -> NDArray:
    if settings.strength == 0:
        return estimate.mean_hu
    total = np.zeros_like(estimate.mean_hu)
    for number in range(settings.samples):
        total += enhancer.sample(
            window,
            estimate,
            spacing_mm=spacing_mm,
            steps=settings.steps,
            seed=derived_seed(settings.seed, "slice", index, "sample", number),
        )
    texture = total / settings.samples - estimate.mean_hu
    return estimate.mean_hu + np.float32(settings.strength) * texture


def _check_numbers(image: NDArray, shape: tuple[int, ...], index: int) -> None:
    if image.shape != shape or not np.isfinite(image).all():
        raise ModelRefused(
            f"The model gave no finite image for slice {index}; nothing was written. Try device "
            "cpu, and check the model folder."
        )
