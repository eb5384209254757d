"""De-identify everything below a source into a new folder, which appears whole or not at all."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.core.files import (
    flush_tree,
    make_private,
    named_path,
    part_of,
    put_in_place,
    rename_folder,
    write_json,
    writing_to,
)
from isocenter.core.partial_folders import held, lock_of, partial_folder, remove_old
from isocenter.core.progress import Progress, silent
from isocenter.deidentification.one_object import DeidentifiedObject, Deidentifier
from isocenter.deidentification.report import Refused, SetAside, Summary, report_of
from isocenter.dicom.reading.listing import list_files

REPORT_NAME = "report.json"
REASONS_NAME = "reasons.json"
QUARANTINE = "-quarantine"
MEDIA_DIRECTORY_NAME = "DICOMDIR"
_OLD_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """Where everything lies, and what became of the files.

    Attributes:
        folder: objects without identity, in folders of study and series, and the report.
        quarantine: objects to be looked at; None where there are none.
    """

    folder: Path
    quarantine: Path | None
    report: Path
    summary: Summary


def deidentify_folder(
    source: str | Path,
    output: str | Path,
    deidentifier: Deidentifier,
    *,
    quarantine: str | Path | None = None,
    progress: Progress = silent,
) -> Result:
    """De-identify every DICOM file below a source.

    A file that cannot be is refused, an object whose pixels may show the identity is set aside, and
    the others go on. Files are for their owner alone.

    Args:
        source: a file or a folder; it is left as it is.
        output: a new folder.
        deidentifier: what is done with each.
        quarantine: a new folder for what is set aside; beside ``output`` where not given.
        progress: told after every file.

    Raises:
        InputRefused: there is nothing to read, or every file was refused.
        OutputRefused: a place is taken, in use or not writable.
    """
    final = named_path(output)
    aside = named_path(quarantine or final.with_name(final.name + QUARANTINE))
    _check_places(final, aside)
    listing = list_files(source, limits=deidentifier.limits)
    summary = Summary(other=listing.num_files - len(listing.dicom))
    with _appearing(aside) as set_aside, _appearing(final) as partial:
        run = _Run(deidentifier=deidentifier, folder=partial, aside=set_aside, summary=summary)
        progress(0, len(listing.dicom))
        for number, path in enumerate(listing.dicom, start=1):
            run.take(path, number, len(listing.dicom))
            progress(number, len(listing.dicom))
        run.finish()
    has_aside = bool(summary.set_aside)
    return Result(
        folder=final,
        quarantine=aside if has_aside else None,
        report=final / REPORT_NAME,
        summary=summary,
    )


def _check_places(final: Path, aside: Path) -> None:
    if final == aside or final in aside.parents or aside in final.parents:
        raise OutputRefused(
            "the quarantine folder must not be the output folder or lie in it: what is set aside "
            "may still show who the patient is"
        )
    for place in (final, aside):
        with writing_to(place.parent):
            is_taken = place.exists() and not (place.is_dir() and not any(place.iterdir()))
        if is_taken:
            raise OutputRefused(
                "the output or the quarantine folder holds something else; name new folders",
                reason="output_taken",
            )


@contextmanager
def _appearing(final: Path) -> Iterator[Path]:
    """A folder for its owner alone, which becomes ``final`` if anything lies in it at the end."""
    with writing_to(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        with held(lock_of(final)) as ours:
            if not ours:
                raise OutputRefused(
                    "another run is writing to the same folder now; wait for it, or name another",
                    reason="output_busy",
                )
            remove_old(final.parent, older_than_s=_OLD_S, of=final)
            with partial_folder(final, private=True) as partial:
                yield partial
                if any(partial.iterdir()):
                    make_private(partial)
                    flush_tree(partial)
                    rename_folder(partial, final)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Takes one file after the other.

    Attributes:
        folder, aside: where objects and those to be looked at are written.
    """

    deidentifier: Deidentifier
    folder: Path
    aside: Path
    summary: Summary

    def take(self, path: Path, number: int, total: int) -> None:
        """De-identify one file, or note why not."""
        if path.name.upper() == MEDIA_DIRECTORY_NAME:
            self.summary.directories += 1
            return
        self.summary.num_files += 1
        what = "the file" if total == 1 else f"file {number} of {total}"
        try:
            made = self.deidentifier.deidentified(path, what=what)
            self._keep(made, number)
        except InputRefused as refusal:
            self.summary.refused.append(
                Refused(number=number, reason=refusal.reason, message=str(refusal))
            )

    def _keep(self, made: DeidentifiedObject, number: int) -> None:
        study, series, instance = made.names
        name = f"{instance}.dcm"
        place = self.aside / name if made.risk else self.folder / study / series / name
        if not _written(made, place):
            self.summary.copies += 1
            return
        if made.risk:
            self.summary.set_aside.append(SetAside(number=number, name=name, reason=made.risk))
        else:
            self.summary.written += 1
        self.summary.faces += made.may_show_a_face
        self.summary.done.update(made.done)

    def finish(self) -> None:
        """Write the reports.

        Raises:
            InputRefused: nothing was made of any file.
        """
        summary = self.summary
        if not summary.written and not summary.set_aside:
            raise _nothing_made(summary)
        summary.studies = len(list(self.folder.glob("*/")))
        summary.series = len(list(self.folder.glob("*/*/")))
        report = report_of(summary, self.deidentifier)
        write_json(self.folder / REPORT_NAME, report)
        if summary.set_aside:
            reasons = {name: report[name] for name in ("set_aside", "reasons")}
            write_json(self.aside / REASONS_NAME, reasons)


def _nothing_made(summary: Summary) -> InputRefused:
    if not summary.refused:
        return InputRefused(
            "there is no DICOM object to de-identify; give a file or folder of them"
        )
    first = summary.refused[0]
    if len(summary.refused) == 1:
        return InputRefused(first.message, reason=first.reason)
    return InputRefused(
        f"none of {len(summary.refused)} files can be de-identified; of the first: {first.message}",
        reason=first.reason,
    )


def _written(made: DeidentifiedObject, place: Path) -> bool:
    """Write an object under its name; False where the same bytes lie there already.

    Raises:
        InputRefused: another object has the name: two files claim to be one.
    """
    folders = [folder for folder in (place.parent, place.parent.parent) if not folder.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(place)
    try:
        with part.open("wb") as file:
            made.write(file)
        if not place.exists():
            put_in_place(part, place)
            return True
        if filecmp.cmp(part, place, shallow=False):
            return False
    finally:
        part.unlink(missing_ok=True)
        for folder in folders:
            if not any(folder.iterdir()):
                folder.rmdir()
    raise InputRefused(
        "two different files claim to be the same object (one SOP Instance UID); the first was "
        "taken",
        reason="identity",
    )
