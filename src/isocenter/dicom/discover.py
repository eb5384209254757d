"""Find the series in a file, a folder or a tree, and choose one."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import (
    InputRefused,
    SeriesChoiceNeeded,
    UnreadableInput,
    UnsuitableScan,
)
from isocenter.dicom.frames import Frame, ImageFile, read_image_file
from isocenter.dicom.parsing import looks_like_dicom
from isocenter.dicom.suitability import suitable_frames

MAX_FILES = 200_000
MIN_UID_END = 4  # shorter names are numbers of the listing


@dataclass(frozen=True, kw_only=True)
class SeriesSummary:
    """One series of a listing. Only ``key`` names it beyond this listing; it is an identifier.

    Attributes:
        number: place in the listing, from 1; names the series as well as ``key``.
        key: Series Instance UID.
        series_number: as the scanner counts, None where unknown.
        num_images: files, or frames of multi-frame files.
        slice_thickness_mm: of the first image, None where its header has none.
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
    kernel: str
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
        verdict = "" if self.fits else f": {self.why_not}"
        return (
            f"{self.number}{of_scanner}: {self.modality or 'no modality'}, "
            f"{images}{size}{thickness}{kernel}{verdict}"
        )


@dataclass(frozen=True, kw_only=True)
class FoundSeries:
    """A series with its files; ``frames`` are in slice order where it fits."""

    summary: SeriesSummary
    files: tuple[ImageFile, ...]
    frames: tuple[Frame, ...]
    refusal: InputRefused | None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All series below a path, and how many files could not be read."""

    series: tuple[FoundSeries, ...]
    num_unreadable: int


def discover(path: str | Path, *, accept_enhanced: bool = False, run: str = "all") -> Findings:
    """Read the headers of all DICOM files below ``path`` and judge each series.

    Raises:
        UnreadableInput: nothing there, or nothing that is DICOM.
    """
    paths = _dicom_paths(Path(path))
    files: list[ImageFile] = []
    refusals: list[UnreadableInput] = []
    for index, file_path in enumerate(paths):
        what = "the file" if len(paths) == 1 else f"file {index + 1} of {len(paths)}"
        try:
            file = read_image_file(file_path, file_index=index, what=what)
        except UnreadableInput as refusal:
            refusals.append(refusal)
            continue
        if file.series_uid:
            files.append(file)
    if not files:
        raise _nothing_found(refusals, len(paths))
    groups: dict[str, list[ImageFile]] = defaultdict(list)
    for file in files:
        groups[file.series_uid].append(file)
    ordered = sorted(groups.values(), key=_listing_order)
    series = tuple(
        _judged(number, group, accept_enhanced=accept_enhanced, run=run)
        for number, group in enumerate(ordered, start=1)
    )
    return Findings(series=series, num_unreadable=len(refusals))


def _dicom_paths(path: Path) -> list[Path]:
    if not path.exists():
        raise UnreadableInput("the input does not exist; give a DICOM file or a folder of them")
    if path.is_file():
        if not looks_like_dicom(path):
            raise UnreadableInput("the file is not DICOM; give a DICOM file or a folder of them")
        return [path]
    if not path.is_dir():
        raise UnreadableInput("the input is neither a file nor a folder")
    paths = [candidate for candidate in _walk(path) if looks_like_dicom(candidate)]
    if not paths:
        raise UnreadableInput("the folder holds no DICOM file; give one that holds a CT series")
    return paths


def _walk(folder: Path) -> Iterator[Path]:
    """Regular files below a folder in a fixed order; links to folders are not followed."""
    count = 0
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            candidate = Path(where) / name
            if candidate.name == "DICOMDIR" or not candidate.is_file():
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
    number: int, files: Sequence[ImageFile], *, accept_enhanced: bool, run: str
) -> FoundSeries:
    refusal: InputRefused | None = None
    frames: list[Frame] = []
    kept: tuple[ImageFile, ...] = tuple(files)
    try:
        kept = tuple(_without_copies(files))
        frames = suitable_frames(kept, accept_enhanced=accept_enhanced, run=run)
    except InputRefused as error:
        refusal = error
    first = files[0]
    summary = SeriesSummary(
        number=number,
        key=first.series_uid,
        series_number=first.series_number,
        modality=first.modality,
        sop_class_name=first.sop_class_name,
        num_images=sum(file.num_frames for file in kept),
        rows=first.rows,
        columns=first.columns,
        slice_thickness_mm=first.acquisition.slice_thickness_mm,
        kernel=first.frames[0].kernel if first.frames else "",
        fits=refusal is None,
        why_not="" if refusal is None else str(refusal),
        reason=getattr(refusal, "reason", "" if refusal is None else "unreadable"),
    )
    return FoundSeries(summary=summary, files=kept, frames=tuple(frames), refusal=refusal)


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


def choose(findings: Findings, series: str | None) -> FoundSeries:
    """The series that is named, or the only one that fits.

    Args:
        series: a number of the listing, a Series Instance UID or its last four or more characters.

    Raises:
        SeriesChoiceNeeded: several fit, or the name fits none or several.
        InputRefused: the series, or every one, is refused.
    """
    if series is not None:
        chosen = _named(findings.series, str(series).strip())
        if chosen.refusal is not None:
            raise chosen.refusal
        return chosen
    fitting = [found for found in findings.series if found.refusal is None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise SeriesChoiceNeeded(
            f"{len(fitting)} series fit; name one with --series by the number that begins its "
            "line:\n" + _listing(findings.series)
        )
    raise _none_fits(findings.series)


def _named(series: Sequence[FoundSeries], name: str) -> FoundSeries:
    by_uid = [found for found in series if found.summary.key == name]
    by_number = [found for found in series if str(found.summary.number) == name]
    by_end = []
    if len(name) >= MIN_UID_END:
        by_end = [found for found in series if found.summary.key.endswith(name)]
    for candidates in (by_uid, by_number, by_end):
        if len(candidates) == 1:
            return candidates[0]
    problem = "several series end" if by_end else "no series is named or ends"
    raise SeriesChoiceNeeded(
        f"{problem} as --series says; name one by the number that begins its line:\n"
        + _listing(series)
    )


def _none_fits(series: Sequence[FoundSeries]) -> InputRefused:
    refusals = [found.refusal for found in series if found.refusal is not None]
    if len(refusals) == 1:
        return refusals[0]
    of_ct = [found for found in series if found.files[0].is_ct]
    reason = of_ct[0].summary.reason if len(of_ct) == 1 else "no_series_fits"
    return UnsuitableScan(
        f"none of the {len(series)} series can be used:\n" + _listing(series), reason=reason
    )


def _listing(series: Sequence[FoundSeries]) -> str:
    return "\n".join(f"  {found.summary.in_words()}" for found in series)
