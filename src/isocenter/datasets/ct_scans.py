"""Read the CT scans that a model is fitted to, calibrated on and judged by."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import UnreadableInput
from isocenter.core.volume import Volume
from isocenter.datasets.ct_pairs import AIR_HU, HIGHEST_HU, TrainingScan, scan_noise_hu
from isocenter.dicom.reading.open import read_volume

_UNKNOWN_THICKNESS_MM = 5.0


def read_training_scans(
    data: Path,
    *,
    patients: Container[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[TrainingScan]:
    """Read every scan that ``ct/index.json`` lists below ``ct/train``.

    Args:
        data: folder that holds ``ct/index.json``. An entry names a folder of one series, or lists
            single slices in ``per_slice``.
        patients: read these only; all where absent.
        progress: called with the number of entries done and in all.

    Raises:
        UnreadableInput: there is no such index.
    """
    index = data / "ct" / "index.json"
    if not index.is_file():
        raise UnreadableInput(
            "no ct/index.json in the data folder; name the folder that holds ct/index.json and "
            "ct/train"
        )
    entries = json.loads(index.read_text())
    scans: list[TrainingScan] = []
    for done, entry in enumerate(entries):
        folder = data / "ct" / "train" / entry["id"]
        if folder.is_dir():
            scans += _scans_of(folder, entry, patients)
        if progress:
            progress(done + 1, len(entries))
    return scans


def _scans_of(
    folder: Path, entry: dict[str, Any], patients: Container[str] | None
) -> list[TrainingScan]:
    if "per_slice" not in entry:
        wanted = patients is None or entry["patient_id"] in patients
        return [_run(folder, entry)] if wanted else []
    scans = []
    for one in entry["per_slice"]:
        if patients is not None and one["patient"] not in patients:
            continue
        volume = read_volume(folder / one["file"])
        thickness = volume.acquisition.slice_thickness_mm or _UNKNOWN_THICKNESS_MM
        scans.append(
            _scan([volume], Path(one["file"]).stem, one["patient"], one["kernel"], thickness)
        )
    return scans


def _run(folder: Path, entry: dict[str, Any]) -> TrainingScan:
    """One run, slice by slice: a gap within it does not matter here."""
    volumes = [read_volume(path) for path in sorted(folder.glob("*.dcm"))]
    volumes.sort(key=lambda volume: volume.geometry.origin_mm[2])
    positions = [volume.geometry.origin_mm[2] for volume in volumes]
    spacing = float(np.median(np.diff(positions))) if len(volumes) > 1 else _UNKNOWN_THICKNESS_MM
    return _scan(volumes, entry["id"], entry["patient_id"], entry["kernel"], spacing)


def _scan(
    volumes: list[Volume], name: str, patient: str, kernel: str, spacing_mm: float
) -> TrainingScan:
    array: NDArray = np.concatenate([volume.array for volume in volumes])
    stored = np.rint(array).clip(AIR_HU, HIGHEST_HU).astype(np.int16)
    in_plane = volumes[0].geometry.spacing_mm[1:]
    return TrainingScan(
        name=name,
        patient=patient,
        array=stored,
        spacing_mm=(spacing_mm, *in_plane),
        noise_hu=scan_noise_hu(stored, in_plane),
        kernel=str(kernel),
        slice_thickness_mm=volumes[0].acquisition.slice_thickness_mm or spacing_mm,
    )
