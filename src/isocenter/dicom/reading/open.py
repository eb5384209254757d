"""Find series in files and folders, refuse what cannot be worked on, and open one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeGuard

from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.volume import Volume
from isocenter.dicom.reading.ct_rules import CT_SERIES
from isocenter.dicom.reading.ct_series import CtSeries
from isocenter.dicom.reading.discover import (
    FoundSeries,
    SeriesSummary,
    choose,
    discover,
    lost_in_words,
)
from isocenter.dicom.reading.mr_rules import MR_SERIES
from isocenter.dicom.reading.rescales import rescale_notes
from isocenter.dicom.reading.series import ImageSeries

Run = Literal["all", "largest"]
Modality = Literal["CT", "MR"]
_KINDS = {"CT": (CT_SERIES, CtSeries), "MR": (MR_SERIES, ImageSeries)}


def is_read(modality: str) -> TypeGuard[Modality]:
    """Whether series of a modality can be opened."""
    return modality in _KINDS


def find_series(
    path: str | Path, *, modality: Modality = "CT", limits: Limits = DEFAULT_LIMITS
) -> list[SeriesSummary]:
    """List all series in a file, a folder or a tree, in a fixed order, and whether each fits.

    Args:
        modality: what a series must be to fit.
        limits: what a file and the folder may cost.

    Raises:
        UnreadableInput: there is no DICOM file.
    """
    kind, _ = _KINDS[modality]
    return [found.summary for found in discover(path, kind, limits=limits)]


def open_series(
    path: str | Path,
    *,
    modality: Modality,
    series: str | None = None,
    run: Run = "all",
    accept_enhanced: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> ImageSeries:
    """Open the one series of a modality that fits, or the one that is named.

    All headers are checked here, and that no file is truncated; pixels are decoded later.

    Args:
        path: a file, a folder or a tree of folders.
        modality: "CT" for values in HU, "MR" for classic MR images, whose values have no unit.
        series: a number of :func:`find_series`, a Series Instance UID or the end of one.
        run: "largest" takes the largest even run where slices are missing, or files beside the
            series are damaged or cannot be opened, instead of refusing.
        accept_enhanced: take a series that a model made, for evaluation.
        limits: what a file and the folder may cost.

    Raises:
        UnreadableInput: nothing readable, or damaged files.
        UnsuitableScan: what is there breaks a rule; ``reason`` names it.
        SeriesChoiceNeeded: several series fit, or one beside a scan that is refused.
    """
    if not is_read(modality):
        raise ValueError(f"modality must be one of {', '.join(_KINDS)}, got {modality!r}")
    if run not in ("all", "largest"):
        raise ValueError(f'run must be "all" or "largest", got {run!r}')
    kind, _ = _KINDS[modality]
    listing = discover(path, kind, accept_enhanced=accept_enhanced, run=run, limits=limits)
    return open_found(choose(listing, series), modality=modality, limits=limits)


def open_found(
    found: FoundSeries, *, modality: Modality, limits: Limits = DEFAULT_LIMITS
) -> ImageSeries:
    """Open a series of a listing that fits."""
    _, opened = _KINDS[modality]
    return opened(
        found.frames,
        found.files,
        notes=_notes(found),
        files_seen=found.files_seen,
        limits=limits,
    )


def open_ct_series(
    path: str | Path,
    *,
    series: str | None = None,
    run: Run = "all",
    accept_enhanced: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> CtSeries:
    """Open the one CT series that fits, or the one that is named: :func:`open_series` of CT.

    Raises:
        InputRefused: as :func:`open_series`.
    """
    opened = open_series(
        path,
        modality="CT",
        series=series,
        run=run,
        accept_enhanced=accept_enhanced,
        limits=limits,
    )
    assert isinstance(opened, CtSeries)
    return opened


def _notes(found: FoundSeries) -> list[str]:
    notes = []
    num_damaged, num_unreadable = found.summary.num_damaged, found.summary.num_unreadable
    if num_damaged or num_unreadable:
        notes.append(
            f"{lost_in_words(num_damaged, num_unreadable)} beside the series; slices may be "
            "missing."
        )
    if found.num_copies:
        are = (
            "1 file is a copy" if found.num_copies == 1 else f"{found.num_copies} files are copies"
        )
        notes.append(f"{are} of other files of the series, byte for byte, and left out.")
    left_out = sum(len(file.frames) for file in found.files) - len(found.frames)
    if left_out:
        notes.append(
            f"{left_out} slices outside the largest even run of {len(found.frames)} were left out."
        )
    return [*notes, *rescale_notes(found.frames)]


def read_volume(path: str | Path, *, series: str | None = None) -> Volume:
    """Read a whole CT series into memory, in HU; also one that a model enhanced.

    Raises:
        InputRefused: as :func:`open_ct_series`.
    """
    return open_ct_series(path, series=series, accept_enhanced=True).to_volume()


__all__ = [
    "CtSeries",
    "ImageSeries",
    "SeriesSummary",
    "find_series",
    "is_read",
    "open_ct_series",
    "open_series",
    "read_volume",
]
