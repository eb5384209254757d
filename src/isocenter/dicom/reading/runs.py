"""CT series as even runs of slices, for those who look at slices and their neighbors alone.

Training and calibration need no complete scan: a gap within a series does not matter where nothing
is measured across it. Every other rule of a CT series holds here too, and each run that is given
out is even.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from isocenter.core.errors import InputRefused
from isocenter.dicom.reading.ct_rules import CT_SERIES
from isocenter.dicom.reading.ct_series import CtSeries
from isocenter.dicom.reading.discover import FoundSeries, SeriesSummary, choose, discover
from isocenter.dicom.reading.frames import ImageFile
from isocenter.dicom.reading.rules import even_stretches


def open_even_runs(path: str | Path, *, series: str | None = None) -> list[CtSeries]:
    """Open a CT series as its even runs, in order along the normal; one where nothing is missing.

    Args:
        path, series: as for :func:`isocenter.dicom.reading.open.open_ct_series`.

    Raises:
        InputRefused: as there, but for missing slices and damaged files beside the series.
    """
    return _runs_of(choose(discover(path, CT_SERIES, run="largest"), series))


class Person(NamedTuple):
    """Whose images a series holds, as digests that tell apart and name nobody.

    Attributes:
        patient: of Patient ID and its issuer; "" where there is no Patient ID. Patient IDs are
            short, so whoever tries them all can tell whose it is: write it nowhere.
        study: of Study Instance UID; "" where there is none.
    """

    patient: str
    study: str


@dataclass(frozen=True, kw_only=True)
class SeriesRuns:
    """A series of a tree of folders.

    Attributes:
        summary: what a listing says of it; ``summary.fits`` is False where it is refused.
        person: whose it is; empty where it is refused.
        runs: its even runs; none where it is refused.
    """

    summary: SeriesSummary
    person: Person
    runs: tuple[CtSeries, ...] = ()
    why_not: str = ""


def list_runs(path: str | Path) -> Iterator[SeriesRuns]:
    """Every series of a file, folder or tree, opened where it fits; all headers are read first.

    Raises:
        UnreadableInput: there is no DICOM file.
    """
    for found in discover(path, CT_SERIES, run="largest"):
        try:
            if found.refusal is not None:
                raise found.refusal
            yield SeriesRuns(
                summary=found.summary,
                person=_person(found.files),
                runs=tuple(_runs_of(found)),
            )
        except InputRefused as refusal:
            yield SeriesRuns(summary=found.summary, person=Person("", ""), why_not=str(refusal))


def _runs_of(found: FoundSeries) -> list[CtSeries]:
    return [CtSeries(stretch, found.files) for stretch in even_stretches(found.files)]


def _person(files: Sequence[ImageFile]) -> Person:
    """All files of a series that fits are of one person; a silent issuer speaks for none."""
    facts = [file.identity for file in files]
    patient, study = facts[0]["PatientID"], facts[0]["StudyInstanceUID"]
    issuer = max(one["IssuerOfPatientID"] for one in facts)
    return Person(_digest(issuer, patient) if patient else "", _digest(study) if study else "")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
