"""What was done, in numbers and codes: a report that names no patient, no file and no folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from isocenter.core.version import __version__
from isocenter.deidentification.burned_in import RISKS
from isocenter.deidentification.one_object import Deidentifier
from isocenter.deidentification.profile import EDITION, row_of
from isocenter.dicom.deidentify.elements import Action, name_of
from isocenter.dicom.deidentify.walking import Done

SCHEMA_VERSION = 1
PRIVATE = "private elements"
UNKNOWN = "elements that no dictionary has"


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """An object that a person has to look at.

    Attributes:
        number: of its file, in the order of paths below the source, from 1.
        name: of the file that it was written to.
        reason: a code of :data:`isocenter.deidentification.burned_in.RISKS`.
    """

    number: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A file that nothing was made of.

    Attributes:
        number: as in :class:`SetAside`.
        reason: a code of :mod:`isocenter.core.reasons`.
        message: in words.
    """

    number: int
    reason: str
    message: str


@dataclass(kw_only=True)
class Summary:
    """What became of every file below a source.

    Attributes:
        num_files: DICOM files that were looked at.
        written: objects without identity.
        set_aside: objects whose pixels may still show it.
        refused: files that are damaged, or whose content cannot be cleaned.
        copies: files that gave an object that was there already, bit for bit.
        directories: DICOMDIR files, which list others and are left out.
        other: files that are no DICOM, or cannot be opened.
        studies, series: how many were written.
        faces: objects that Recognizable Visual Features now says YES of.
        done: how often what was done, by tag.
    """

    num_files: int = 0
    written: int = 0
    set_aside: list[SetAside] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    copies: int = 0
    directories: int = 0
    other: int = 0
    studies: int = 0
    series: int = 0
    faces: int = 0
    done: Done = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        """Files by what became of them."""
        return {
            "written": self.written,
            "set_aside": len(self.set_aside),
            "refused": len(self.refused),
            "copies": self.copies,
            "directories": self.directories,
            "other": self.other,
        }

    def actions(self) -> dict[str, int]:
        """Elements by what was done with them."""
        total: Counter[str] = Counter({str(action): 0 for action in Action})
        for (_, action), number in self.done.items():
            total[str(action)] += number
        return dict(total)

    def notes(self) -> list[str]:
        """What a person has to know, in words."""
        notes = []
        if self.set_aside:
            notes.append(
                f"{_files(len(self.set_aside))} may show in pixels who the patient is; look at "
                "them in the quarantine folder"
            )
        if self.refused:
            notes.append(
                f"{_files(len(self.refused))} could not be de-identified; nothing was made of them"
            )
        if self.faces:
            notes.append(
                f"{_files(self.faces)} may be rendered into a face; Recognizable Visual Features "
                "says so"
            )
        return notes


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def attribute_table(done: Mapping[tuple[int, Action], int]) -> list[dict[str, Any]]:
    """A row for each attribute and what was done with it, in the order of tags."""
    rows: Counter[tuple[str, str, str]] = Counter()
    for (tag, action), number in done.items():
        rows[*_named(tag), str(action)] += number
    return [
        {"tag": tag, "name": name, "action": action, "count": number}
        for (tag, name, action), number in sorted(rows.items())
    ]


def _named(tag: int) -> tuple[str, str]:
    if tag == 0:
        return "", PRIVATE
    row = row_of(tag)
    name = name_of(tag) or ("" if row is None else row.name)
    return (f"({tag >> 16:04X},{tag & 0xFFFF:04X})", name) if name else ("", UNKNOWN)


def report_of(summary: Summary, deidentifier: Deidentifier) -> dict[str, Any]:
    """The whole report, of JSON's types."""
    return {
        "schema_version": SCHEMA_VERSION,
        "isocenter_version": __version__,
        "profile": f"DICOM PS3.15 {EDITION}, Basic Application Level Confidentiality Profile",
        "method_codes": [code.value for code in deidentifier.options.codes()],
        "options": asdict(deidentifier.options),
        "key": deidentifier.key.mark,
        "files": summary.counts(),
        "studies": summary.studies,
        "series": summary.series,
        "recognizable_visual_features": summary.faces,
        "elements": summary.actions(),
        "attributes": attribute_table(summary.done),
        "set_aside": [asdict(one) for one in summary.set_aside],
        "refused": [asdict(one) for one in summary.refused],
        "reasons": {one.reason: RISKS[one.reason] for one in summary.set_aside},
    }
