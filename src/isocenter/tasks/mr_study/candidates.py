"""The images of a folder, of DICOM or of files named by contrast, with what each is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from isocenter.core.errors import InputRefused, UnreadableInput, UnsuitableScan
from isocenter.core.limits import Limits
from isocenter.core.volume import Volume
from isocenter.datasets.bids_names import (
    BidsName,
    contrast_of_name,
    parse_bids_name,
    read_sidecar,
)
from isocenter.dicom.reading.mr_contrast import ANATOMICAL, RecognizedContrast, recognize
from isocenter.dicom.reading.mr_study import check_one_patient, check_one_session, find_mr_series
from isocenter.image.volume_files import is_volume_file, read_volume_file, stated
from isocenter.tasks.mr_study.choice import Candidate

_MOST_FILES = 2000


def is_folder_of_files(path: Path) -> bool:
    """Whether a folder or file holds volume files, not DICOM."""
    return bool(_volume_files(path))


def _volume_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if is_volume_file(path) else []
    found: list[Path] = []
    for where, folders, names in os.walk(path):
        folders.sort()
        found += [Path(where) / name for name in sorted(names) if is_volume_file(name)]
        if len(found) > _MOST_FILES:
            raise UnreadableInput(
                f"the folder holds more than {_MOST_FILES} volume files; give that of one session"
            )
    return found


def dicom_candidates(path: Path, *, most_days: int, limits: Limits) -> list[Candidate]:
    """Every MR series of a folder.

    Raises:
        UnsuitableScan: of two patients, or of sessions too far apart.
    """
    found = find_mr_series(path, limits=limits)
    if not found:
        raise UnsuitableScan(
            "the folder holds no MR series; give a study of MR images", reason="not_mr"
        )
    check_one_patient(found)
    check_one_session([one for one in found if one.contrast.is_input], most_days=most_days)
    return [
        Candidate(
            number=one.number,
            label=f"series {one.number}",
            contrast=one.contrast,
            refusal=one.refusal,
            geometry=None if one.series is None else one.series.geometry,
            is_copy=one.is_copy,
            load=partial(_no_volume, one.refusal) if one.series is None else one.series.to_volume,
            source=one.series,
        )
        for one in found
    ]


def _no_volume(refusal: InputRefused | None) -> Volume:
    assert refusal is not None
    raise refusal


def file_candidates(path: Path, *, session: str | None, limits: Limits) -> list[Candidate]:
    """Every volume file whose name says a contrast.

    Args:
        path: a folder; in BIDS, that of a subject or a session, or a whole set of one subject.
        session: label of the BIDS session, where there are several.
        limits: what a file may cost.

    Raises:
        UnsuitableScan: of two subjects or sessions, or a name and a sidecar that contradict.
    """
    files = [one for one in _volume_files(path) if "derivatives" not in _below(path, one)]
    named = [parse_bids_name(one) for one in files]
    _check_one_subject([one for one in named if one is not None])
    files = _of_session(files, named, session)
    return [
        candidate
        for number, file in enumerate(files, start=1)
        if (candidate := _file_candidate(number, file, limits)) is not None
    ]


def _below(top: Path, file: Path) -> tuple[str, ...]:
    return file.relative_to(top).parts[:-1] if file.is_relative_to(top) else ()


def _check_one_subject(named: Sequence[BidsName]) -> None:
    if (count := len({one.entities["sub"] for one in named})) > 1:
        raise UnsuitableScan(
            f"the files are of {count} subjects, by their names; give the folder of one subject",
            reason="mixed_patients",
        )


def _of_session(
    files: Sequence[Path], named: Sequence[BidsName | None], session: str | None
) -> list[Path]:
    labels = [None if one is None else one.entities.get("ses") for one in named]
    known = {label for label in labels if label is not None}
    if session is not None and session not in known:
        raise UnsuitableScan(
            f"no file is of the session that was named; there are {len(known)} sessions",
            reason="sessions_apart",
        )
    if session is None and len(known) > 1:
        raise UnsuitableScan(
            f"the files are of {len(known)} sessions, by their names; name one, or give its folder",
            reason="sessions_apart",
        )
    return [
        file
        for file, label in zip(files, labels, strict=True)
        if session is None or label in (session, None)
    ]


def _file_candidate(number: int, file: Path, limits: Limits) -> Candidate | None:
    """None for what names no anatomical contrast, such as a mask."""
    contrast = contrast_of_name(file)
    bids = parse_bids_name(file)
    if contrast is None or (bids is not None and bids.is_mask):
        return None
    label = f"file {number} ({contrast})"
    said = RecognizedContrast(contrast=contrast, because="its name says so")
    candidate = Candidate(
        number=number,
        label=label,
        contrast=_with_sidecar(said, file, label),
        is_copy=bids is not None and bool({"rec", "desc", "space"} & set(bids.entities)),
        load=partial(_read, file, limits),
        is_named=True,
    )
    try:
        return replace(candidate, geometry=candidate.load().geometry)
    except InputRefused as refusal:
        return replace(candidate, refusal=refusal)


def _read(file: Path, limits: Limits) -> Volume:
    """MR values have no unit; spacing that a file does not say is in millimeters."""
    says = stated(file, limits=limits)
    return read_volume_file(
        file, unit="", length_unit=None if says.length_unit else "mm", limits=limits
    )


def _with_sidecar(said: RecognizedContrast, file: Path, label: str) -> RecognizedContrast:
    """What the sidecar adds, where there is one.

    Raises:
        UnsuitableScan: it is sure of another contrast than the name.
    """
    facts = read_sidecar(file)
    if facts is None:
        return said
    found = recognize(facts)
    named = "T1" if said.contrast == "T1c" else said.contrast
    shown = "T1" if found.contrast == "T1c" else found.contrast
    if named != shown and found.confidence == "sure" and found.contrast in (*ANATOMICAL, "other"):
        raise wrong_contrast(label, said.contrast, found)
    if named == shown:
        return replace(
            said, technique=found.technique, because=f"its name says so, and {found.because}"
        )
    return said


def wrong_contrast(label: str, named: str, found: RecognizedContrast) -> UnsuitableScan:
    """The refusal of an image that was named what it is not."""
    return UnsuitableScan(
        f"{label} was named {named}, but it is {found.in_words()}; name it rightly or leave it out",
        reason="contrast",
        can_be_forced=True,
    )
