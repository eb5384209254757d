"""The one way from what a task reads to a finished folder; every front calls it.

Slices stream through: each is computed, pushed to every writer and looked at before the next is
computed, so at any time a few of them are in memory, however long the series is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused
from isocenter.core.files import named_path
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.outputs import MapImages, SeriesOutput, WrittenOutput
from isocenter.core.progress import Progress, silent
from isocenter.core.record import RunRecord
from isocenter.core.version import __version__, library_versions
from isocenter.core.volume import SliceSource
from isocenter.tasks.inputs import DEFAULT_ENDING, Input, Opened, open_inputs, source_digest
from isocenter.tasks.map_forms import PARAMETRIC, MapForms
from isocenter.tasks.result_folder import made_once, write_record
from isocenter.tasks.settings import S
from isocenter.tasks.sinks import ObserverSink, Place, ProgressSink, Sink
from isocenter.tasks.suitability import Suitability, refuse_unsuitable
from isocenter.tasks.task import Case, M, Model, Observed, Observer, Task, Work

if TYPE_CHECKING:
    from isocenter.dicom.marking import Provenance

REPORT_NAME = "report.html"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Where the results lie and what made them.

    Attributes:
        folder: holds everything below.
        files: of each output by its name, in order; they lie in a folder of that name.
        report: self-contained HTML page.
        record: settings, seed, versions and digests.
        warnings: rules that were overridden by ``force``.
        notes: what was seen and left out while reading and what was guessed, in words.
        files_seen: by name of what was read from DICOM on disk, how many files were used, other,
            damaged and unreadable.
        counts: how much was read, by kind, such as "slices".
        already_there: True where an earlier run had made this very result, so nothing was written.
    """

    folder: Path
    files: Mapping[str, tuple[Path, ...]]
    report: Path
    record: RunRecord
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    files_seen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    already_there: bool = False


@dataclass(frozen=True)
class _NoModel:
    """Stands in a record where a task needs no model: what decides the pixels is its code."""

    name: str
    version: str = __version__
    weights_sha256: str = "0" * 64

    @property
    def card(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run, ready to write: nothing is left that could refuse it."""

    task: Task[Any, Any]
    opened: Sequence[Opened]
    model: Any
    suitability: Suitability
    work: Work[Any]
    record: RunRecord
    outputs: tuple[WrittenOutput, ...]
    notes: tuple[str, ...]
    ending: str


def run(
    task: Task[S, M],
    inputs: Input | Mapping[str, Input | None] | None,
    output: str | Path,
    *,
    settings: S | None = None,
    model: str | Path | M | None = None,
    device: str = "cpu",
    series: str | Mapping[str, str] | None = None,
    largest_run: bool = False,
    force: bool = False,
    dicom: bool = False,
    private: bool = False,
    maps: str = PARAMETRIC,
    color_map: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> RunResult:
    """Do a task: read, check, compute, write.

    Args:
        task: what to do.
        inputs: a path, a volume or a source of slices; where the task reads several, a mapping from
            their names; None where it reads nothing.
        output: folder for the results; new or empty. It appears when everything is written, never
            half. Where it already holds the result of the same scans, model and settings, that is
            checked and returned.
        settings: None takes the defaults.
        model: a model folder or a loaded model; None takes the shipped weights.
        device: "cpu", "cuda", "cuda:1" and so on, or "auto".
        series: which series, where an input holds several that fit; a mapping as ``inputs`` is.
        largest_run: where slices are missing or uneven or files damaged, take the largest even run.
        force: go on with a scan that the task does not accept; the warnings are written into the
            report and into every DICOM object.
        dicom: write DICOM also where nothing that was read has a DICOM header.
        private: folders and files are for their owner alone (0700 and 0600), whatever the system's
            defaults.
        maps: how maps are written as DICOM: "parametric", "images" (16 bits) or "both".
        color_map: write them in color over the image too.
        limits: what a file and a folder may cost before they are refused.
        progress: called after every slice.

    Raises:
        InputRefused: the input or a setting; nothing has been written.
        ModelRefused: the model folder, or the model gave no numbers.
        OutputRefused: the place to write to.
    """
    device = resolve_device(device)
    forms = MapForms(maps=maps, color=color_map)
    settings = task.settings() if settings is None else settings
    final = named_path(output).resolve()
    opened = open_inputs(
        task.reads,
        _by_name(task, inputs),
        series=_by_name(task, series),
        largest_run=largest_run,
        limits=limits,
    )
    ending = _ending(opened, dicom=dicom)
    if not ending:
        _refuse_unwritable(task, opened)
    _refuse_forms(task, forms, ending)
    if not ending:
        _rehearse(task, opened)
    case = Case(
        scans={each.name: each.source for each in opened},
        settings=settings,
        model=_loaded(task, model, device),
    )
    if task.judge_header:
        refuse_unsuitable(task.judge_header(case), force=force)
    suitability = task.judge(case) if task.judge else Suitability()
    refuse_unsuitable(suitability, force=force)
    work = task.start(case, suitability)
    prepared = _Run(
        task=task,
        opened=opened,
        model=case.model,
        suitability=suitability,
        work=work,
        record=_record(task, opened, case.model, work, suitability, device, ending, dicom, forms),
        outputs=forms.written(task.outputs),
        notes=(
            *(note for each in opened for note in each.notes),
            *work.notes,
            *_says(opened, ending),
        ),
        ending=ending,
    )
    record, already_there = made_once(
        final,
        prepared.record,
        lambda partial: _write(prepared, partial, progress or silent),
        private=private,
    )
    return _result(final, prepared, record, already_there=already_there)


def _by_name(task: Task[Any, Any], given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if len(task.reads) != 1:
        names = ", ".join(each.name for each in task.reads) or "nothing"
        raise InputRefused(f"{task.command} reads {names}; name each scan that is given")
    return {task.reads[0].name: given}


def _loaded(task: Task[Any, M], model: str | Path | M | None, device: str) -> Any:
    if task.load_model is None:
        return _NoModel(task.name)
    if model is None or isinstance(model, str | Path):
        return task.load_model(None if model is None else Path(model).expanduser(), device)
    return model


def _ending(opened: Sequence[Opened], *, dicom: bool) -> str:
    """Of volume files, "" for DICOM: like what was read first, and DICOM where it is asked for."""
    if dicom:
        return ""
    return opened[0].ending if opened else DEFAULT_ENDING


def _refuse_unwritable(task: Task[Any, Any], opened: Sequence[Opened]) -> None:
    """Refuse, before any work, declared image series that cannot be written as DICOM."""
    sources = [each.source for each in opened if not each.ending]
    for output in task.outputs:
        if not isinstance(output, SeriesOutput):
            continue
        changed = None if output.absolute or not sources else sources[0]
        if reason := _why_not_dicom(output, changed):
            raise InputRefused(
                f"{task.command} declares the output {output.name} as {_in_words(output)}, and "
                f"{reason}. Correct the task's declaration; from a volume file, without --dicom "
                "(dicom=True), it writes volume files"
            )


def _refuse_forms(task: Task[Any, Any], forms: MapForms, ending: str) -> None:
    """Refuse, before any work, forms of a map that cannot be written."""
    from isocenter.dicom.writing.modalities import image_kind

    if not forms.settings:
        return
    if ending:
        raise InputRefused(
            "the forms of a map (--map, --color-map) are of DICOM, and the results are "
            f"{ending} files; add --dicom (dicom=True), or leave them out"
        )
    for output in forms.written(task.outputs):
        if isinstance(output, MapImages):
            try:
                image_kind(output.map.modality)
            except ValueError as error:
                raise InputRefused(f"{output.map.label} has no images: {error}") from error


def _rehearse(task: Task[Any, Any], opened: Sequence[Opened]) -> None:
    """Refuse, before any work, headers that no result could carry on."""
    from isocenter.dicom.writing.rehearsal import rehearse

    for each in opened:
        if not each.ending:
            series: Any = each.source
            rehearse(series, task.outputs)


def _why_not_dicom(output: SeriesOutput, changed: SliceSource | None) -> str:
    """Why DICOM has no place for a series, "" where it has; ``changed`` is what it changes."""
    from isocenter.dicom.writing.modalities import image_kind

    try:
        kind = image_kind(output.modality)
    except ValueError as error:
        return str(error)
    if kind.unit not in ("", output.unit.name):
        return f"{output.modality} series hold {kind.unit}"
    if changed and (changed.acquisition.modality, changed.unit) != (
        output.modality,
        output.unit.name,
    ):
        return "a change of a series has the modality and unit of that series (else absolute=True)"
    return ""


def _in_words(output: SeriesOutput) -> str:
    return f"{output.modality!r} in {output.unit.name or 'no unit'}"


def _says(opened: Sequence[Opened], ending: str) -> tuple[str, ...]:
    if not ending:
        if not all(each.ending for each in opened):
            return ()
        return (
            "Nothing that was read has a DICOM header, so the DICOM written is new and of nobody: "
            "a made-up patient in a new study, Synthetic Data YES. Its header does not tell whose "
            "scan it is.",
        )
    return (
        f"What was read has no DICOM header, so the results are {ending} files. --dicom "
        "(dicom=True) writes new DICOM series of nobody's patient instead.",
    )


def _record(
    task: Task[Any, Any],
    opened: Sequence[Opened],
    model: Model,
    work: Work[Any],
    suitability: Suitability,
    device: str,
    ending: str,
    dicom: bool,
    forms: MapForms,
) -> RunRecord:
    settings = asdict(work.settings) | forms.settings
    if task.load_model is not None:
        settings["device"] = device.partition(":")[0]
    if not opened or opened[0].ending:
        settings["written_as"] = "DICOM" if dicom else ending
    return RunRecord(
        task=task.name,
        product_version=__version__,
        model_name=model.name,
        model_version=model.version,
        weights_sha256=model.weights_sha256,
        settings=settings,
        source_digest=source_digest(opened),
        warnings=suitability.warnings,
        library_versions=library_versions(),
    )


def _result(final: Path, prepared: _Run, record: RunRecord, *, already_there: bool) -> RunResult:
    return RunResult(
        folder=final,
        files={
            output.name: tuple(sorted((final / output.name).iterdir()))
            for output in prepared.outputs
        },
        report=final / REPORT_NAME,
        record=record,
        warnings=record.warnings,
        notes=prepared.notes,
        files_seen=_files_seen(prepared.opened),
        counts=_counts(prepared.opened),
        already_there=already_there,
    )


def _files_seen(opened: Sequence[Opened]) -> dict[str, dict[str, int]]:
    """By name of what was read; what was no DICOM on disk is left out."""
    return {each.name: asdict(each.files_seen) for each in opened if each.files_seen}


def _counts(opened: Sequence[Opened]) -> dict[str, int]:
    return {"inputs": len(opened), "slices": sum(len(each.source) for each in opened)}


def _write(prepared: _Run, partial: Path, progress: Progress) -> None:
    from isocenter.tasks.report.page import Report, write_report

    observed = _stream(prepared, partial, progress)
    write_report(
        Report(
            task=prepared.task,
            record=prepared.record,
            card=prepared.model.card,
            suitability=prepared.suitability,
            notes=prepared.notes,
            page=observed.page,
        ),
        partial / REPORT_NAME,
    )
    write_record(
        partial,
        {
            "record": prepared.record.as_dict(),
            "files_seen": _files_seen(prepared.opened),
            "observations": observed.facts,
            "notes": list(prepared.notes),
        },
    )


def _stream(prepared: _Run, partial: Path, progress: Progress) -> Observed:
    """Push every slice to every sink."""
    work, place = prepared.work, _place(prepared, partial)
    observer = work.observer or _general_observer(prepared, place)
    outputs = [place.sink(output) for output in prepared.outputs]
    sinks: list[Sink] = [
        *outputs,
        ObserverSink(observer),
        ProgressSink(progress, place.geometry.shape[0]),
    ]
    for result in work.results:
        for sink in sinks:
            sink.take(result)
    for sink in sinks:
        sink.finish()
    return observer.observed({sink.name: sink.num_clipped for sink in outputs})


def _place(prepared: _Run, folder: Path) -> Place:
    opened, work = prepared.opened, prepared.work
    geometry, acquisition = work.geometry, work.acquisition
    if geometry is None:
        geometry = opened[0].source.geometry
    if acquisition is None:
        acquisition = opened[0].source.acquisition
    return Place(
        folder=folder,
        outputs=prepared.outputs,
        sources=opened,
        geometry=geometry,
        acquisition=acquisition,
        ending=prepared.ending,
        provenance=_provenance(prepared),
    )


def _provenance(prepared: _Run) -> Provenance:
    from isocenter.dicom.marking import Provenance

    return Provenance(
        record=prepared.record,
        model_description=prepared.work.description,
        forced_warnings=prepared.record.warnings,
        context=prepared.work.context,
        calculated=prepared.work.calculated,
    )


def _general_observer(prepared: _Run, place: Place) -> Observer:
    from isocenter.tasks.report.overview import GeneralObserver

    return GeneralObserver(prepared.task, place.geometry)
