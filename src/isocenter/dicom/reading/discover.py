"""Find the series in a file, a folder or a tree, and choose one."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import (
    InputRefused,
    SeriesChoiceNeeded,
    UnreadableInput,
    UnsuitableScan,
)
from isocenter.dicom.decoding.parsing import looks_like_dicom
from isocenter.dicom.reading.frames import Frame, ImageFile, read_image_file
from isocenter.dicom.reading.rules import SeriesKind, suitable_frames

MAX_FILES = 200_000
MIN_UID_END = 4  # shorter names are numbers of the listing
MAX_LISTED = 20  # in a refusal; `isocenter series` lists all
DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR under another name


@dataclass(frozen=True, kw_only=True)
class SeriesSummary:
    """One series of a listing. Only ``key`` names it beyond this listing; it is an identifier.

    Attributes:
        number: place in the listing, from 1; names the series as well as ``key``.
        key: Series Instance UID.
        series_number: as the scanner counts, None where unknown.
        num_images: files, or frames of multi-frame files.
        slice_thickness_mm, exposure_mas: of the first image, None where its header has none.
        folder: of the first image, below the path that was searched; may hold a patient's name.
        num_damaged: files of the same folders that cannot be read; they may belong to the series.
        fits: whether it can be worked on; else ``why_not`` says why and ``reason`` by which rule.
    """

    number: int
    key: str
    series_number: int | None
    modality: str
    sop_class_name: str
    num_images: int
    rows: int
    columns: int
    slice_thickness_mm: float | None
    exposure_mas: float | None = None
    kernel: str
    folder: str = ""
    num_damaged: int = 0
    fits: bool
    why_not: str = ""
    reason: str = ""

    def in_words(self) -> str:
        """One line of a listing, without identifiers."""
        of_scanner = "" if self.series_number is None else f" (series number {self.series_number})"
        kernel = f", kernel {self.kernel}" if self.kernel else ""
        size = f", {self.rows} x {self.columns}" if self.rows else ""
        images = "1 image" if self.num_images == 1 else f"{self.num_images} images"
        thickness = f", {self.slice_thickness_mm:g} mm" if self.slice_thickness_mm else ""
        exposure = f", {self.exposure_mas:g} mAs" if self.exposure_mas else ""
        verdict = "" if self.fits else f": {self.why_not}"
        return (
            f"{self.number}{of_scanner}: {self.modality or 'no modality'}, "
            f"{images}{size}{thickness}{kernel}{exposure}{verdict}"
        )


@dataclass(frozen=True, kw_only=True)
class FoundSeries:
    """A series with its files; ``frames`` are in slice order where it fits."""

    summary: SeriesSummary
    files: tuple[ImageFile, ...]
    frames: tuple[Frame, ...]
    refusal: InputRefused | None


def discover(
    path: str | Path, kind: SeriesKind, *, accept_enhanced: bool = False, run: str = "all"
) -> tuple[FoundSeries, ...]:
    """Read the headers of all DICOM files below ``path`` and judge each series as one of a kind.

    Raises:
        UnreadableInput: nothing there, or nothing that is DICOM.
    """
    top = Path(path)
    paths, damaged = _dicom_paths(top, kind.name)
    files: list[ImageFile] = []
    refusals: list[UnreadableInput] = []
    for index, file_path in enumerate(paths):
        what = "the file" if len(paths) == 1 else f"file {index + 1} of {len(paths)}"
        try:
            file = read_image_file(file_path, kind.header, file_index=index, what=what)
        except UnreadableInput as refusal:
            refusals.append(refusal)
            damaged.append(file_path)
            continue
        if file.series_uid:
            files.append(file)
        elif file.sop_class_uid != MEDIA_DIRECTORY:
            damaged.append(file_path)
    if not files:
        raise _nothing_found(refusals, len(paths))
    groups: dict[str, list[ImageFile]] = defaultdict(list)
    for file in files:
        groups[file.series_uid].append(file)
    ordered = sorted(groups.values(), key=_listing_order)
    series_in: dict[Path, set[str]] = defaultdict(set)
    for file in files:
        series_in[file.path.parent].add(file.series_uid)

    def judged(number: int, group: Sequence[ImageFile]) -> FoundSeries:
        folders = {file.path.parent for file in group}
        return _judged(
            number,
            group,
            kind,
            top=top,
            num_damaged=sum(each.parent in folders for each in damaged),
            is_alone=all(len(series_in[folder]) == 1 for folder in folders),
            accept_enhanced=accept_enhanced,
            run=run,
        )

    return tuple(judged(number, group) for number, group in enumerate(ordered, start=1))


def _dicom_paths(path: Path, name: str) -> tuple[list[Path], list[Path]]:
    """Files that begin as DICOM does, and files that should but do not."""
    if not path.exists():
        raise UnreadableInput(
            "the input does not exist; give a DICOM file or a folder of them",
            reason="no_such_input",
        )
    if path.is_file():
        if not looks_like_dicom(path):
            raise UnreadableInput("the file is not DICOM; give a DICOM file or a folder of them")
        return [path], []
    if not path.is_dir():
        raise UnreadableInput("the input is neither a file nor a folder")
    paths, damaged = [], []
    for candidate in _walk(path):
        if looks_like_dicom(candidate):
            paths.append(candidate)
        elif _should_be_dicom(candidate):
            damaged.append(candidate)
    if not paths:
        raise UnreadableInput(f"the folder holds no DICOM file; give one that holds {name} series")
    return paths, damaged


def _should_be_dicom(path: Path) -> bool:
    """By its name; without an ending, where nothing is in it, as after a copy that broke off."""
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return suffix in DICOM_SUFFIXES or (not suffix and path.stat().st_size == 0)


def _walk(folder: Path) -> Iterator[Path]:
    """Regular files below a folder in a fixed order; links to folders are not followed."""
    count = 0
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            candidate = Path(where) / name
            if candidate.name.upper() == "DICOMDIR" or not candidate.is_file():
                continue
            count += 1
            if count > MAX_FILES:
                raise UnreadableInput(
                    f"the folder holds more than {MAX_FILES} files; give the folder of one study"
                )
            yield candidate


def _nothing_found(refusals: Sequence[UnreadableInput], num_files: int) -> UnreadableInput:
    if len(refusals) == 1:
        return refusals[0]
    if refusals:
        return UnreadableInput(
            f"none of the {num_files} DICOM files can be read; they are damaged or truncated"
        )
    return UnreadableInput("no image series was found; the files name no series")


def _listing_order(files: Sequence[ImageFile]) -> tuple:
    first = files[0]
    unknown = first.series_number is None
    return unknown, first.series_number or 0, first.sop_class_uid, first.series_uid


def _judged(
    number: int,
    files: Sequence[ImageFile],
    kind: SeriesKind,
    *,
    top: Path,
    num_damaged: int,
    is_alone: bool,
    accept_enhanced: bool,
    run: str,
) -> FoundSeries:
    refusal: InputRefused | None = None
    frames: list[Frame] = []
    kept: tuple[ImageFile, ...] = tuple(files)
    try:
        kept = tuple(_without_copies(files))
        frames = suitable_frames(kept, kind, accept_enhanced=accept_enhanced, run=run)
    except InputRefused as error:
        refusal = error
    if num_damaged and run != "largest":
        refusal = _incomplete(refusal, num_damaged, len(kept), is_alone=is_alone)
    first = files[0]
    facts = first.acquisition
    summary = SeriesSummary(
        number=number,
        key=first.series_uid,
        series_number=first.series_number,
        modality=first.modality,
        sop_class_name=first.sop_class_name,
        num_images=sum(file.num_frames for file in kept),
        rows=first.rows,
        columns=first.columns,
        slice_thickness_mm=facts.slice_thickness_mm,
        exposure_mas=facts.exposure_mas if isinstance(facts, CtAcquisition) else None,
        folder=_below(top, first.path.parent),
        num_damaged=num_damaged,
        kernel=facts.kernel if isinstance(facts, CtAcquisition) else "",
        fits=refusal is None,
        why_not="" if refusal is None else str(refusal),
        reason=getattr(refusal, "reason", "" if refusal is None else "unreadable"),
    )
    return FoundSeries(summary=summary, files=kept, frames=tuple(frames), refusal=refusal)


def _incomplete(
    refusal: InputRefused | None, num_damaged: int, num_files: int, *, is_alone: bool
) -> InputRefused | None:
    """Where slices may hide in damaged files, that is the thing to say.

    A series that is alone in its folder is refused; among others, whose file it is can't be told.
    """
    are = "1 file is" if num_damaged == 1 else f"{num_damaged} files are"
    damaged = f"{are} damaged or empty beside the {num_files} readable ones of this series"
    if refusal is None and is_alone:
        return UnsuitableScan(
            f"{damaged}, so slices may be missing; export the series again, or go on with what "
            'can be read by --largest-run (run="largest" in Python)',
            reason="damaged_files",
        )
    if getattr(refusal, "reason", "") == "uneven_slices":
        return UnsuitableScan(
            f"{damaged}; export the series again. Without them, {refusal}", reason="uneven_slices"
        )
    return refusal


def _below(top: Path, folder: Path) -> str:
    return folder.relative_to(top).as_posix() if folder.is_relative_to(top) else ""


def _without_copies(files: Sequence[ImageFile]) -> Iterator[ImageFile]:
    """Leave out byte-identical copies of an image.

    Raises:
        UnsuitableScan: two different files claim to be the same image.
    """
    seen: dict[str, ImageFile] = {}
    for file in files:
        if not file.sop_instance_uid:
            raise UnsuitableScan(
                "an image has no SOP Instance UID, so a result could not refer to it; export the "
                "series again",
                reason="identity",
            )
        twin = seen.get(file.sop_instance_uid)
        if twin is None:
            seen[file.sop_instance_uid] = file
            yield file
        elif not filecmp.cmp(twin.path, file.path, shallow=False):
            raise UnsuitableScan(
                "two different files claim to be the same image (one SOP Instance UID); give a "
                "folder that holds each image once",
                reason="identity",
            )


def choose(found: Sequence[FoundSeries], series: str | None) -> FoundSeries:
    """The series that is named, or the only one that fits.

    Args:
        series: a number of the listing, a Series Instance UID or its last four or more characters.

    Raises:
        SeriesChoiceNeeded: several fit, or the name fits none or several.
        InputRefused: the series, or every one, is refused.
    """
    if series is not None:
        chosen = _named(found, str(series).strip())
        if chosen.refusal is not None:
            raise chosen.refusal
        return chosen
    fitting = [one for one in found if one.refusal is None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise SeriesChoiceNeeded(
            f"{len(fitting)} series fit; name one by the number that begins its line:\n"
            + _listing(found)
        )
    raise _none_fits(found)


def _named(series: Sequence[FoundSeries], name: str) -> FoundSeries:
    by_uid = [found for found in series if found.summary.key == name]
    by_number = [found for found in series if str(found.summary.number) == name]
    by_end = []
    if len(name) >= MIN_UID_END:
        by_end = [found for found in series if found.summary.key.endswith(name)]
    for candidates in (by_uid, by_number, by_end):
        if len(candidates) == 1:
            return candidates[0]
    # What was given may be a UID, which is not repeated.
    given = f"number {name}" if name.isdecimal() and len(name) < MIN_UID_END else "that UID"
    problem = "several series end as given" if by_end else f"no series has {given}"
    raise SeriesChoiceNeeded(
        f"{problem}; name one by the number that begins its line:\n" + _listing(series)
    )


def _none_fits(series: Sequence[FoundSeries]) -> InputRefused:
    refusals = [found.refusal for found in series if found.refusal is not None]
    if len(refusals) == 1:
        return refusals[0]
    of_kind = [found for found in series if found.files[0].of_kind]
    reason = of_kind[0].summary.reason if len(of_kind) == 1 else "no_series_fits"
    return UnsuitableScan(
        f"none of the {len(series)} series can be used:\n" + _listing(series), reason=reason
    )


def _listing(series: Sequence[FoundSeries]) -> str:
    """Every series, or of many those that fit first."""
    shown = series
    if len(series) > MAX_LISTED:
        shown = sorted(series, key=lambda found: not found.summary.fits)[:MAX_LISTED]
    lines = [f"  {found.summary.in_words()}" for found in shown]
    if len(shown) < len(series):
        lines.append(f"  and {len(series) - len(shown)} more; `isocenter series` lists all")
    return "\n".join(lines)
