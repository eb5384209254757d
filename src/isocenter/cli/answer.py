"""What a command found or made: shown to people, or given to programs with ``--json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocenter.core.outputs import Output
    from isocenter.tasks.run import RunResult


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The end of a command that did what it was asked.

    Attributes:
        show: prints it for people.
        result: the command's own part of the document, of JSON's types or paths.
        counts_in, counts_out: how much was read and made, by kind.
        made: what was written, one :func:`made` an output.
        notes: what was left out or guessed, in words.
        warnings: rules that were overridden, in words.
        reason: out of :data:`isocenter.core.reasons.DONE`.
    """

    show: Callable[[], None]
    result: Mapping[str, Any] = field(default_factory=dict)
    counts_in: Mapping[str, int] = field(default_factory=dict)
    counts_out: Mapping[str, int] = field(default_factory=dict)
    made: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    reason: str = "done"


def answer_of_run(result: RunResult, outputs: Sequence[Output], show: Callable[[], None]) -> Answer:
    """The answer of a task that wrote a folder of results."""
    written = [_output_made(result, output) for output in outputs]
    reason = "forced" if result.warnings else "done"
    return Answer(
        show=show,
        result={
            "folder": result.folder,
            "report": result.report,
            "record": result.folder / "record.json",
        },
        counts_in=_counts_in(result),
        counts_out={
            "outputs": len(written),
            "files": sum(one["num_files"] for one in written),
        },
        made=written,
        notes=result.notes,
        warnings=result.warnings,
        reason="already_there" if result.already_there else reason,
    )


def made(
    output: str, label: str, path: Path, *, num_files: int = 1, series_uid: str | None = None
) -> dict[str, Any]:
    """One thing that was written.

    Args:
        output: a name that does not change.
        label: in words.
        path: of the file, or of the folder that holds the files.
        series_uid: Series Instance UID, of DICOM alone.
    """
    return {
        "output": output,
        "label": label,
        "path": path,
        "num_files": num_files,
        "series_instance_uid": series_uid,
    }


def _counts_in(result: RunResult) -> dict[str, int]:
    """What was read, and of all files seen how many were used and how many not."""
    counts = dict(result.counts)
    for seen in getattr(result, "files_seen", {}).values():
        for kind, number in seen.items():
            counts[f"files_{kind}"] = counts.get(f"files_{kind}", 0) + number
    return counts


def _output_made(result: RunResult, output: Output) -> dict[str, Any]:
    files = result.files[output.name]
    return made(
        output.name,
        output.label,
        result.folder / output.name,
        num_files=len(files),
        series_uid=_series_uid(files),
    )


def _series_uid(files: Sequence[Path]) -> str | None:
    """Of DICOM that we wrote; it was made from a digest and says nothing of the patient."""
    if not files or files[0].suffix != ".dcm":
        return None
    from isocenter.dicom.writing.files import series_uid_of

    return series_uid_of(files[0])
