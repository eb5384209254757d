"""What a task reads, opened: DICOM series, volume files, and volumes that are in memory already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from isocenter.core.errors import InputRefused, SeriesChoiceNeeded
from isocenter.core.files import named_path
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.volume import SliceSource, Volume, digest_of_slices
from isocenter.image.volume_files import VOLUME_ENDINGS, volume_ending
from isocenter.tasks.task import Reads

if TYPE_CHECKING:
    from isocenter.dicom.reading.files_seen import FilesSeen
    from isocenter.dicom.reading.open import Run

Input = str | Path | Volume | SliceSource

# Results of what lies in memory are written like this.
DEFAULT_ENDING = VOLUME_ENDINGS[0]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """One scan, opened.

    Attributes:
        name: of what the task reads.
        source: its slices.
        ending: of volume files written in its kind, "" for a DICOM series.
    """

    name: str
    source: SliceSource
    ending: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What was seen and what was left out while reading, in words."""
        seen = [self.files_seen.in_words()] if self.files_seen else []
        return (*seen, *getattr(self.source, "notes", ()))

    @property
    def files_seen(self) -> FilesSeen | None:
        """What became of every file below the input; None where it was no DICOM on disk."""
        return getattr(self.source, "files_seen", None)


def open_inputs(
    reads: Sequence[Reads],
    given: Mapping[str, Input | None],
    *,
    series: Mapping[str, str],
    largest_run: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Opened, ...]:
    """Open what was given, in the order in which the task names it.

    Raises:
        InputRefused: something is missing, unknown, unreadable or of another modality or unit.
            Where the task reads several scans, a note of the error names the one.
    """
    names = [each.name for each in reads]
    if unknown := [name for name in (*given, *series) if name not in names]:
        raise InputRefused(f"there is no input {unknown[0]}; the task reads {', '.join(names)}")
    opened = []
    for each in reads:
        scan = given.get(each.name)
        if scan is None:
            if not each.optional:
                raise InputRefused(f"{each.name} is missing: {each.what}")
            continue
        try:
            opened.extend(_open(each, scan, series.get(each.name), largest_run, limits))
        except (InputRefused, SeriesChoiceNeeded) as error:
            if len(reads) > 1:
                error.add_note(each.name)
            raise
    if reads and not opened:
        raise InputRefused(f"nothing to read was named; give one of {', '.join(names)}")
    return tuple(opened)


def source_digest(opened: Sequence[Opened]) -> str:
    """Hexadecimal SHA-256 over the identity and values of all that is read; "" for nothing."""
    digests = {each.name: _digest(each.source) for each in opened}
    if len(digests) < 2:
        return next(iter(digests.values()), "")
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _open(
    reads: Reads, scan: Input, series: str | None, largest_run: bool, limits: Limits
) -> list[Opened]:
    if reads.opener is None:
        return [_open_one(reads, scan, series, largest_run, limits)]
    if not isinstance(scan, str | Path):
        raise InputRefused(
            f"{reads.name} must be a path, got {type(scan).__name__}; what is read is said by "
            "DICOM headers"
        )
    path = named_path(scan)
    found = reads.opener(path, series=series, largest_run=largest_run, limits=limits)
    for source in found.values():
        _check_meaning(reads, source)
    return [Opened(name=name, source=source, ending="") for name, source in found.items()]


def _open_one(
    reads: Reads, scan: Input, series: str | None, largest_run: bool, limits: Limits
) -> Opened:
    if isinstance(scan, str | Path):
        opened = _open_path(reads, scan, series, largest_run, limits)
    elif isinstance(scan, Volume):
        opened = Opened(name=reads.name, source=scan.slices(), ending=DEFAULT_ENDING)
    elif _is_source(scan):
        ending = "" if _has_header(scan) else DEFAULT_ENDING
        opened = Opened(name=reads.name, source=scan, ending=ending)
    else:
        raise InputRefused(
            f"{reads.name} must be a path, a Volume or a source of slices, got "
            f"{type(scan).__name__}"
        )
    _check_meaning(reads, opened.source)
    if opened.ending:
        _check_finite(opened.source)
    return opened


def _open_path(
    reads: Reads, path: str | Path, series: str | None, largest_run: bool, limits: Limits
) -> Opened:
    path = named_path(path)
    if (ending := volume_ending(path)) and not path.is_dir():
        from isocenter.datasets.open_scan import open_scan

        volume = open_scan(path, assumed_unit=reads.unit, series=series, limits=limits)
        return Opened(name=reads.name, source=volume, ending=ending)
    from isocenter.dicom.reading.open import is_read, open_series

    if not is_read(reads.modality):
        raise InputRefused(
            f"{reads.modality or 'such'} series are not read from DICOM; give a volume file "
            f"({', '.join(VOLUME_ENDINGS)})"
        )
    run: Run = "largest" if largest_run else "all"
    source = open_series(path, modality=reads.modality, series=series, run=run, limits=limits)
    return Opened(name=reads.name, source=source, ending="")


def _is_source(scan: object) -> TypeGuard[SliceSource]:
    return all(hasattr(scan, name) for name in ("geometry", "acquisition", "unit", "values"))


def _has_header(source: SliceSource) -> bool:
    """Whether there is a DICOM series behind it, from which others can be derived."""
    return hasattr(source, "series_instance_uid")


def _check_meaning(reads: Reads, source: SliceSource) -> None:
    modality = source.acquisition.modality
    if reads.modality and modality and modality != reads.modality:
        raise InputRefused(f"{reads.name} is {modality}; this task reads {reads.modality}")
    if source.unit != reads.unit:
        raise InputRefused(
            f"the values of {reads.name} are in {source.unit or 'no unit'}, this task reads "
            f"{reads.unit or 'values without a unit'}; convert them, and name the unit"
        )


def _check_finite(source: SliceSource) -> None:
    for index in range(len(source)):
        if not np.isfinite(source.values(index)[source.valid(index)]).all():
            raise InputRefused(
                f"slice {index + 1} of {len(source)} holds values that are not finite; mark them "
                "as not valid, or replace them"
            )


def _digest(source: SliceSource) -> str:
    own = getattr(source, "source_digest", None)
    return digest_of_slices(source) if own is None else str(own())
