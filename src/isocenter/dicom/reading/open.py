"""Find CT series in files and folders, refuse what cannot be worked on, and open one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from isocenter.core.volume import Volume
from isocenter.dicom.reading.discover import FoundSeries, SeriesSummary, choose, discover
from isocenter.dicom.reading.series import CtSeries

Run = Literal["all", "largest"]


def find_series(path: str | Path) -> list[SeriesSummary]:
    """List all series in a file, a folder or a tree, in a fixed order, and whether each fits.

    Raises:
        UnreadableInput: there is no DICOM file.
    """
    return [found.summary for found in discover(path)]


def open_ct_series(
    path: str | Path,
    *,
    series: str | None = None,
    run: Run = "all",
    accept_enhanced: bool = False,
) -> CtSeries:
    """Open the one CT series that fits, or the one that is named.

    All headers are checked here, and that no file is truncated; pixels are decoded later.

    Args:
        path: a file, a folder or a tree of folders.
        series: a number of :func:`find_series`, a Series Instance UID or the end of one.
        run: "largest" takes the largest even run where slices are missing or files of the series'
            folder are damaged, instead of refusing.
        accept_enhanced: take a series that a model made, for evaluation.

    Raises:
        UnreadableInput: nothing readable, or damaged files.
        UnsuitableScan: what is there breaks a rule; ``reason`` names it.
        SeriesChoiceNeeded: several series fit.
    """
    if run not in ("all", "largest"):
        raise ValueError(f'run must be "all" or "largest", got {run!r}')
    found = choose(discover(path, accept_enhanced=accept_enhanced, run=run), series)
    return CtSeries(found.frames, found.files, notes=_notes(found))


def _notes(found: FoundSeries) -> list[str]:
    notes = []
    num_damaged = found.summary.num_damaged
    if num_damaged:
        were = "1 file was" if num_damaged == 1 else f"{num_damaged} files were"
        notes.append(
            f"{were} damaged or empty beside the series and left out; slices may be missing."
        )
    left_out = sum(len(file.frames) for file in found.files) - len(found.frames)
    if left_out:
        notes.append(
            f"{left_out} slices outside the largest even run of {len(found.frames)} were left out."
        )
    return notes


def read_volume(path: str | Path, *, series: str | None = None) -> Volume:
    """Read a whole CT series into memory, in HU; also one that a model enhanced.

    Raises:
        InputRefused: as :func:`open_ct_series`.
    """
    return open_ct_series(path, series=series, accept_enhanced=True).to_volume()


__all__ = ["CtSeries", "SeriesSummary", "find_series", "open_ct_series", "read_volume"]
