"""All MR series of a folder: what each shows, whose it is and when it was taken."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.reading.discover import FoundSeries, discover
from isocenter.dicom.reading.identity import Identity
from isocenter.dicom.reading.mr_contrast import RecognizedContrast
from isocenter.dicom.reading.mr_rules import MR_SERIES
from isocenter.dicom.reading.open import open_found
from isocenter.dicom.reading.series import ImageSeries

_PATIENT = {
    "PatientID": "Patient ID", "PatientName": "Patient's Name",
    "PatientBirthDate": "Patient's Birth Date", "PatientSex": "Patient's Sex",
}  # fmt: skip
_DATES = ("AcquisitionDate", "SeriesDate", "StudyDate")
# Copies that a scanner or workstation makes of an image, beside the one it measured.
_MADE_AFTERWARDS = re.compile(r"MPR.*|REFORMATTED|MOCO.*|MOTION.?CORR.*|RESAMPLED|REGISTERED")


@dataclass(frozen=True, kw_only=True)
class MrSeries:
    """One MR series of a folder.

    Attributes:
        number: in the listing of ``isocenter series``.
        contrast: what it is weighted by.
        refusal: why it cannot be opened; None where it can.
        series: opened; None where it is refused.
        is_copy: whether it was reformatted or corrected for motion from another series.
        day: on which it was taken, None where the header does not say; identifies a visit.
        study: Study Instance UID, an identifier, to compare with others alone.
        identity: whose it is, comparable; not for any message.
    """

    number: int
    contrast: RecognizedContrast
    refusal: InputRefused | None
    series: ImageSeries | None
    is_copy: bool
    day: datetime.date | None = field(repr=False)
    study: str = field(repr=False)
    identity: Identity = field(repr=False)


def find_mr_series(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> list[MrSeries]:
    """Every MR series below a path, opened where it fits; pixels are decoded later.

    Raises:
        UnreadableInput: there is no DICOM file.
    """
    return [
        _mr_series(found, limits)
        for found in discover(path, MR_SERIES, limits=limits)
        if any(file.of_kind for file in found.files)
    ]


def _mr_series(found: FoundSeries, limits: Limits) -> MrSeries:
    contrast = found.summary.contrast
    assert contrast is not None  # some of its files are of the kind
    first = found.files[0]
    series = None
    if found.refusal is None:
        series = open_found(found, modality="MR", limits=limits)
    types = {term for frame in first.frames for term in frame.image_type}
    return MrSeries(
        number=found.summary.number,
        contrast=contrast,
        refusal=found.refusal,
        series=series,
        is_copy=any(_MADE_AFTERWARDS.fullmatch(term) for term in types),
        day=None if series is None else _day(series),
        study=first.identity["StudyInstanceUID"],
        identity=first.identity,
    )


def _day(series: ImageSeries) -> datetime.date | None:
    header = series.header(0)
    for keyword in _DATES:
        text = re.sub(r"[.\-]", "", str(header.get(keyword) or ""))
        try:
            return datetime.datetime.strptime(text[:8], "%Y%m%d").date()
        except ValueError:
            continue
    return None


def check_one_patient(found: Sequence[MrSeries]) -> None:
    """Refuse series of several patients; what a header leaves out contradicts nothing.

    Raises:
        UnsuitableScan: naming the attributes that differ, never their values.
    """
    differing = [
        name
        for keyword, name in _PATIENT.items()
        if len({one.identity[keyword] for one in found} - {""}) > 1
    ]
    if differing:
        raise UnsuitableScan(
            f"the series differ in {', '.join(differing)}, so they are of different patients; give "
            "the series of one patient alone",
            reason="mixed_patients",
        )


def check_one_session(found: Sequence[MrSeries], *, most_days: int) -> None:
    """Refuse series that were taken on days too far apart, or may have been.

    Raises:
        UnsuitableScan: with the number of days, or that the dates are missing.
    """
    days = [one.day for one in found if one.day is not None]
    apart = (max(days) - min(days)).days if days else 0
    if apart > most_days:
        raise UnsuitableScan(
            f"the series were taken up to {apart} days apart; what changed between them would be "
            f"taken for contrast. At most {most_days} are accepted: give the series of one session",
            reason="sessions_apart",
            can_be_forced=True,
        )
    if len({one.study for one in found}) > 1 and len(days) < len(found):
        raise UnsuitableScan(
            "the series are of several studies, and not all say on which day they were taken; give "
            "the series of one study",
            reason="sessions_apart",
            can_be_forced=True,
        )
