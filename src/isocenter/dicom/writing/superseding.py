"""A result that takes the place of an earlier one says so; the earlier one is never changed."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from isocenter.core.outputs import Code
from isocenter.core.version import __version__
from isocenter.dicom.marking import code_item
from isocenter.dicom.writing.files import write_part

SUPERSEDED_SERIES = Code("SUPERSEDED", "99ISOCENTER", "Series superseded by this one")
"""The standard has no code for it."""


def write_superseding(
    source: Path, target: Path, *, study_uid: str, superseded: tuple[str, ...]
) -> None:
    """Copy an object that we made, with references to the series that it supersedes.

    Args:
        source: as a task wrote it.
        target: written, not yet flushed.
        study_uid: of the earlier series too.
        superseded: their UIDs.
    """
    dataset = dcmread(source)
    earlier = dataset.get("RelatedSeriesSequence") or ()
    dataset.RelatedSeriesSequence = [*earlier, *(_item(study_uid, uid) for uid in superseded)]
    write_part(dataset, target, product_version=__version__)


def _item(study_uid: str, series_uid: str) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.SeriesInstanceUID = series_uid
    item.PurposeOfReferenceCodeSequence = [code_item(SUPERSEDED_SERIES)]
    return item
