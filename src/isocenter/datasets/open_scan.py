"""One door for scans on disk: DICOM series and volume files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.core.files import named_path
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.outputs import HOUNSFIELD
from isocenter.core.volume import Volume, VolumeSlices
from isocenter.dicom.reading.ct_padding import measured_pixels
from isocenter.dicom.reading.open import CtSeries, open_ct_series
from isocenter.image.volume_files import is_volume_file, read_volume_file, stated


def read(
    path: str | Path,
    *,
    series: str | None = None,
    unit: str | None = None,
    largest_run: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Volume:
    """Read a whole scan into memory.

    Args:
        path: a CT series (a DICOM file, a folder or a tree of folders; also one that a model
            enhanced), or a volume file: .nii, .nii.gz, .mha or .mhd.
        series: which series, where several fit.
        unit: what the numbers of a volume file mean, such as "HU"; DICOM says so itself.
        largest_run: where slices are missing, or files beside the series are damaged or cannot be
            opened, take the largest even run instead of refusing.
        limits: what a file and a folder may cost before they are refused.

    Returns:
        Values with geometry, unit and mask of what was measured.

    Raises:
        InputRefused: not readable, not one scan, or of no known unit.
    """
    scan = open_scan(
        path,
        series=series,
        unit=unit,
        largest_run=largest_run,
        accept_enhanced=True,
        limits=limits,
    )
    return scan.to_volume()


def open_scan(
    path: str | Path,
    *,
    series: str | None = None,
    unit: str | None = None,
    assumed_unit: str | None = None,
    largest_run: bool = False,
    accept_enhanced: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> CtSeries | FileSlices:
    """Open a scan to be read slice by slice.

    Args:
        path, series, unit: see :func:`read`.
        assumed_unit: of a volume file that does not say its unit, where ``unit`` is not given; its
            spacing is then taken to be in millimeters, too, where it does not say so. Notes of the
            scan tell what was assumed.
        largest_run: of a DICOM series, take the largest even run of slices.
        accept_enhanced: take a scan that a model made.
        limits: what a file and a folder may cost before they are refused.

    Raises:
        InputRefused: as :func:`read`.
    """
    place = named_path(path)
    if is_volume_file(place) and not place.is_dir():
        if series is not None:
            raise InputRefused("a volume file holds one scan; leave series out")
        return _open_file(place, unit, assumed_unit, accept_enhanced=accept_enhanced, limits=limits)
    if unit not in (None, HOUNSFIELD.name):
        raise InputRefused(f"a CT series is in HU; leave unit out, got {unit!r}")
    return open_ct_series(
        place,
        series=series,
        run="largest" if largest_run else "all",
        accept_enhanced=accept_enhanced,
        limits=limits,
    )


def _open_file(
    path: Path,
    unit: str | None,
    assumed_unit: str | None,
    *,
    accept_enhanced: bool,
    limits: Limits,
) -> FileSlices:
    says = stated(path, limits=limits)
    if not accept_enhanced and says.synthetic:
        raise UnsuitableScan(
            "the file says that a model made its values; only images as the scanner made them are "
            "accepted: give the original scan",
            reason="already_enhanced",
        )
    may_assume = unit is None and assumed_unit is not None
    is_assumed = may_assume and says.unit is None
    in_millimeters = may_assume and not says.length_unit
    volume = read_volume_file(
        path,
        unit=assumed_unit if is_assumed else unit,
        length_unit="mm" if in_millimeters else None,
        limits=limits,
    )
    notes = [_assumed(volume.unit)] if is_assumed else []
    if in_millimeters:
        notes.append("The file does not say in which unit its spacing is; it was taken to be mm.")
    return FileSlices(_with_mask(volume), notes=tuple(notes))


@dataclass(frozen=True)
class FileSlices(VolumeSlices):
    """A volume file, read slice by slice; it lies in memory, as these formats ask for it.

    Attributes:
        volume: what the file holds.
        notes: what was assumed while reading, in words.
    """

    notes: tuple[str, ...] = ()

    def to_volume(self) -> Volume:
        """The whole scan."""
        return self.volume


def _assumed(unit: str) -> str:
    return (
        "The file does not say what its numbers are; they were taken to be "
        f"{unit or 'without a unit'}."
    )


def _with_mask(volume: Volume) -> Volume:
    """Leave out what lies outside the scanner's circle, as for a DICOM series without padding."""
    if volume.unit != HOUNSFIELD.name:
        return volume
    valid = np.stack(
        [measured_pixels(one, slope=1.0, intercept=0.0, padding=None) for one in volume.array]
    )
    return volume if valid.all() else replace(volume, valid=valid)
