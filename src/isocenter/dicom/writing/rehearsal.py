"""Every header of a result, made once before any work and thrown away.

What a source's header holds and no result could carry on is refused here, in words, and not after
hours of work. Nothing of it depends on settings or pixels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from isocenter.core.errors import IsocenterError, UnsuitableScan
from isocenter.core.outputs import Output, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.core.version import __version__
from isocenter.dicom.marking import Provenance, mark
from isocenter.dicom.writing.ct_multiframe import multiframe_header
from isocenter.dicom.writing.derived_header import classic_header
from isocenter.dicom.writing.files import write_part
from isocenter.dicom.writing.grid import SeriesGrid
from isocenter.dicom.writing.multiframe import place_arguments
from isocenter.dicom.writing.references import refer_to_series, write_lossy
from isocenter.dicom.writing.study import copy_person_and_study

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries

NOWHERE = Path(os.devnull)


def rehearse(series: ImageSeries, outputs: Sequence[Output]) -> None:
    """Make all headers that outputs take from a series.

    Raises:
        UnsuitableScan: one of them cannot be made or written.
        UnreadableInput: a file cannot be read any more.
    """
    provenance = _nobodys_run()
    changes = [one for one in outputs if isinstance(one, SeriesOutput) and not one.absolute]
    if not changes:
        _rehearse_references(series, provenance)
    elif series.is_multiframe:
        _rehearse_multiframe(series, changes[0], provenance)
    else:
        _rehearse_images(series, changes[0], provenance)
    _rehearse_study(series, provenance)


def _nobodys_run() -> Provenance:
    record = RunRecord(
        task="rehearsal",
        product_version=__version__,
        model_name="none",
        model_version="0",
        weights_sha256="0" * 64,
    )
    return Provenance(record=record, model_description="")


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (IsocenterError, OSError, MemoryError):
        raise
    except Exception:  # its text may quote the header
        raise UnsuitableScan(
            f"{what} has a header that no result could carry on, as its elements break the rules "
            "of DICOM; export the series again from the scanner or archive",
            reason="header",
        ) from None


def _rehearse_images(series: ImageSeries, output: SeriesOutput, provenance: Provenance) -> None:
    made_at = provenance.clock()
    for index in range(len(series)):
        with _refusing(f"image {index + 1} of {len(series)}"):
            source = series.header(index)
            _write(classic_header([source], provenance, output, made_at=made_at))


def _rehearse_multiframe(series: ImageSeries, output: SeriesOutput, provenance: Provenance) -> None:
    objects: dict[str, list[int]] = {}
    for index, uid in enumerate(series.sop_instance_uids):
        objects.setdefault(uid, []).append(index)
    for number, indices in enumerate(objects.values(), start=1):
        with _refusing(f"object {number} of {len(objects)}"):
            source = series.header(indices[0])
            windows = [[(source, series.frame_number(index))] for index in indices]
            made_at = provenance.clock()
            _write(multiframe_header(windows, provenance, output, made_at=made_at))


def _write(header: Dataset) -> None:
    write_part(header, NOWHERE, product_version=__version__)


def _rehearse_references(series: ImageSeries, provenance: Provenance) -> None:
    grid = SeriesGrid(series, provenance)
    for index in range(len(series)):
        with _refusing(f"image {index + 1} of {len(series)}"):
            (source,) = grid.sources(index)
            result = Dataset()
            copy_person_and_study(result, source.header)
            refer_to_series(result, [source.header])
            write_lossy(result, [source.header])


def _rehearse_study(series: ImageSeries, provenance: Provenance) -> None:
    """What maps, masks and new series take from the first image."""
    grid = SeriesGrid(series, provenance)
    with _refusing("the first image"):
        result = Dataset()
        copy_person_and_study(result, grid.header(0))
        mark(result, provenance, made_at=provenance.clock(), sources=grid.equipment())
        place_arguments(grid, [grid.plane(0)])
