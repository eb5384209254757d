"""Read the CT scans that a model is fitted to, calibrated on and judged by."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.progress import Progress, silent
from isocenter.datasets.ct_pairs import AIR_HU, HIGHEST_HU, TrainingScan, scan_noise_hu
from isocenter.datasets.index import ListedScan, read_index
from isocenter.dicom.reading.ct_series import CtSeries
from isocenter.dicom.reading.runs import open_even_runs

_UNKNOWN_THICKNESS_MM = 5.0


def read_training_scans(
    data: Path, *, patients: Container[str] | None = None, progress: Progress = silent
) -> list[TrainingScan]:
    """Read every scan that ``ct/index.json`` lists below ``ct/train``.

    Args:
        data: folder that holds ``ct/index.json``.
        patients: read these only; all where absent.
        progress: counts the scans.

    Raises:
        UnreadableInput: there is no such index.
        InputRefused: a folder does not hold one suitable CT series.
    """
    wanted = [one for one in read_index(data) if patients is None or one.patient in patients]
    progress(0, len(wanted))
    scans = []
    for done, listed in enumerate(wanted, start=1):
        scans.append(_read(listed))
        progress(done, len(wanted))
    return scans


def _read(listed: ListedScan) -> TrainingScan:
    runs = open_even_runs(listed.path)
    spacing_mm = None
    if listed.is_single:
        spacing_mm = runs[0].acquisition.slice_thickness_mm or _UNKNOWN_THICKNESS_MM
    return training_scan(
        runs, name=listed.name, patient=listed.patient, kernel=listed.kernel, spacing_mm=spacing_mm
    )


def training_scan(
    runs: Sequence[CtSeries],
    *,
    name: str,
    patient: str,
    kernel: str,
    spacing_mm: float | None = None,
) -> TrainingScan:
    """Even runs of one series as one scan in memory.

    Slices on both sides of a gap become neighbors, as they are in the collection that the shipped
    weights were fitted to; the spacing is the usual one.

    Args:
        runs: of one series, in order.
        name, patient, kernel: what to call it.
        spacing_mm: between slices; where absent, as their positions say.
    """
    array: NDArray = np.concatenate([_stored_hu(run) for run in runs])
    in_plane = runs[0].geometry.spacing_mm[1:]
    spacing = _usual_spacing_mm(runs) if spacing_mm is None else spacing_mm
    return TrainingScan(
        name=name,
        patient=patient,
        array=array,
        spacing_mm=(spacing, *in_plane),
        noise_hu=scan_noise_hu(array, in_plane),
        kernel=kernel,
        slice_thickness_mm=runs[0].acquisition.slice_thickness_mm or spacing,
    )


def _stored_hu(run: CtSeries) -> NDArray:
    """(slice, row, column) int16 HU."""
    slices = (np.rint(run.values(index)) for index in range(len(run)))
    return np.stack([one.clip(AIR_HU, HIGHEST_HU).astype(np.int16) for one in slices])


def _usual_spacing_mm(runs: Sequence[CtSeries]) -> float:
    normal = np.array(runs[0].geometry.slice_direction)
    along = np.concatenate([run.positions_mm for run in runs]) @ normal
    return float(np.median(np.diff(along))) if len(along) > 1 else _UNKNOWN_THICKNESS_MM
