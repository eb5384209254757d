"""Find the series in a file, a folder or a tree, and choose one."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.acquisition import CtAcquisition, MrAcquisition
from isocenter.core.errors import (
    InputRefused,
    SeriesChoiceNeeded,
    UnreadableInput,
    UnsuitableScan,
)
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.reading.files_seen import FilesSeen
from isocenter.dicom.reading.frames import Frame, ImageFile, read_image_file
from isocenter.dicom.reading.listing import Listing, list_files
from isocenter.dicom.reading.lost_files import Neighbors, may_hold_scans
from isocenter.dicom.reading.mr_contrast import RecognizedContrast, recognize_all
from isocenter.dicom.reading.rules import SeriesKind, suitable_frames

MIN_UID_END = 4  # shorter names are numbers of the listing
MAX_LISTED = 20  # in a refusal; `isocenter series` lists all
MEDIA_DIRECTORY_NAME = "DICOMDIR"
NEVER_MEANT = frozenset(("localizer", "already_enhanced", "color"))
"""Reasons that say what a series is: no scan to work on."""


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
        num_damaged: files beside it that are damaged or empty; they may belong to the series.
        num_unreadable: files and folders beside it that cannot be opened.
        fits: whether it can be worked on; else ``why_not`` says why and ``reason`` by which rule.
        contrast: what it is weighted by, of MR series where MR is looked for.
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
    num_unreadable: int = 0
    fits: bool
    why_not: str = ""
    reason: str = ""
    contrast: RecognizedContrast | None = None

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
    """A series with its files.

    Attributes:
        files: each once.
        frames: in slice order where it fits, else none.
        refusal: why it does not fit.
        num_copies: files that are byte-identical to one of ``files``.
        files_seen: what became of all files below the input, if this series is the one opened.
    """

    summary: SeriesSummary
    files: tuple[ImageFile, ...]
    frames: tuple[Frame, ...]
    refusal: InputRefused | None
    num_copies: int
    files_seen: FilesSeen

    @property
    def is_refused_scan(self) -> bool:
        """Whether it may be the scan that was meant, though it is refused.

        Another must not stand in for it in silence. Scouts, results of a model, colored copies
        and pictures that lie nowhere in the patient are not meant.
        """
        if self.refusal is None or not any(file.of_kind for file in self.files):
            return False
        frames = [frame for file in self.files for frame in file.frames]
        are_pictures = all(
            frame.position_mm is None and "SECONDARY" in frame.image_type for frame in frames
        )
        return self.summary.reason not in NEVER_MEANT and not are_pictures


def discover(
    path: str | Path,
    kind: SeriesKind,
    *,
    accept_enhanced: bool = False,
    run: str = "all",
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[FoundSeries, ...]:
    """Read the headers of all DICOM files below ``path`` and judge each series as one of a kind.

    Raises:
        UnreadableInput: nothing there, or nothing that is DICOM.
    """
    listing = list_files(path, limits=limits)
    if not listing.dicom:
        raise _nothing_to_read(listing, kind.name)
    files, damaged, refusals = _read_headers(listing.dicom, kind, limits)
    if not files:
        raise _nothing_found(refusals, len(listing.dicom))
    groups: dict[str, list[ImageFile]] = defaultdict(list)
    for file in files:
        groups[file.series_uid].append(file)
    ordered = sorted(groups.values(), key=_listing_order)
    lost = _lost(listing, files, damaged)
    return tuple(
        _judged(
            number,
            group,
            kind,
            top=listing.top,
            lost=lost,
            num_files=listing.num_files,
            accept_enhanced=accept_enhanced,
            run=run,
            limits=limits,
        )
        for number, group in enumerate(ordered, start=1)
    )


def _read_headers(
    paths: Sequence[Path], kind: SeriesKind, limits: Limits
) -> tuple[list[ImageFile], list[Path], list[UnreadableInput]]:
    """Files of a series, files that are damaged, and how the last were refused."""
    files: list[ImageFile] = []
    damaged: list[Path] = []
    refusals: list[UnreadableInput] = []
    for index, path in enumerate(paths):
        if path.name.upper() == MEDIA_DIRECTORY_NAME:
            continue
        what = "the file" if len(paths) == 1 else f"file {index + 1} of {len(paths)}"
        try:
            file = read_image_file(path, kind.header, file_index=index, what=what, limits=limits)
        except UnreadableInput as refusal:
            refusals.append(refusal)
            damaged.append(path)
            continue
        if file.series_uid:
            files.append(file)
        elif not file.needs_no_series:
            damaged.append(path)
    return files, damaged, refusals


@dataclass(frozen=True, kw_only=True)
class _Lost:
    """Files that cannot be read and may have held slices.

    Attributes:
        damaged, unreadable: how many below the input; a closed folder is unreadable too.
        beside: by Series Instance UID, how many damaged and unreadable ones may belong to it.
    """

    damaged: int
    unreadable: int
    beside: Mapping[str, tuple[int, int]]


def _lost(listing: Listing, files: Sequence[ImageFile], damaged: Sequence[Path]) -> _Lost:
    neighbors = Neighbors(listing.top, files)
    damaged = [*damaged, *filter(neighbors.may_be_image, listing.strange)]
    closed = [path for path in listing.closed if neighbors.may_be_image(path)]
    folders = [folder for folder in listing.closed_folders if may_hold_scans(folder)]
    beside: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    places = [
        *((0, neighbors.series_beside(path)) for path in damaged),
        *((1, neighbors.series_beside(path)) for path in closed),
        *((1, neighbors.series_near(folder)) for folder in folders),
    ]
    for place, around in places:
        for series in around:
            beside[series][place] += 1
    return _Lost(
        damaged=len(damaged),
        unreadable=len(closed) + len(folders),
        beside={series: (counts[0], counts[1]) for series, counts in beside.items()},
    )


def _nothing_to_read(listing: Listing, name: str) -> UnreadableInput:
    num_closed = len(listing.closed) + len(listing.closed_folders)
    closed = f"; {num_closed} files or folders in it cannot be opened" if num_closed else ""
    return UnreadableInput(
        f"the folder holds no DICOM file{closed}; give one that holds {name} series"
    )


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
    lost: _Lost,
    num_files: int,
    accept_enhanced: bool,
    run: str,
    limits: Limits,
) -> FoundSeries:
    refusal: InputRefused | None = None
    frames: list[Frame] = []
    kept: tuple[ImageFile, ...] = tuple(files)
    try:
        kept = tuple(_without_copies(files))
        frames = suitable_frames(
            kept, kind, accept_enhanced=accept_enhanced, run=run, limits=limits
        )
    except InputRefused as error:
        refusal = error
    beside = lost.beside.get(files[0].series_uid, (0, 0))
    if any(beside) and run != "largest":
        refusal = incomplete(refusal, *beside, len(kept))
    used = len({frame.file_index for frame in frames})
    return FoundSeries(
        summary=_summary(number, kept, refusal, top=top, beside=beside),
        files=kept,
        frames=tuple(frames),
        refusal=refusal,
        num_copies=len(files) - len(kept),
        files_seen=FilesSeen(
            used=used,
            other=num_files - used - lost.damaged - lost.unreadable,
            damaged=lost.damaged,
            unreadable=lost.unreadable,
        ),
    )


def _summary(
    number: int,
    files: Sequence[ImageFile],
    refusal: InputRefused | None,
    *,
    top: Path,
    beside: tuple[int, int],
) -> SeriesSummary:
    first = files[0]
    facts = first.acquisition
    return SeriesSummary(
        number=number,
        key=first.series_uid,
        series_number=first.series_number,
        modality=first.modality,
        sop_class_name=first.sop_class_name,
        num_images=sum(file.num_frames for file in files),
        rows=first.rows,
        columns=first.columns,
        slice_thickness_mm=facts.slice_thickness_mm,
        exposure_mas=facts.exposure_mas if isinstance(facts, CtAcquisition) else None,
        folder=_below(top, first.path.parent),
        num_damaged=beside[0],
        num_unreadable=beside[1],
        kernel=facts.kernel if isinstance(facts, CtAcquisition) else "",
        fits=refusal is None,
        why_not="" if refusal is None else str(refusal),
        reason=getattr(refusal, "reason", "" if refusal is None else "unreadable"),
        contrast=_contrast(files),
    )


def _contrast(files: Sequence[ImageFile]) -> RecognizedContrast | None:
    """Of all images of a series; None where they are no MR images that were read."""
    stated = [frame.acquisition for file in files for frame in file.frames]
    known = [one for one in stated if isinstance(one, MrAcquisition)]
    return recognize_all(known) if known else None


def incomplete(
    refusal: InputRefused | None, num_damaged: int, num_unreadable: int, num_files: int
) -> InputRefused | None:
    """Where slices may hide in files that cannot be read, that is the thing to say."""
    lost = f"{lost_in_words(num_damaged, num_unreadable)} beside the {num_files} readable ones"
    advice = "copy or export the series again" if num_damaged else "give access to them"
    if refusal is None:
        return UnsuitableScan(
            f"{lost} of this series, so slices may be missing; {advice}, or go on with what can "
            "be read by --largest-run (largest_run=True in Python)",
            reason="damaged_files" if num_damaged else "unreadable_files",
        )
    if getattr(refusal, "reason", "") == "uneven_slices":
        return UnsuitableScan(
            f"{lost} of this series; {advice}. Without them, {refusal}", reason="uneven_slices"
        )
    return refusal


def lost_in_words(num_damaged: int, num_unreadable: int) -> str:
    """Such as "2 files are damaged or empty and 1 cannot be opened"."""
    parts = []
    if num_damaged:
        parts.append("1 file is" if num_damaged == 1 else f"{num_damaged} files are")
        parts[-1] += " damaged or empty"
    if num_unreadable:
        parts.append("1 file or folder" if num_unreadable == 1 else f"{num_unreadable} files or")
        parts[-1] += " cannot be opened" if num_unreadable == 1 else " folders cannot be opened"
    return " and ".join(parts)


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
        SeriesChoiceNeeded: several fit, or one does beside a scan that is refused, or the name fits
            none or several.
        InputRefused: the series, or every one, is refused.
    """
    if series is not None:
        chosen = named(found, str(series).strip())
        if chosen.refusal is not None:
            raise chosen.refusal
        return chosen
    fitting = [one for one in found if one.refusal is None]
    refused = [one for one in found if one.is_refused_scan]
    if not fitting:
        raise _none_fits(found)
    if len(fitting) == 1 and not refused:
        return fitting[0]
    why = f"{len(fitting)} series fit"
    if len(fitting) == 1:
        others = "another scan" if len(refused) == 1 else f"{len(refused)} other scans"
        why = (
            f"1 series fits, but {others} beside it cannot be used, and which is meant is not said"
        )
    raise SeriesChoiceNeeded(
        f"{why}; name one by the number that begins its line:\n" + _listing(found)
    )


def named(series: Sequence[FoundSeries], name: str) -> FoundSeries:
    """The series of a listing that a number, a Series Instance UID or the end of one names.

    Raises:
        SeriesChoiceNeeded: there is none, or several end so.
    """
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
